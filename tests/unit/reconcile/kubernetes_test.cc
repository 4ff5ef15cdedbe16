// Kubernetes as a source: what it says is followed, nobody is refused, and a start without its answer holds.
#include "ctrl/reconcile/controller.h"
#include "tests/unit/reconcile/controller_world.h"

namespace sluice::reconcile {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

class Kubernetes : public ControllerTest {
 protected:
  void SetUp() override { ASSERT_TRUE(Restart().ok()); }

  static policy::ResourceMap Closed(const std::string& name, policy::ResourceMap map) {
    policy::Resource& resource = map[WorkloadId(name)];
    auto workload = std::make_shared<policy::Workload>(*resource.workload);
    workload->closed_because = "the API server has not told of it";
    resource.workload = std::move(workload);
    return map;
  }
};

TEST_F(Kubernetes, WhatItSaysIsInForce) {
  Plug("web", 11);
  ASSERT_TRUE(controller_->SetKubernetes(Map(Workload("web", "10.0.0.1") + Policy("closed"))).ok());
  EXPECT_TRUE(IsEnforced(11));
  EXPECT_EQ(controller_->view()->revision, 1U);
  EXPECT_EQ(controller_->view()->desired.SourceOf(PolicyId("closed")), Source::kKubernetes);
  const auto view = controller_->view();
  ASSERT_TRUE(controller_->SetKubernetes(Map(Workload("web", "10.0.0.1") + Policy("closed"))).ok());
  EXPECT_EQ(controller_->view(), view) << "the same again changes nothing";
  ASSERT_TRUE(controller_->SetKubernetes({}).ok());
  EXPECT_FALSE(datapath_.pods().contains(11)) << "it is let go";
}

TEST_F(Kubernetes, TheOtherSourcesCountMore) {
  ASSERT_TRUE(Apply(Policy("both", "podSelector: {matchLabels: {from: api}}")).ok());
  ASSERT_TRUE(controller_->SetKubernetes(Map(Policy("both") + Policy("own"))).ok());
  const auto view = controller_->view();
  EXPECT_THAT(view->resources.at(PolicyId("both")).yaml, HasSubstr("from: api"));
  EXPECT_THAT(Message(controller_->Delete({PolicyId("own")}).status()), HasSubstr("comes from Kubernetes"));
  ASSERT_TRUE(controller_->Delete({PolicyId("both")}).ok());
  EXPECT_EQ(controller_->view()->desired.SourceOf(PolicyId("both")), Source::kKubernetes);
}

TEST_F(Kubernetes, APodThatIsNotKnownIsClosedUntilItIs) {
  Plug("web", 11);
  Plug("db", 12);
  const auto all = Map(Workload("web", "10.0.0.1") + Workload("db", "10.0.0.2"));
  ASSERT_TRUE(controller_->SetKubernetes(Closed("web", all)).ok());
  EXPECT_TRUE(IsClosed(11));
  EXPECT_TRUE(IsEnforced(12));
  EXPECT_THAT(Problem("web"), HasSubstr("has not told of it"));
  ASSERT_TRUE(controller_->SetKubernetes(all).ok());
  EXPECT_TRUE(IsEnforced(11));
  ASSERT_TRUE(controller_->SetKubernetes(Closed("web", all)).ok());
  EXPECT_TRUE(IsClosed(11)) << "deleted by force, and still there";
}

// A pod's start waits for it. What a person applies may take the kernel's grace periods.
TEST_F(Kubernetes, PodsAreAttachedAtOnce) {
  Plug("web", 11);
  Plug("db", 12);
  Plug("tool", 13);
  const auto both = Map(Workload("web", "10.0.0.1") + Workload("db", "10.0.0.2"));
  ASSERT_TRUE(controller_->SetKubernetes(Closed("web", both)).ok());
  ASSERT_TRUE(Apply(Workload("tool", "10.0.0.3")).ok());
  std::map<std::uint32_t, std::string> modes;
  for (const auto& one : datapath_.Attached()) modes[one.ifindex] = one.mode;
  EXPECT_THAT(modes, ElementsAre(Pair(11, "clsact"), Pair(12, "clsact"), Pair(13, "tcx")));
}

TEST_F(Kubernetes, NobodyIsRefused) {
  Plug("web", 11);
  ASSERT_TRUE(controller_->SetKubernetes(Map(Workload("web", "10.0.0.1") + Workload("late", "10.0.0.2"))).ok());
  EXPECT_TRUE(IsEnforced(11));
  EXPECT_NE(Problem("late"), "");
  disk_ = Status(absl::StatusCode::kResourceExhausted, "full");
  Plug("db", 12);
  ASSERT_TRUE(controller_->SetKubernetes(Map(Workload("web", "10.0.0.1") + Workload("db", "10.0.0.3"))).ok());
  EXPECT_TRUE(IsEnforced(12)) << "the disk is not the pod's problem";
}

TEST_F(Kubernetes, AChangeThatDoesNotFitLeavesWhatWasAndClosesNewPods) {
  Plug("web", 11);
  ASSERT_TRUE(controller_->SetKubernetes(Map(Workload("web", "10.0.0.1"))).ok());
  policy::Limits limits;
  limits.addresses = 2;  // web and the node
  datapath_.SetLimits(limits);
  Plug("db", 12);
  const auto more = Map(Workload("web", "10.0.0.1") + Workload("db", "10.0.0.2"));
  EXPECT_TRUE(absl::IsResourceExhausted(controller_->SetKubernetes(more)));
  EXPECT_TRUE(IsEnforced(11));
  EXPECT_EQ(controller_->CloseNewInterfaces(), 1);
  EXPECT_TRUE(IsClosed(12));
  datapath_.SetLimits({});
  ASSERT_TRUE(controller_->SetKubernetes(more).ok());
  EXPECT_TRUE(IsEnforced(12));
}

TEST_F(Kubernetes, ChangesOfOthersPodsWriteNothing) {
  Plug("web", 11);
  const std::string web = Workload("web", "10.0.0.1");
  ASSERT_TRUE(controller_->SetKubernetes(Map(web)).ok());
  const int saves = saves_;
  ASSERT_TRUE(controller_->SetKubernetes(Map(web + Policy("one"))).ok());
  ASSERT_TRUE(controller_->Refresh().ok());
  EXPECT_EQ(saves_, saves);
  EXPECT_EQ(controller_->view()->revision, 2U);
  EXPECT_EQ(*Apply(Policy("two")), 3U);
  EXPECT_EQ(saved_.revision, 3U);
}

TEST_F(Kubernetes, AChangeLooksAtThePodsThatComeAndNotAtTheOthers) {
  for (const auto& [name, ifindex] : {std::pair("web", 11U), {"db", 12U}}) Plug(name, ifindex);
  const std::string db = Workload("db", "10.0.0.2");
  ASSERT_TRUE(controller_->SetKubernetes(Map(Workload("web", "10.0.0.1") + db)).ok());
  looked_up_.clear();
  datapath_.ClearCalls();
  Plug("cache", 13);
  const std::string all = Workload("web", "10.0.0.1", "app: other") + db + Workload("cache", "10.0.0.3");
  ASSERT_TRUE(controller_->SetKubernetes(Map(all)).ok());
  EXPECT_THAT(looked_up_, ElementsAre("cache")) << "another label is not another place";
  EXPECT_THAT(datapath_.calls(), ElementsAre("ResetEndpoint 3", "AttachPod veth-cache", "Commit"));
  for (const std::uint32_t ifindex : {11U, 12U, 13U}) EXPECT_TRUE(IsEnforced(ifindex)) << ifindex;

  looked_up_.clear();
  Plug("web", 21);  // and 11 is gone
  Plug("queue", 14);
  const std::string more = all + Workload("queue", "10.0.0.4");
  ASSERT_TRUE(controller_->SetKubernetes(Map(more)).ok());
  EXPECT_THAT(looked_up_, ElementsAre("queue", "web"));
  EXPECT_TRUE(IsEnforced(21));

  looked_up_.clear();
  auto moved = Map(more);
  moved.insert_or_assign(WorkloadId("web"), Map(Workload("web", "10.0.0.9")).at(WorkloadId("web")));
  ASSERT_TRUE(controller_->SetKubernetes(std::move(moved)).ok());
  EXPECT_THAT(looked_up_, ElementsAre("web")) << "it has another address";
  EXPECT_NE(NumberOf("10.0.0.9"), 0U);
  looked_up_.clear();
  ASSERT_TRUE(controller_->Refresh().ok());
  EXPECT_EQ(looked_up_.size(), 4U) << "the node may have changed everywhere";
}

TEST_F(Kubernetes, APodThatGoesWhileItIsAttachedToIsGoneAlone) {
  for (const auto& [name, ifindex] : {std::pair("web", 11U), {"db", 12U}}) Plug(name, ifindex);
  datapath_.ClearCalls();
  while_saving_ = [this] { Unplug("db"); };
  datapath_.FailNext("AttachPod", Status(absl::StatusCode::kNotFound, "no such device"));  // of db, in order of names
  const auto all = Map(Workload("web", "10.0.0.1") + Workload("db", "10.0.0.2"));
  ASSERT_TRUE(controller_->SetKubernetes(all).ok());
  while_saving_ = nullptr;
  EXPECT_TRUE(IsEnforced(11));
  EXPECT_FALSE(datapath_.pods().contains(12));
  EXPECT_THAT(looked_up_, ElementsAre("db", "web")) << "nothing is planned again";
  EXPECT_EQ(std::ranges::count(datapath_.calls(), "Commit"), 1);
  ASSERT_TRUE(controller_->Refresh().ok());
  EXPECT_THAT(Problem("db"), HasSubstr("there is no veth-db"));
  Plug("db", 22);
  ASSERT_TRUE(controller_->Refresh().ok());
  EXPECT_TRUE(IsEnforced(22));
}

TEST_F(Kubernetes, AnInterfaceWithoutTheLastFactsGetsThemWithTheNextChange) {
  Plug("web", 11);
  ASSERT_TRUE(controller_->SetKubernetes(Map(Workload("web", "10.0.0.1"))).ok());
  datapath_.FailNext("AttachPod", InvalidError("no memory"));
  ASSERT_TRUE(controller_->Refresh().ok());
  datapath_.ClearCalls();
  Plug("db", 12);
  ASSERT_TRUE(controller_->SetKubernetes(Map(Workload("web", "10.0.0.1") + Workload("db", "10.0.0.2"))).ok());
  EXPECT_THAT(datapath_.calls(), ElementsAre("ResetEndpoint 2", "AttachPod veth-db", "AttachPod veth-web", "Commit"));
}

// After a restart, and after a boot.
TEST_F(Kubernetes, AStartWithoutItsAnswerHoldsUntilThere) {
  Plug("web", 11);
  const std::string all = Workload("web", "10.0.0.1") + Policy("closed");
  ASSERT_TRUE(controller_->SetKubernetes(Map(all)).ok());
  const std::uint32_t number = NumberOf("10.0.0.1");
  kubernetes_ = Status(absl::StatusCode::kUnavailable, "https://10.96.0.1: connection refused");
  datapath_.ClearCalls();
  ASSERT_TRUE(Restart().ok());
  EXPECT_THAT(controller_->view()->holding, HasSubstr("10.96.0.1: connection refused"));
  EXPECT_TRUE(IsEnforced(11));
  EXPECT_THAT(datapath_.calls(), ::testing::Not(::testing::Contains("Commit")));
  EXPECT_THAT(Message(Apply(Policy("new")).status()), HasSubstr("holding"));
  ASSERT_TRUE(controller_->SetKubernetes(Map(all)).ok());
  EXPECT_EQ(controller_->view()->holding, "");
  EXPECT_EQ(NumberOf("10.0.0.1"), number);
  ASSERT_TRUE(Apply(Policy("new")).ok());

  ASSERT_TRUE(datapath_.DetachPod(11).ok());
  datapath_.Reset();
  Plug("web", 21);
  ASSERT_TRUE(Restart().ok());
  EXPECT_EQ(controller_->CloseNewInterfaces() > 0 || IsClosed(21), true) << "which pods are whose is not known";
  EXPECT_TRUE(IsClosed(21));
  ASSERT_TRUE(controller_->SetKubernetes(Map(all)).ok());
  EXPECT_TRUE(IsEnforced(21));
}

TEST_F(Kubernetes, AFirstStartWithoutItsAnswerClosesNobody) {
  Plug("web", 11);
  kubernetes_ = Status(absl::StatusCode::kUnavailable, "no answer");
  ASSERT_TRUE(Restart().ok());
  EXPECT_NE(controller_->view()->holding, "");
  EXPECT_FALSE(datapath_.pods().contains(11));
  ASSERT_TRUE(controller_->SetKubernetes(Map(Workload("web", "10.0.0.1"))).ok());
  EXPECT_TRUE(IsEnforced(11));
  EXPECT_EQ(controller_->view()->holding, "");
}

TEST_F(Kubernetes, AnotherReasonToHoldStays) {
  Plug("web", 11);
  ASSERT_TRUE(Apply(Workload("web", "10.0.0.1")).ok());
  saved_ = {};
  kubernetes_ = Status(absl::StatusCode::kUnavailable, "no answer");
  ASSERT_TRUE(Restart().ok());
  ASSERT_TRUE(controller_->SetKubernetes({}).ok());
  EXPECT_THAT(controller_->view()->holding, HasSubstr("nothing is saved"));
  EXPECT_TRUE(IsEnforced(11));
}

TEST_F(Kubernetes, BothTheDirectoryAndItMayBeMissing) {
  Plug("web", 11);
  ASSERT_TRUE(controller_->SetKubernetes(Map(Workload("web", "10.0.0.1"))).ok());
  kubernetes_ = Status(absl::StatusCode::kUnavailable, "no answer");
  directory_ = Status(absl::StatusCode::kInvalidArgument, "bad.yaml:1");
  ASSERT_TRUE(Restart().ok());
  EXPECT_THAT(controller_->view()->holding, HasSubstr("bad.yaml:1"));
  ASSERT_TRUE(controller_->SetKubernetes(Map(Workload("web", "10.0.0.1"))).ok());
  EXPECT_THAT(controller_->view()->holding, HasSubstr("bad.yaml:1"));
  ASSERT_TRUE(controller_->SetDirectory({}).ok());
  EXPECT_EQ(controller_->view()->holding, "");
  EXPECT_TRUE(IsEnforced(11));
}

// What CNI ADD and CHECK are answered: a pod that is closed as long as the agent is holding has not started.
TEST_F(Kubernetes, APodThatComesWhileHoldingHasNotStarted) {
  const auto with_netns = [](policy::ResourceMap map) {
    for (const char* name : {"web", "new", "gone"}) {
      if (!map.contains(WorkloadId(name))) continue;
      policy::Resource& resource = map[WorkloadId(name)];
      auto workload = std::make_shared<policy::Workload>(*resource.workload);
      workload->netns = std::string("/netns/") + name;
      resource.workload = std::move(workload);
    }
    return map;
  };
  Plug("web", 11);
  const std::string web = Workload("web", "10.0.0.1");
  ASSERT_TRUE(controller_->SetKubernetes(with_netns(Map(web))).ok());
  kubernetes_ = with_netns(Map(web));
  directory_ = Status(absl::StatusCode::kInvalidArgument, "bad.yaml:1");
  ASSERT_TRUE(Restart().ok());
  Plug("new", 12);
  const auto all = with_netns(Map(web + Workload("new", "10.0.0.2") + Workload("gone", "10.0.0.3")));
  ASSERT_TRUE(controller_->SetKubernetes(all).ok());
  ASSERT_TRUE(IsClosed(12));
  EXPECT_TRUE(CheckStarted(*controller_->view(), "/netns/web").ok()) << "it is enforced on as before";
  const Status held = CheckStarted(*controller_->view(), "/netns/new");
  EXPECT_TRUE(absl::IsUnavailable(held)) << held;
  EXPECT_THAT(Message(held), HasSubstr("Workload shop/new is closed while the agent is holding"));
  EXPECT_THAT(Message(held), HasSubstr("bad.yaml:1"));
  EXPECT_TRUE(absl::IsUnavailable(CheckStarted(*controller_->view(), "/netns/gone")));
  EXPECT_TRUE(absl::IsNotFound(CheckStarted(*controller_->view(), "/netns/other")));
  ASSERT_TRUE(controller_->SetKubernetes(with_netns(Closed("new", all))).ok());
  EXPECT_TRUE(absl::IsUnavailable(CheckStarted(*controller_->view(), "/netns/new")));

  ASSERT_TRUE(controller_->SetDirectory({}).ok());
  EXPECT_TRUE(CheckStarted(*controller_->view(), "/netns/new").ok()) << "closed until the API server knows its pod";
  ASSERT_TRUE(controller_->SetKubernetes(all).ok());
  ASSERT_TRUE(IsEnforced(12));
  EXPECT_TRUE(CheckStarted(*controller_->view(), "/netns/new").ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(CheckStarted(*controller_->view(), "/netns/gone")));
}

}  // namespace
}  // namespace sluice::reconcile
