// The saved state is lost or unreadable: the kernel's state stays until an operator changes something.
#include "policy/network/diff.h"
#include "tests/unit/reconcile/controller_world.h"

namespace sluice::reconcile {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class Holding : public ControllerTest {
 protected:
  void SetUp() override {
    ASSERT_TRUE(Restart().ok());
    Plug("web", 11);
    Plug("db", 12);
    ASSERT_TRUE(Apply(kAll).ok());
    tables_ = datapath_.tables();
  }
  void ExpectHolds(const std::string& why) {
    EXPECT_THAT(controller_->view()->holding, HasSubstr(why));
    EXPECT_TRUE(IsEnforced(11));
    EXPECT_TRUE(IsEnforced(12));
    EXPECT_TRUE(policy::Diff(datapath_.tables(), tables_).empty());
    EXPECT_THAT(datapath_.calls(), Not(Contains("Commit")));
    EXPECT_THAT(datapath_.calls(), Not(Contains(HasSubstr("Detach"))));
    EXPECT_THAT(datapath_.calls(), Not(Contains(HasSubstr("ResetEndpoint"))));
  }
  // All pins are gone, and all interfaces are new.
  void Boot() {
    for (const std::uint32_t ifindex : {11U, 12U}) ASSERT_TRUE(datapath_.DetachPod(ifindex).ok());
    datapath_.Reset();
    Plug("web", 21);
    Plug("db", 22);
  }

  const std::string kAll = Workload("web", "10.0.0.1") + Workload("db", "10.0.0.2") + Policy("closed");
  policy::Tables tables_;
};

TEST_F(Holding, AStateThatIsGoneTakesNothingDown) {
  saved_ = {};
  datapath_.ClearCalls();
  ASSERT_TRUE(Restart().ok());
  ExpectHolds("nothing is saved");
  ASSERT_TRUE(controller_->Refresh().ok());
  ExpectHolds("nothing is saved");
  ASSERT_TRUE(Restart().ok());
  ExpectHolds("nothing is saved");
}

TEST_F(Holding, WhoAppliesAgainTakesOverWithNumbersAndAll) {
  const std::uint32_t web = NumberOf("10.0.0.1");
  ASSERT_TRUE(datapath_.SetQuarantine(web, true).ok());
  saved_ = {};
  ASSERT_TRUE(Restart().ok());
  datapath_.ClearCalls();
  // The names have another order than the numbers.
  ASSERT_TRUE(Apply(Policy("closed") + Workload("web", "10.0.0.1")).ok());
  EXPECT_EQ(controller_->view()->holding, "");
  EXPECT_EQ(NumberOf("10.0.0.1"), web);
  EXPECT_THAT(QuarantinedInKernel(), ElementsAre(web)) << "whoever cut it off";
  EXPECT_TRUE(IsEnforced(11));
  EXPECT_TRUE(IsClosed(12)) << "nobody has said whose it is";
  ASSERT_TRUE(Apply(Workload("db", "10.0.0.2")).ok());
  EXPECT_TRUE(IsEnforced(12));
}

TEST_F(Holding, TheDirectoryAloneDoesNotOpenWhatApiPoliciesClosed) {
  saved_ = {};
  directory_ = Map(Workload("web", "10.0.0.1") + Workload("new", "10.0.0.3"));
  Plug("new", 13);
  datapath_.ClearCalls();
  ASSERT_TRUE(Restart().ok());
  ExpectHolds("nothing is saved");
  EXPECT_TRUE(IsClosed(13));
  ASSERT_TRUE(controller_->SetDirectory(directory_.value()).ok());  // SIGHUP: an operator's request
  EXPECT_TRUE(IsEnforced(13));
  EXPECT_TRUE(IsClosed(12));
}

// "As before" includes everything that the kernel knows about the interfaces.
TEST_F(Holding, ARefusedChangeLeavesWhatTheKernelKnows) {
  saved_ = {};
  ASSERT_TRUE(Restart().ok());
  disk_ = MakeError(absl::StatusCode::kResourceExhausted, "the disk is full");
  EXPECT_FALSE(Apply(Workload("web", "10.0.0.1") + Workload("db", "10.0.0.2")).ok());
  EXPECT_TRUE(IsEnforced(11));
  EXPECT_TRUE(IsEnforced(12));
}

TEST_F(Holding, AFirstStartHoldsNothing) {
  saved_ = {};
  datapath_.Reset();
  ASSERT_TRUE(Restart().ok());
  EXPECT_EQ(controller_->view()->holding, "");
}

// Its pods may be at work: between the programs and the tables they would lose packets.
TEST_F(Holding, AFirstStartHasItsTablesBeforeItsPrograms) {
  datapath_.Reset();
  datapath_.ClearCalls();
  ASSERT_TRUE(Restart().ok());
  const auto calls = datapath_.calls();
  const auto commit = std::find(calls.begin(), calls.end(), "Commit");
  const auto attach =
      std::find_if(calls.begin(), calls.end(), [](const auto& call) { return call.starts_with("AttachPod"); });
  ASSERT_NE(attach, calls.end());
  EXPECT_LT(commit, attach);
}

TEST_F(Holding, ACopyDoesNotReplaceWhatIsPinned) {
  saved_.resources.erase(PolicyId("closed"));  // the copy is older
  saved_.doubt = "state.db: damaged; the copy goes on";
  datapath_.ClearCalls();
  ASSERT_TRUE(Restart().ok());
  ExpectHolds("damaged");
  ASSERT_TRUE(Apply(Policy("closed")).ok());
  EXPECT_EQ(controller_->view()->holding, "");
  EXPECT_EQ(saved_.doubt, "");
}

TEST_F(Holding, AfterABootTheCopyIsEnforced) {
  saved_.doubt = "state.db: damaged; the copy goes on";
  Boot();
  ASSERT_TRUE(Restart().ok());
  EXPECT_EQ(controller_->view()->holding, "");
  EXPECT_TRUE(IsEnforced(21));
  EXPECT_EQ(saved_.doubt, "") << "the next start goes on from here";
}

TEST_F(Holding, AfterABootWithoutACopyEveryPodIsClosed) {
  saved_ = {};
  saved_.doubt = "state.db: damaged; there is no copy";
  saved_.unknown = true;
  Boot();
  ASSERT_TRUE(Restart().ok());
  EXPECT_THAT(controller_->view()->holding, HasSubstr("damaged"));
  EXPECT_TRUE(IsClosed(21));
  EXPECT_TRUE(IsClosed(22));
  Plug("late", 23);
  controller_->CloseNewInterfaces();
  EXPECT_TRUE(IsClosed(23));
  ASSERT_TRUE(Apply(Workload("web", "10.0.0.1")).ok());
  EXPECT_TRUE(IsEnforced(21));
  EXPECT_FALSE(datapath_.pods().contains(22)) << "somebody has said who the workloads are";
}

TEST_F(Holding, ARowThatCannotBeReadHoldsUntilItIsReplaced) {
  saved_.resources.erase(PolicyId("closed"));
  saved_.unreadable[PolicyId("closed")] = "state.db:1: no such kind";
  datapath_.ClearCalls();
  ASSERT_TRUE(Restart().ok());
  ExpectHolds("shop/closed");
  const auto refused = Apply(Policy("other", "podSelector: {matchLabels: {a: b}}"));
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status())) << refused.status();
  EXPECT_THAT(Message(refused.status()), HasSubstr("shop/closed"));
  ExpectHolds("shop/closed");
  ASSERT_TRUE(Apply(Policy("closed")).ok());
  EXPECT_EQ(controller_->view()->holding, "");
}

TEST_F(Holding, ARowThatCannotBeReadMayBeDeleted) {
  saved_.resources.erase(PolicyId("closed"));
  saved_.unreadable[PolicyId("closed")] = "state.db:1: no such kind";
  Boot();
  ASSERT_TRUE(Restart().ok());
  EXPECT_TRUE(IsClosed(21)) << "nothing is pinned, so all is closed";
  EXPECT_TRUE(IsClosed(22));
  ASSERT_TRUE(controller_->Delete({PolicyId("closed")}).ok());
  EXPECT_TRUE(IsEnforced(21));
}

TEST_F(Holding, AWorkloadThatCannotBeReadClosesEveryPodAfterABoot) {
  saved_.resources.erase(WorkloadId("db"));
  saved_.unreadable[WorkloadId("db")] = "state.db:1: no such field";
  Boot();
  ASSERT_TRUE(Restart().ok());
  EXPECT_TRUE(IsClosed(21));
  EXPECT_TRUE(IsClosed(22)) << "it may be this one's";
}

TEST_F(Holding, ADirectoryThatCannotBeReadHoldsUntilItCan) {
  ASSERT_TRUE(controller_->SetDirectory(Map(Workload("cache", "10.0.0.3"))).ok());
  Plug("cache", 13);
  ASSERT_TRUE(controller_->Refresh().ok());
  ASSERT_TRUE(IsEnforced(13));
  tables_ = datapath_.tables();
  datapath_.ClearCalls();
  directory_ = InvalidError("b.yaml:3: nam: no such field");
  ASSERT_TRUE(Restart().ok());
  ExpectHolds("b.yaml:3");
  EXPECT_TRUE(IsEnforced(13));
  const auto refused = Apply(Policy("other"));
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status())) << refused.status();
  EXPECT_THAT(Message(refused.status()), HasSubstr("send SIGHUP"));
  ASSERT_TRUE(controller_->Refresh().ok());
  ExpectHolds("b.yaml:3");
  ASSERT_TRUE(controller_->SetDirectory(Map(Workload("cache", "10.0.0.3"))).ok());
  EXPECT_EQ(controller_->view()->holding, "");
  EXPECT_TRUE(IsEnforced(13));
}

TEST_F(Holding, ADirectoryAndARowThatCannotBeReadAreMendedOneAfterTheOther) {
  saved_.resources.erase(PolicyId("closed"));
  saved_.unreadable[PolicyId("closed")] = "state.db:1: no such kind";
  directory_ = InvalidError("b.yaml:3: nam: no such field");
  Boot();
  Plug("cache", 23);
  ASSERT_TRUE(Restart().ok());
  for (const std::uint32_t ifindex : {21U, 22U, 23U}) EXPECT_TRUE(IsClosed(ifindex)) << ifindex;
  EXPECT_FALSE(controller_->SetDirectory(Map(Workload("cache", "10.0.0.3"))).ok()) << "the row";
  ASSERT_TRUE(Apply(Policy("closed")).ok());
  EXPECT_EQ(controller_->view()->holding, "");
  for (const std::uint32_t ifindex : {21U, 22U, 23U}) EXPECT_TRUE(IsEnforced(ifindex)) << ifindex;
}

TEST_F(Holding, QuarantineWorksMeanwhile) {
  saved_.doubt = "state.db: written by a newer version";
  disk_ = MakeError(absl::StatusCode::kFailedPrecondition, "newer");
  ASSERT_TRUE(Restart().ok());
  EXPECT_FALSE(Apply(Policy("other")).ok());
  ASSERT_TRUE(controller_->Quarantine({"shop", "db"}).ok());
  EXPECT_THAT(QuarantinedInKernel(), ElementsAre(NumberOf("10.0.0.2")));
}

TEST_F(Holding, WhatWasRemovedFromTheDirectoryWhileNoAgentRanIsLetGo) {
  ASSERT_TRUE(controller_->SetDirectory(Map(Workload("cache", "10.0.0.3"))).ok());
  Plug("cache", 13);
  ASSERT_TRUE(controller_->Refresh().ok());
  ASSERT_TRUE(IsEnforced(13));
  ASSERT_TRUE(Restart().ok());  // directory_ is empty
  EXPECT_EQ(controller_->view()->holding, "");
  EXPECT_FALSE(datapath_.pods().contains(13));
  EXPECT_TRUE(IsEnforced(11));
}

TEST_F(Holding, AnAgentThatEndedBeforeItLetGoOfADeletedWorkloadDoesSoAtItsNextStart) {
  datapath_.FailNext("DetachPod", InvalidError("killed here"));
  ASSERT_TRUE(controller_->Delete({WorkloadId("db")}).ok());
  ASSERT_TRUE(datapath_.pods().contains(12));
  ASSERT_TRUE(Restart().ok());
  EXPECT_FALSE(datapath_.pods().contains(12));
  EXPECT_TRUE(IsEnforced(11));
}

}  // namespace
}  // namespace sluice::reconcile
