#include "ctrl/reconcile/controller.h"

#include <atomic>
#include <thread>

#include "policy/network/diff.h"
#include "tests/unit/reconcile/controller_world.h"

namespace sluice::reconcile {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kWebIp = "10.0.0.1";
constexpr const char* kDbIp = "10.0.0.2";

// With web and db in force, and another one that a test may plug in.
class ControllerWithPods : public ControllerTest {
 protected:
  void SetUp() override {
    ASSERT_TRUE(Restart().ok());
    Plug("web", 11);
    Plug("db", 12);
    const auto revision = Apply(Workload("web", kWebIp, "app: web") + Workload("db", kDbIp, "app: db"));
    ASSERT_TRUE(revision.ok()) << revision.status();
    ASSERT_EQ(*revision, 1U);
    Remember();
  }

  // Saves what is in force, to compare it after a refused change.
  void Remember() {
    tables_ = datapath_.tables();
    view_ = controller_->view();
    saved_before_ = saved_;
    pods_ = datapath_.pods();
    datapath_.ClearCalls();
  }
  // `closed`: interfaces of new workloads, which must be closed after a refusal.
  void ExpectNothingChanged(const std::vector<std::uint32_t>& closed = {}) {
    EXPECT_TRUE(policy::Diff(datapath_.tables(), tables_).empty());
    EXPECT_TRUE(policy::Diff(tables_, datapath_.tables()).empty());
    if (closed.empty()) {
      EXPECT_EQ(controller_->view(), view_) << "another view";
    }
    EXPECT_EQ(controller_->view()->revision, view_->revision);
    EXPECT_EQ(controller_->view()->resources.size(), view_->resources.size());
    EXPECT_EQ(controller_->view()->unbound.size(), view_->unbound.size() + closed.size());
    EXPECT_EQ(saved_.revision, saved_before_.revision);
    EXPECT_EQ(saved_.resources.size(), saved_before_.resources.size());
    EXPECT_EQ(saved_.endpoints, saved_before_.endpoints);
    std::vector<std::uint32_t> before, now;
    for (const auto& [ifindex, pod] : pods_) before.push_back(ifindex);
    for (const auto& [ifindex, pod] : datapath_.pods()) now.push_back(ifindex);
    before.insert(before.end(), closed.begin(), closed.end());
    EXPECT_EQ(now, before);
    for (const std::uint32_t ifindex : closed) EXPECT_TRUE(IsClosed(ifindex)) << ifindex;
    // The next change finds everything unchanged.
    const auto revision = Apply(Policy("later"));
    ASSERT_TRUE(revision.ok()) << revision.status();
    EXPECT_EQ(*revision, view_->revision + 1);
    EXPECT_EQ(NumberOf(kWebIp), saved_before_.endpoints.Find({"shop", "web"}));
  }

  policy::Tables tables_;
  std::shared_ptr<const View> view_;
  StateStore::State saved_before_;
  std::map<std::uint32_t, datapath::PodInterface> pods_;
};

TEST_F(ControllerTest, AnInterfaceIsAttachedBeforeTheGenerationThatOpensIt) {
  ASSERT_TRUE(Restart().ok());
  EXPECT_THAT(datapath_.calls(), ElementsAre("Commit"));
  datapath_.ClearCalls();
  Plug("web", 11);
  const auto revision = Apply(Workload("web", kWebIp));
  ASSERT_TRUE(revision.ok()) << revision.status();
  EXPECT_EQ(*revision, 1U);
  EXPECT_THAT(datapath_.calls(), ElementsAre("ResetEndpoint 1", "AttachPod veth-web", "Commit"));
  EXPECT_EQ(NumberOf(kWebIp), 1U);
  EXPECT_EQ(controller_->view()->revision, 1U);
  EXPECT_TRUE(saved_.resources.contains(WorkloadId("web")));
}

TEST_F(ControllerWithPods, AWorkloadThatCannotBeBoundRefusesTheWholeApply) {
  const auto refused = Apply(Workload("cache", "10.0.0.3") + Policy("closed"));
  EXPECT_TRUE(absl::IsNotFound(refused.status())) << refused.status();
  EXPECT_THAT(Message(refused.status()), HasSubstr("shop/cache"));
  EXPECT_THAT(datapath_.calls(), IsEmpty());
  ExpectNothingChanged();
}

TEST_F(ControllerWithPods, WhatDoesNotFitTheTablesIsRefused) {
  policy::Limits limits;
  limits.addresses = 3;  // web, db and the node
  datapath_.SetLimits(limits);
  Plug("cache", 13);
  const auto refused = Apply(Workload("cache", "10.0.0.3"));
  EXPECT_TRUE(absl::IsResourceExhausted(refused.status())) << refused.status();
  EXPECT_THAT(datapath_.calls(), ElementsAre("AttachPod veth-cache"));
  datapath_.SetLimits({});
  ExpectNothingChanged({13});
}

TEST_F(ControllerWithPods, TwoWorkloadsWithOneAddressAreRefused) {
  Plug("cache", 13);
  const auto refused = Apply(Workload("cache", kWebIp));
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status())) << refused.status();
  EXPECT_THAT(Message(refused.status()), HasSubstr("shop/web"));
  ExpectNothingChanged({13});
}

TEST_F(ControllerWithPods, NodeAddressesThatCannotBeReadRefuseTheChange) {
  addresses_error_ = InvalidError("netlink says no");
  EXPECT_EQ(Message(Apply(Workload("web", kWebIp, "app: other")).status()), "netlink says no");
  addresses_error_ = OkStatus();
  ExpectNothingChanged();
}

TEST_F(ControllerWithPods, AFailedAttachIsUndone) {
  Plug("cache", 13);
  Plug("queue", 14);
  datapath_.FailNext("AttachPod", OkStatus());  // for cache
  datapath_.FailNext("AttachPod", InvalidError("no tc there"));
  const auto refused = Apply(Workload("cache", "10.0.0.3") + Workload("queue", "10.0.0.4"));
  EXPECT_EQ(Message(refused.status()), "no tc there");
  ExpectNothingChanged({13, 14});
}

TEST_F(ControllerWithPods, AFailedCommitUndoesTheAttachments) {
  Plug("cache", 13);
  datapath_.FailNext("Commit", InvalidError("map peers is full"));
  const auto refused = Apply(Workload("cache", "10.0.0.3"));
  EXPECT_EQ(Message(refused.status()), "map peers is full");
  EXPECT_THAT(datapath_.calls(), ElementsAre("ResetEndpoint 3", "AttachPod veth-cache", "Commit", "AttachPod veth-db",
                                             "AttachPod veth-web", "AttachPod veth-cache"))
      << "never off: it is the new one's";
  ExpectNothingChanged({13});
}

TEST_F(ControllerWithPods, ASaveThatFailsBeforeTheKernelTouchesNothing) {
  fail_before_enforcing_ = InvalidError("the disk is full");
  EXPECT_EQ(Message(Apply(Policy("closed")).status()), "the disk is full");
  EXPECT_THAT(datapath_.calls(), ::testing::Not(::testing::Contains("Commit")));
  ExpectNothingChanged();
}

TEST_F(ControllerWithPods, ASaveThatFailsAfterTheKernelPutsTheOldGenerationBack) {
  Plug("cache", 13);
  fail_after_enforcing_ = InvalidError("the disk is full");
  const auto refused = Apply(Workload("cache", "10.0.0.3") + Policy("closed"));
  EXPECT_EQ(Message(refused.status()), "the disk is full");
  EXPECT_EQ(std::ranges::count(datapath_.calls(), "Commit"), 2);
  EXPECT_EQ(NumberOf("10.0.0.3"), 0U);
  ExpectNothingChanged({13});
}

TEST_F(ControllerWithPods, AFailedDeleteLeavesTheWorkload) {
  datapath_.FailNext("Commit", InvalidError("map addresses is broken"));
  EXPECT_EQ(Message(controller_->Delete({WorkloadId("web")}).status()), "map addresses is broken");
  ExpectNothingChanged();
}

TEST_F(ControllerWithPods, DeletingWhatDoesNotExistDeletesNothing) {
  const auto refused = controller_->Delete({WorkloadId("web"), PolicyId("none")});
  EXPECT_TRUE(absl::IsNotFound(refused.status())) << refused.status();
  EXPECT_THAT(Message(refused.status()), HasSubstr("shop/none"));
  ExpectNothingChanged();
}

TEST_F(ControllerWithPods, ADeletedWorkloadsInterfaceIsLetGoAfterTheCommit) {
  ASSERT_TRUE(controller_->Delete({WorkloadId("web")}).ok());
  EXPECT_THAT(datapath_.calls(), ElementsAre("Commit", "DetachPod 11"));
  EXPECT_EQ(NumberOf(kWebIp), 0U);
  EXPECT_EQ(saved_.endpoints.Find({"shop", "web"}), 0U);
}

TEST_F(ControllerWithPods, ARefreshWithoutChangeMakesNoGenerationAndSavesNothing) {
  const std::uint64_t generation = datapath_.generation();
  const int saves = saves_;
  ASSERT_TRUE(controller_->Refresh().ok());
  EXPECT_EQ(datapath_.generation(), generation);
  EXPECT_EQ(saves_, saves);
  EXPECT_EQ(controller_->view()->revision, 1U);
}

TEST_F(ControllerWithPods, ARefreshFollowsTheNodesAddresses) {
  node_addresses_.push_back(policy::Address::Parse("10.0.0.253").value());
  const std::uint64_t generation = datapath_.generation();
  ASSERT_TRUE(controller_->Refresh().ok());
  EXPECT_EQ(datapath_.generation(), generation + 1);
  EXPECT_TRUE(datapath_.tables().addresses.contains(node_addresses_.back()));
  EXPECT_EQ(controller_->view()->revision, 1U) << "the resources did not change";
}

TEST_F(ControllerWithPods, AFailedRefreshChangesNothing) {
  node_addresses_.push_back(policy::Address::Parse("10.0.0.253").value());
  datapath_.FailNext("Commit", InvalidError("map addresses is full"));
  EXPECT_EQ(Message(controller_->Refresh()), "map addresses is full");
  node_addresses_.pop_back();
  ExpectNothingChanged();
}

TEST_F(ControllerWithPods, AWorkloadThatVanishesIsUnboundAndComesBackUnderItsNumber) {
  Unplug("web");
  ASSERT_TRUE(controller_->Refresh().ok());
  EXPECT_EQ(NumberOf(kWebIp), 0U);
  EXPECT_TRUE(controller_->view()->unbound.contains({"shop", "web"}));
  EXPECT_FALSE(datapath_.pods().contains(11)) << "the interface has gone";
  Plug("cache", 13);
  ASSERT_TRUE(Apply(Workload("cache", "10.0.0.3")).ok()) << "others are not held up";
  EXPECT_EQ(NumberOf("10.0.0.3"), 3U);
  Plug("web", 21);
  datapath_.ClearCalls();
  ASSERT_TRUE(controller_->Refresh().ok());
  EXPECT_EQ(NumberOf(kWebIp), saved_.endpoints.Find({"shop", "web"}));
  EXPECT_THAT(datapath_.calls(), ::testing::Not(::testing::Contains(HasSubstr("ResetEndpoint"))));
  EXPECT_TRUE(controller_->view()->unbound.empty());
}

TEST_F(ControllerWithPods, EndpointNumbersOutliveARestartAndOtherWorkloads) {
  const std::uint32_t web = NumberOf(kWebIp);
  ASSERT_TRUE(controller_->Delete({WorkloadId("db")}).ok());
  ASSERT_TRUE(Restart().ok());
  EXPECT_EQ(NumberOf(kWebIp), web);
  Plug("cache", 13);
  datapath_.ClearCalls();
  ASSERT_TRUE(Apply(Workload("cache", "10.0.0.3")).ok());
  EXPECT_EQ(NumberOf(kWebIp), web);
  EXPECT_NE(NumberOf("10.0.0.3"), web);
  EXPECT_THAT(datapath_.calls(), ::testing::Contains(fmt::format("ResetEndpoint {}", NumberOf("10.0.0.3"))));
}

TEST_F(ControllerTest, TheApiWinsOverTheDirectoryAndUncoversItAgain) {
  directory_ = Map(Policy("db", "podSelector: {matchLabels: {from: directory}}"));
  ASSERT_TRUE(Restart().ok());
  const auto selector = [this] {
    return controller_->view()->resources.at(PolicyId("db")).policy->pod_selector.requirements.front().values.front();
  };
  EXPECT_EQ(selector(), "directory");
  ASSERT_TRUE(Apply(Policy("db", "podSelector: {matchLabels: {from: api}}")).ok());
  EXPECT_EQ(selector(), "api");
  ASSERT_TRUE(controller_->SetDirectory(Map(Policy("db", "podSelector: {matchLabels: {from: later}}"))).ok());
  EXPECT_EQ(selector(), "api");
  ASSERT_TRUE(controller_->Delete({PolicyId("db")}).ok());
  EXPECT_EQ(selector(), "later");
  const auto refused = controller_->Delete({PolicyId("db")});
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status())) << refused.status();
  EXPECT_THAT(Message(refused.status()), HasSubstr("resources directory"));
  EXPECT_TRUE(saved_.resources.empty()) << "the directory is not saved";
}

TEST_F(ControllerTest, AWorkloadOfTheDirectoryMayComeLater) {
  directory_ = Map(Workload("web", kWebIp));
  ASSERT_TRUE(Restart().ok());
  EXPECT_TRUE(controller_->view()->unbound.contains({"shop", "web"}));
  Plug("web", 11);
  ASSERT_TRUE(controller_->Refresh().ok());
  EXPECT_EQ(NumberOf(kWebIp), 1U);
}

TEST_F(ControllerTest, AnInterfaceThatAnEarlierAgentLeftStaysClosedWhileSomebodyIsMissing) {
  directory_ = Map(Workload("web", kWebIp));
  datapath_.AddAttached({"tc_from_pod", "veth-web", 11, ""});
  interfaces_["somebody"] = 11;  // the interface exists, but the look-up does not find web behind it
  ASSERT_TRUE(Restart().ok());
  EXPECT_THAT(datapath_.calls(), ElementsAre("Commit"));
  ASSERT_TRUE(controller_->SetDirectory({}).ok());
  EXPECT_THAT(datapath_.calls(), ::testing::Contains("DetachPod 11"));
}

TEST_F(ControllerTest, ARestoreThatFailsClosesWhatItCouldNotOpenAndIsTriedAgain) {
  directory_ = Map(Workload("web", kWebIp));
  Plug("web", 11);
  datapath_.FailNext("Commit", InvalidError("map ports is full"));
  ASSERT_TRUE(Restart().ok());
  EXPECT_EQ(controller_->view()->holding, "map ports is full");
  EXPECT_TRUE(IsClosed(11));
  ASSERT_TRUE(controller_->Refresh().ok());
  EXPECT_EQ(controller_->view()->holding, "");
  EXPECT_TRUE(IsEnforced(11));
}

TEST_F(ControllerWithPods, APolicyAloneLooksAtNoInterface) {
  Unplug("web");
  ASSERT_TRUE(Apply(Policy("closed")).ok());
  EXPECT_THAT(datapath_.calls(), ElementsAre("Commit"));
  EXPECT_NE(NumberOf(kWebIp), 0U) << "until Refresh";
}

TEST_F(ControllerWithPods, ChangesThatWaitAreMadeTogether) {
  constexpr int kCallers = 8, kRounds = 20;
  std::atomic<int> calling = 0, at_work = kCallers;
  while_saving_ = [&] {
    while (calling < at_work) std::this_thread::yield();  // until all others wait, or are about to
  };
  std::vector<std::thread> callers;
  for (int caller = 0; caller < kCallers; caller++) {
    callers.emplace_back([&, caller] {
      std::uint64_t before = 1;
      for (int round = 0; round < kRounds; round++) {
        const std::string name = fmt::format("policy-{}-{}", caller, round % 3);
        auto resources = Parse(Policy(name, fmt::format("podSelector: {{matchLabels: {{app: x{}}}}}", round)));
        ++calling;
        const auto applied = controller_->Apply(std::move(resources));
        EXPECT_TRUE(applied.ok()) << applied.status();
        EXPECT_GT(*applied, before);
        before = *applied;
        EXPECT_TRUE(controller_->view()->resources.contains(PolicyId(name))) << "in force when it returns";
        const auto refused = controller_->Delete({PolicyId(fmt::format("none-{}", caller))});
        EXPECT_TRUE(absl::IsNotFound(refused.status())) << refused.status();
        --calling;
      }
      --at_work;
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_LT(saves_, kCallers * kRounds);
  EXPECT_EQ(saved_.revision, controller_->view()->revision);
  for (const auto& [id, resource] : controller_->view()->resources) {
    ASSERT_TRUE(saved_.resources.contains(id)) << id.ToString();
    EXPECT_EQ(saved_.resources.at(id).yaml, resource.yaml);
  }
  EXPECT_EQ(saved_.resources.size(), controller_->view()->resources.size());
  EXPECT_EQ(saved_.resources.of(policy::Kind::kNetworkPolicy).size(), kCallers * 3U);
}

TEST_F(ControllerWithPods, OneOfThoseThatWaitIsRefusedAlone) {
  constexpr int kCallers = 6;
  std::vector<std::thread> callers;
  for (int caller = 0; caller < kCallers; caller++) {
    callers.emplace_back([this, caller] {
      for (int round = 0; round < 10; round++) {
        if (caller % 2 == 0) {
          const auto refused = Apply(Workload(fmt::format("missing-{}", caller), fmt::format("10.0.9.{}", caller)));
          EXPECT_TRUE(absl::IsNotFound(refused.status())) << refused.status();
          EXPECT_THAT(Message(refused.status()), HasSubstr(fmt::format("missing-{}", caller)));
        } else {
          EXPECT_TRUE(Apply(Policy(fmt::format("p-{}-{}", caller, round))).ok());
        }
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(saved_.resources.of(policy::Kind::kNetworkPolicy).size(), kCallers / 2 * 10U);
  EXPECT_EQ(saved_.resources.of(policy::Kind::kWorkload).size(), 2U);
}

TEST_F(ControllerWithPods, DecisionsOfEarlierGenerationsKeepTheirMeaning) {
  ASSERT_TRUE(Apply(Policy("closed")).ok());
  const auto decisions = controller_->view()->compiled.decisions;
  ASSERT_FALSE(decisions.empty());
  ASSERT_TRUE(controller_->Delete({PolicyId("closed")}).ok());
  EXPECT_TRUE(controller_->view()->compiled.decisions.empty());
  const auto decision = controller_->FindDecision(decisions.begin()->first);
  ASSERT_NE(decision, nullptr);
  EXPECT_EQ(*decision, *decisions.begin()->second);
  EXPECT_EQ(controller_->FindDecision(12345), nullptr);
}

}  // namespace
}  // namespace sluice::reconcile
