// A workload that is found but cannot be enforced on is closed, whatever the reason; and a failed look-up changes
// nothing.
#include "tests/unit/reconcile/controller_world.h"

namespace sluice::reconcile {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

const Status kNoAddress = MakeError(absl::StatusCode::kFailedPrecondition, "Workload shop/web: it has no address");
const Status kNoDescriptors = MakeError(absl::StatusCode::kResourceExhausted, "open: Too many open files");
const Status kNoRight = MakeError(absl::StatusCode::kPermissionDenied, "setns: Operation not permitted");
const Status kDiskFull = MakeError(absl::StatusCode::kResourceExhausted, "the disk is full");

class ClosedFirst : public ControllerTest {
 protected:
  void SetUp() override { ASSERT_TRUE(Restart().ok()); }
  void ApplyWebAndDb() {
    Plug("web", 11);
    Plug("db", 12);
    ASSERT_TRUE(Apply(Workload("web", "10.0.0.1") + Workload("db", "10.0.0.2")).ok());
    ASSERT_TRUE(IsEnforced(11));
    ASSERT_TRUE(IsEnforced(12));
  }
};

TEST_F(ClosedFirst, AWorkloadOfTheDirectoryWithoutAddressIsClosedUntilItHasOne) {
  for (const Status& error : {kNoAddress, kNoRight}) {
    Plug("web", 11);
    bind_errors_["web"] = error;
    ASSERT_TRUE(controller_->SetDirectory(Map(Workload("web", "10.0.0.1"))).ok());
    EXPECT_TRUE(IsClosed(11)) << error;
    EXPECT_EQ(Problem("web"), Message(error));
    bind_errors_.clear();
    ASSERT_TRUE(controller_->Refresh().ok());
    EXPECT_TRUE(IsEnforced(11));
    ASSERT_TRUE(controller_->SetDirectory({}).ok());
    EXPECT_FALSE(datapath_.pods().contains(11));
  }
}

TEST_F(ClosedFirst, WhatCannotBeClosedIsNotCalledClosed) {
  ApplyWebAndDb();
  bind_errors_["cache"] = kNoRight;
  host_ends_error_ = kNoDescriptors;
  Plug("cache", 13);
  ASSERT_TRUE(controller_->SetDirectory(Map(Workload("cache", "10.0.0.3"))).ok());
  EXPECT_FALSE(datapath_.pods().contains(13));
  EXPECT_THAT(Problem("cache"), AllOf(HasSubstr("setns"), HasSubstr("NOT closed"), HasSubstr("Too many open files")));
  EXPECT_TRUE(controller_->view()->open.contains({"shop", "cache"}));
  host_ends_error_ = OkStatus();
  controller_->CloseNewInterfaces();
  EXPECT_TRUE(IsClosed(13));
  EXPECT_FALSE(controller_->Refresh().ok());
  EXPECT_EQ(Problem("cache"), Message(kNoRight));
  EXPECT_TRUE(controller_->view()->open.empty());
}

TEST_F(ClosedFirst, AfterABootToo) {
  ApplyWebAndDb();
  bind_errors_["web"] = kNoAddress;
  Plug("web", 21);  // a boot: another interface, and no pins
  for (const std::uint32_t ifindex : {11U, 12U}) ASSERT_TRUE(datapath_.DetachPod(ifindex).ok());
  ASSERT_TRUE(datapath_.Commit({}).ok());
  ASSERT_TRUE(Restart().ok());
  EXPECT_TRUE(IsClosed(21));
  EXPECT_TRUE(IsEnforced(12));
}

TEST_F(ClosedFirst, WhatComesIsClosedBeforeAnythingIsCompiled) {
  directory_ = Map(Workload("web", "10.0.0.1"));
  ASSERT_TRUE(controller_->SetDirectory(directory_.value()).ok());
  Plug("web", 11);
  bind_errors_["web"] = kNoAddress;
  datapath_.ClearCalls();
  controller_->CloseNewInterfaces();
  EXPECT_THAT(datapath_.calls(), ::testing::ElementsAre("AttachPod veth-web"));
  controller_->CloseNewInterfaces();
  EXPECT_EQ(datapath_.calls().size(), 1U) << "once";
  bind_errors_.clear();
  ASSERT_TRUE(controller_->Refresh().ok());
  EXPECT_TRUE(IsEnforced(11));
}

TEST_F(ClosedFirst, APodThatComesBackUnderAnotherInterfaceIsClosedAtOnce) {
  ApplyWebAndDb();
  Plug("web", 21);
  controller_->CloseNewInterfaces();
  EXPECT_TRUE(IsClosed(21));
  EXPECT_TRUE(IsEnforced(12)) << "others go on";
  ASSERT_TRUE(controller_->Refresh().ok());
  EXPECT_TRUE(IsEnforced(21));
}

TEST_F(ClosedFirst, ANewWorkloadIsClosedAndListedWhenTheDiskIsFull) {
  ApplyWebAndDb();
  Plug("cache", 13);
  disk_ = kDiskFull;
  EXPECT_EQ(Message(Apply(Workload("cache", "10.0.0.3")).status()), "the disk is full");
  EXPECT_TRUE(IsClosed(13));
  EXPECT_THAT(Problem("cache"), HasSubstr("the disk is full"));
  ASSERT_TRUE(controller_->Quarantine({"shop", "cache"}).ok());
  ASSERT_TRUE(controller_->Release({"shop", "cache"}).ok());
  EXPECT_EQ(controller_->Refresh(), kDiskFull) << "that it was refused is not saved yet";
  EXPECT_TRUE(IsClosed(13)) << "it stays so";
  EXPECT_TRUE(IsEnforced(11));

  disk_ = OkStatus();
  ASSERT_TRUE(Apply(Workload("cache", "10.0.0.3")).ok());
  EXPECT_TRUE(IsEnforced(13));
  EXPECT_EQ(Problem("cache"), "");
}

TEST_F(ClosedFirst, AWorkloadOfTheDirectoryIsClosedWhenTheDiskIsFull) {
  disk_ = kDiskFull;
  Plug("web", 11);
  EXPECT_FALSE(controller_->SetDirectory(Map(Workload("web", "10.0.0.1"))).ok());
  EXPECT_TRUE(IsClosed(11));
  EXPECT_THAT(Problem("web"), HasSubstr("the disk is full"));
}

TEST_F(ClosedFirst, WhatWasRefusedIsLetGoByADelete) {
  Plug("web", 11);
  bind_errors_["web"] = kNoAddress;
  EXPECT_EQ(Apply(Workload("web", "10.0.0.1")).status(), kNoAddress);
  ASSERT_TRUE(IsClosed(11));
  ASSERT_TRUE(controller_->Delete({WorkloadId("web")}).ok());
  EXPECT_FALSE(datapath_.pods().contains(11));
  EXPECT_EQ(Problem("web"), "");
  EXPECT_TRUE(absl::IsNotFound(controller_->Delete({WorkloadId("web")}).status()));
}

TEST_F(ClosedFirst, WhatWasRefusedIsForgottenOnceItIsEnforced) {
  Plug("web", 11);
  disk_ = kDiskFull;
  directory_ = Map(Workload("web", "10.0.0.1"));
  ASSERT_FALSE(controller_->SetDirectory(directory_.value()).ok());
  ASSERT_NE(Problem("web"), "");
  disk_ = OkStatus();
  ASSERT_TRUE(controller_->SetDirectory(directory_.value()).ok());
  EXPECT_TRUE(IsEnforced(11));
  EXPECT_EQ(Problem("web"), "");
  EXPECT_TRUE(absl::IsFailedPrecondition(controller_->Delete({WorkloadId("web")}).status())) << "the directory has it";
  EXPECT_TRUE(IsEnforced(11));
}

TEST_F(ClosedFirst, ARefusedMoveClosesTheOtherInterface) {
  ApplyWebAndDb();
  Plug("new", 13);
  const std::string moved =
      "{apiVersion: sluice.dev/v1alpha1, kind: Workload, metadata: {name: web, namespace: shop}, "
      "spec: {hostInterface: veth-new, ips: [10.0.0.1]}}";
  disk_ = kDiskFull;
  for (int i = 0; i < 2; i++) {
    EXPECT_FALSE(Apply(moved).ok());
    EXPECT_TRUE(IsClosed(13));
    EXPECT_TRUE(IsEnforced(11)) << "as before";
    static_cast<void>(controller_->Refresh());
    EXPECT_TRUE(IsClosed(13)) << "it stays so";
  }
  disk_ = OkStatus();
  ASSERT_TRUE(Apply(Policy("other")).ok());
  EXPECT_TRUE(IsClosed(13));
  ASSERT_TRUE(Apply(moved).ok());
  EXPECT_TRUE(IsEnforced(13));
  EXPECT_EQ(Problem("web"), "");
  EXPECT_FALSE(datapath_.pods().contains(11));
}

TEST_F(ClosedFirst, WhatWasRefusedIsForgottenWithItsInterface) {
  Plug("web", 11);
  bind_errors_["web"] = kNoAddress;
  EXPECT_FALSE(Apply(Workload("web", "10.0.0.1")).ok());
  Unplug("web");
  ASSERT_TRUE(controller_->Refresh().ok());
  EXPECT_EQ(Problem("web"), "");
}

// Nothing has deleted the workload, and an agent without knowledge of it does not open it either.
TEST_F(ClosedFirst, WhatWasRefusedStaysClosedOverARestart) {
  ApplyWebAndDb();
  Plug("cache", 13);
  disk_ = kDiskFull;
  EXPECT_FALSE(Apply(Workload("cache", "10.0.0.3")).ok());
  ASSERT_TRUE(Restart().ok());
  EXPECT_TRUE(IsClosed(13));
  EXPECT_TRUE(IsEnforced(11));
  ASSERT_EQ(controller_->view()->closed.size(), 1U) << "though nobody could save whose it is";
  EXPECT_THAT(controller_->view()->closed.at(13), HasSubstr("earlier agent"));
  // The workload is known again, and then deleted.
  EXPECT_FALSE(Apply(Workload("cache", "10.0.0.3")).ok());
  EXPECT_TRUE(IsClosed(13));
  EXPECT_NE(Problem("cache"), "");
  EXPECT_TRUE(controller_->view()->closed.empty());
  disk_ = OkStatus();
  ASSERT_TRUE(controller_->Delete({WorkloadId("cache")}).ok());
  EXPECT_FALSE(datapath_.pods().contains(13));
}

TEST_F(ClosedFirst, WhatWasRefusedIsListedWithItsReasonAfterARestart) {
  ApplyWebAndDb();
  Plug("cache", 13);
  bind_errors_["cache"] = kNoAddress;
  EXPECT_EQ(Apply(Workload("cache", "10.0.0.3")).status(), kNoAddress);
  const std::string problem = Problem("cache");
  ASSERT_THAT(problem, HasSubstr("it has no address"));
  for (int i = 0; i < 2; i++) {
    ASSERT_TRUE(Restart().ok());
    EXPECT_TRUE(IsClosed(13));
    EXPECT_EQ(Problem("cache"), problem);
    EXPECT_TRUE(controller_->view()->closed.empty());
    ASSERT_TRUE(Apply(Policy("other" + std::to_string(i))).ok()) << "a change of another is no reason to forget it";
    EXPECT_TRUE(IsClosed(13));
    EXPECT_EQ(Problem("cache"), problem);
  }
  ASSERT_TRUE(controller_->Delete({WorkloadId("cache")}).ok());
  EXPECT_FALSE(datapath_.pods().contains(13));
  ASSERT_TRUE(Restart().ok());
  EXPECT_EQ(Problem("cache"), "");
}

TEST_F(ClosedFirst, WhatWasRefusedIsEnforcedOnceItIsAppliedAfterARestart) {
  Plug("web", 11);
  bind_errors_["web"] = kNoAddress;
  EXPECT_FALSE(Apply(Workload("web", "10.0.0.1")).ok());
  ASSERT_TRUE(Restart().ok());
  bind_errors_.clear();
  ASSERT_TRUE(Apply(Workload("web", "10.0.0.1")).ok());
  EXPECT_TRUE(IsEnforced(11));
  EXPECT_EQ(Problem("web"), "");
  ASSERT_TRUE(Restart().ok());
  EXPECT_TRUE(IsEnforced(11));
  EXPECT_EQ(Problem("web"), "");
}

TEST_F(ClosedFirst, WhatWasRefusedIsForgottenOnceTheDirectoryHasIt) {
  Plug("web", 11);
  bind_errors_["web"] = kNoAddress;
  EXPECT_FALSE(Apply(Workload("web", "10.0.0.1")).ok());
  bind_errors_.clear();
  directory_ = Map(Workload("web", "10.0.0.1"));
  ASSERT_TRUE(Restart().ok());
  EXPECT_TRUE(IsEnforced(11));
  EXPECT_EQ(Problem("web"), "");
  EXPECT_TRUE(saved_.refusals.empty());
}

// After a boot the index belongs to another interface, and nothing is closed.
TEST_F(ClosedFirst, WhatWasRefusedIsForgottenWhereNothingIsAttached) {
  Plug("web", 11);
  bind_errors_["web"] = kNoAddress;
  EXPECT_FALSE(Apply(Workload("web", "10.0.0.1")).ok());
  ASSERT_TRUE(datapath_.DetachPod(11).ok());
  ASSERT_TRUE(Restart().ok());
  EXPECT_EQ(Problem("web"), "");
  EXPECT_FALSE(datapath_.pods().contains(11));
}

TEST_F(ClosedFirst, ARefusedChangeOfAnEnforcedWorkloadLeavesItEnforced) {
  ApplyWebAndDb();
  disk_ = kDiskFull;
  EXPECT_FALSE(Apply(Workload("web", "10.0.0.1", "app: other")).ok());
  EXPECT_TRUE(IsEnforced(11));
  EXPECT_EQ(Problem("web"), "");
}

TEST_F(ClosedFirst, OfTwoWorkloadsWithOneAddressTheSecondIsClosedAndTheAgentStarts) {
  Plug("a", 11);
  Plug("b", 12);
  directory_ = Map(Workload("a", "10.0.0.1") + Workload("b", "10.0.0.1"));
  ASSERT_TRUE(Restart().ok());
  EXPECT_TRUE(IsEnforced(11));
  EXPECT_TRUE(IsClosed(12));
  EXPECT_THAT(Problem("b"), HasSubstr("shop/a"));
}

TEST_F(ClosedFirst, TwoWorkloadsWithOneAddressThatAreNotThereYetDoNotKeepTheAgentFromStarting) {
  directory_ = Map(Workload("a", "10.0.0.1") + Workload("b", "10.0.0.1"));
  ASSERT_TRUE(Restart().ok());
  Plug("b", 12);
  ASSERT_TRUE(controller_->Refresh().ok());
  EXPECT_TRUE(IsEnforced(12)) << "who is there has it";
  Plug("a", 11);
  ASSERT_TRUE(controller_->Refresh().ok());
  EXPECT_TRUE(IsEnforced(12));
  EXPECT_TRUE(IsClosed(11));
}

TEST_F(ClosedFirst, ALookUpThatFailsKeepsTheLastAnswer) {
  ApplyWebAndDb();
  const std::uint64_t generation = datapath_.generation();
  look_up_error_ = kNoDescriptors;
  const Status refreshed = controller_->Refresh();
  EXPECT_TRUE(absl::IsUnavailable(refreshed)) << refreshed;
  EXPECT_THAT(Message(refreshed), HasSubstr("Too many open files"));
  EXPECT_TRUE(IsEnforced(11));
  EXPECT_TRUE(IsEnforced(12));
  EXPECT_EQ(datapath_.generation(), generation);
  EXPECT_TRUE(controller_->view()->unbound.empty());
  look_up_error_ = OkStatus();
  EXPECT_TRUE(controller_->Refresh().ok());
}

TEST_F(ClosedFirst, OnePodThatCannotBeLookedUpCutsNobodyElse) {
  ApplyWebAndDb();
  bind_errors_["web"] = kNoDescriptors;
  EXPECT_FALSE(controller_->Refresh().ok());
  EXPECT_TRUE(IsEnforced(11));
  EXPECT_TRUE(IsEnforced(12));
  bind_errors_["web"] = kNoAddress;  // an answer, not a failed look-up
  EXPECT_TRUE(controller_->Refresh().ok());
  EXPECT_TRUE(IsClosed(11));
  EXPECT_TRUE(IsEnforced(12));
}

TEST_F(ClosedFirst, ALastAnswerIsNotKeptForAnotherSpecOrAnInterfaceThatIsGone) {
  ApplyWebAndDb();
  look_up_error_ = kNoDescriptors;
  Unplug("web");
  EXPECT_FALSE(controller_->Refresh().ok());
  EXPECT_FALSE(datapath_.EndpointsInForce().contains(11));
  EXPECT_TRUE(IsEnforced(12));
  EXPECT_EQ(Apply(Workload("db", "10.0.0.9")).status(), kNoDescriptors);
  EXPECT_TRUE(IsEnforced(12)) << "as it was";
}

TEST_F(ClosedFirst, AStartThatCannotLookLeavesWhatThePinsSay) {
  ApplyWebAndDb();
  look_up_error_ = kNoDescriptors;
  datapath_.ClearCalls();
  ASSERT_TRUE(Restart().ok());
  EXPECT_TRUE(IsEnforced(11));
  EXPECT_TRUE(IsEnforced(12));
  EXPECT_THAT(datapath_.calls(), Not(Contains("Commit")));
  EXPECT_THAT(controller_->view()->holding, HasSubstr("Too many open files"));
  EXPECT_TRUE(absl::IsUnavailable(Apply(Policy("closed")).status()));
  look_up_error_ = OkStatus();
  ASSERT_TRUE(controller_->Refresh().ok());
  EXPECT_EQ(controller_->view()->holding, "");
  EXPECT_TRUE(Apply(Policy("closed")).ok());
}

TEST_F(ClosedFirst, FollowingTheNodeDoesNotWaitForTheDisk) {
  ApplyWebAndDb();
  Plug("cache", 13);
  bind_errors_["cache"] = kNoAddress;
  ASSERT_TRUE(controller_->SetDirectory(Map(Workload("cache", "10.0.0.3"))).ok());
  disk_ = kDiskFull;
  bind_errors_.clear();
  EXPECT_EQ(controller_->Refresh(), kDiskFull) << "said, and tried again";
  EXPECT_TRUE(IsEnforced(13)) << "its number is new and not saved";
  const std::uint32_t number = NumberOf("10.0.0.3");
  EXPECT_EQ(controller_->Refresh(), kDiskFull);
  EXPECT_EQ(std::ranges::count(datapath_.calls(), fmt::format("ResetEndpoint {}", number)), 1);
  disk_ = OkStatus();
  ASSERT_TRUE(controller_->Refresh().ok());
  EXPECT_EQ(saved_.endpoints.Find({"shop", "cache"}), number);
}

TEST_F(ClosedFirst, AStartDoesNotWaitForTheDisk) {
  ApplyWebAndDb();
  Plug("cache", 13);
  directory_ = Map(Workload("cache", "10.0.0.3"));
  disk_ = kDiskFull;
  ASSERT_TRUE(Restart().ok());
  for (const std::uint32_t ifindex : {11U, 12U, 13U}) EXPECT_TRUE(IsEnforced(ifindex)) << ifindex;
}

TEST_F(ClosedFirst, OnePodThatNothingCanBeAttachedToHoldsUpNobodyElse) {
  ApplyWebAndDb();
  Plug("web", 21);
  Plug("db", 22);
  for (const std::uint32_t ifindex : {11U, 12U}) ASSERT_TRUE(datapath_.DetachPod(ifindex).ok());
  datapath_.Reset();
  datapath_.FailNext("AttachPod", InvalidError("no memory"));
  ASSERT_TRUE(Restart().ok());
  EXPECT_EQ(controller_->view()->holding, "");
  EXPECT_FALSE(IsEnforced(22));
  EXPECT_THAT(Problem("db"), HasSubstr("no memory"));
  EXPECT_TRUE(IsEnforced(21));
  ASSERT_TRUE(controller_->Refresh().ok());
  EXPECT_TRUE(IsEnforced(22)) << "tried again";
  EXPECT_EQ(Problem("db"), "");
}

TEST_F(ClosedFirst, AnInterfaceThatCannotBeClosedKeepsNobodyFromBeingEnforcedOn) {
  ApplyWebAndDb();
  bind_errors_["web"] = kNoAddress;
  datapath_.FailNext("AttachPod", OkStatus());  // for db
  datapath_.FailNext("AttachPod", InvalidError("no such device"));
  ASSERT_TRUE(controller_->Refresh().ok());
  EXPECT_TRUE(IsEnforced(12));
}

TEST_F(ClosedFirst, APodThatIsEnforcedOnStaysSoWhenItCannotBeAttachedAgain) {
  ApplyWebAndDb();
  datapath_.FailNext("AttachPod", InvalidError("no memory"));
  ASSERT_TRUE(controller_->Refresh().ok());
  EXPECT_TRUE(IsEnforced(11));
  EXPECT_TRUE(IsEnforced(12));
  EXPECT_EQ(Problem("db"), "");
}

}  // namespace
}  // namespace sluice::reconcile
