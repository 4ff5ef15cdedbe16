// The controller's part of quarantine: when it writes to the kernel, and what is kept over restarts and boots.
#include <chrono>
#include <thread>

#include "tests/unit/reconcile/controller_world.h"

namespace sluice::reconcile {
namespace {

using policy::ObjectName;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const ObjectName kWeb{"shop", "web"};

class ControllerQuarantine : public ControllerTest {
 protected:
  void SetUp() override {
    ASSERT_TRUE(Restart().ok());
    Plug("web", 11);
    Plug("db", 12);
    ASSERT_TRUE(Apply(Workloads()).ok());
    web_ = NumberOf("10.0.0.1");
    datapath_.ClearCalls();
  }
  static std::string Workloads() { return Workload("web", "10.0.0.1") + Workload("db", "10.0.0.2"); }

  std::uint32_t web_ = 0;
};

TEST_F(ControllerQuarantine, CutsOffAndReleasesWithoutANewGeneration) {
  const std::uint64_t generation = datapath_.generation();
  const auto revision = controller_->Quarantine(kWeb);
  ASSERT_TRUE(revision.ok()) << revision.status();
  EXPECT_EQ(*revision, 1U);
  EXPECT_THAT(QuarantinedInKernel(), ElementsAre(web_));
  EXPECT_THAT(Quarantined(), ElementsAre(kWeb));
  EXPECT_THAT(saved_.quarantined, ElementsAre(kWeb));
  ASSERT_TRUE(controller_->Release(kWeb).ok());
  EXPECT_THAT(QuarantinedInKernel(), IsEmpty());
  EXPECT_THAT(Quarantined(), IsEmpty());
  EXPECT_THAT(saved_.quarantined, IsEmpty());
  EXPECT_EQ(datapath_.generation(), generation);
  EXPECT_EQ(saved_.revision, 1U);
}

TEST_F(ControllerQuarantine, TheKernelIsToldBeforeAnythingIsSaved) {
  while_saving_ = [this] { EXPECT_THAT(QuarantinedInKernel(), ElementsAre(web_)); };
  ASSERT_TRUE(controller_->Quarantine(kWeb).ok());
  while_saving_ = nullptr;
}

TEST_F(ControllerQuarantine, CountsWithoutADiskAndIsSavedWhenThereIsOne) {
  disk_ = MakeError(absl::StatusCode::kResourceExhausted, "the disk is full");
  std::string unsaved;
  ASSERT_TRUE(controller_->Quarantine(kWeb, &unsaved).ok());
  EXPECT_EQ(unsaved, "the disk is full");
  EXPECT_THAT(QuarantinedInKernel(), ElementsAre(web_));
  EXPECT_THAT(Quarantined(), ElementsAre(kWeb));
  EXPECT_EQ(Message(controller_->Refresh()), "the disk is full") << "so that the agent tries again";
  EXPECT_THAT(QuarantinedInKernel(), ElementsAre(web_));
  disk_ = OkStatus();
  ASSERT_TRUE(controller_->Refresh().ok());
  EXPECT_THAT(saved_.quarantined, ElementsAre(kWeb));
}

TEST_F(ControllerQuarantine, WithoutADiskItCanBeReleasedAgain) {
  disk_ = MakeError(absl::StatusCode::kResourceExhausted, "the disk is full");
  ASSERT_TRUE(controller_->Quarantine(kWeb).ok());
  ASSERT_TRUE(controller_->Release(kWeb).ok());
  EXPECT_THAT(QuarantinedInKernel(), IsEmpty());
  EXPECT_THAT(Quarantined(), IsEmpty());
  disk_ = OkStatus();
  ASSERT_TRUE(controller_->Refresh().ok());
  EXPECT_THAT(saved_.quarantined, IsEmpty());
}

TEST_F(ControllerQuarantine, TwiceIsOnce) {
  ASSERT_TRUE(controller_->Quarantine(kWeb).ok());
  const int saves = saves_;
  EXPECT_TRUE(controller_->Quarantine(kWeb).ok());
  EXPECT_EQ(saves_, saves);
  ASSERT_TRUE(controller_->Release(kWeb).ok());
  EXPECT_TRUE(controller_->Release(kWeb).ok());
  EXPECT_EQ(saves_, saves + 1);
}

TEST_F(ControllerQuarantine, AnUnknownWorkloadIsNotFound) {
  for (const bool release : {false, true}) {
    const auto refused = release ? controller_->Release({"shop", "none"}) : controller_->Quarantine({"shop", "none"});
    EXPECT_TRUE(absl::IsNotFound(refused.status())) << refused.status();
    EXPECT_THAT(Message(refused.status()), HasSubstr("shop/none"));
  }
  EXPECT_THAT(datapath_.calls(), IsEmpty());
  EXPECT_THAT(Quarantined(), IsEmpty());
}

TEST_F(ControllerQuarantine, RefusedByTheKernelOrAReleaseByTheStoreNothingChanges) {
  datapath_.FailNext("SetQuarantine", InvalidError("no map"));
  EXPECT_EQ(Message(controller_->Quarantine(kWeb).status()), "no map");
  EXPECT_THAT(QuarantinedInKernel(), IsEmpty());
  EXPECT_THAT(Quarantined(), IsEmpty());

  ASSERT_TRUE(controller_->Quarantine(kWeb).ok());
  datapath_.FailNext("SetQuarantine", InvalidError("no map"));
  EXPECT_EQ(Message(controller_->Release(kWeb).status()), "no map");
  fail_after_enforcing_ = InvalidError("the disk is full");
  EXPECT_EQ(Message(controller_->Release(kWeb).status()), "the disk is full");
  EXPECT_THAT(QuarantinedInKernel(), ElementsAre(web_));
  EXPECT_THAT(saved_.quarantined, ElementsAre(kWeb));
}

TEST_F(ControllerQuarantine, WhatAKernelProgramCutIsShownAndKept) {
  ASSERT_TRUE(datapath_.SetQuarantine(web_, true).ok());
  EXPECT_THAT(Quarantined(), ElementsAre(kWeb));
  EXPECT_THAT(saved_.quarantined, IsEmpty());
  ASSERT_TRUE(controller_->Refresh().ok());
  EXPECT_THAT(QuarantinedInKernel(), ElementsAre(web_)) << "nobody but a release ends it";
  ASSERT_TRUE(controller_->Release(kWeb).ok());
  EXPECT_THAT(QuarantinedInKernel(), IsEmpty());
}

TEST_F(ControllerQuarantine, OutlivesARestartAndABoot) {
  ASSERT_TRUE(controller_->Quarantine(kWeb).ok());
  ASSERT_TRUE(Restart().ok());
  EXPECT_THAT(Quarantined(), ElementsAre(kWeb));
  ASSERT_TRUE(datapath_.SetQuarantine(web_, false).ok());  // like a boot: the map is new
  datapath_.ClearCalls();
  ASSERT_TRUE(Restart().ok());
  EXPECT_THAT(QuarantinedInKernel(), ElementsAre(web_));
  EXPECT_EQ(datapath_.calls().front(), fmt::format("Quarantine {}", web_)) << "before anything is opened";
}

TEST_F(ControllerQuarantine, ComesBackWithTheWorkloadAndNotWithItsNumber) {
  ASSERT_TRUE(controller_->Quarantine(kWeb).ok());
  ASSERT_TRUE(controller_->Delete({WorkloadId("web")}).ok());
  EXPECT_THAT(Quarantined(), ElementsAre(kWeb)) << "shown while it is absent";
  Plug("cache", 13);
  ASSERT_TRUE(Apply(Workload("cache", "10.0.0.3")).ok());
  ASSERT_EQ(NumberOf("10.0.0.3"), web_) << "the number is used again";
  EXPECT_THAT(QuarantinedInKernel(), IsEmpty()) << "and starts free";
  EXPECT_THAT(Quarantined(), ElementsAre(kWeb));

  datapath_.ClearCalls();
  ASSERT_TRUE(Apply(Workload("web", "10.0.0.1")).ok());
  const std::uint32_t number = NumberOf("10.0.0.1");
  EXPECT_THAT(QuarantinedInKernel(), ElementsAre(number));
  EXPECT_THAT(datapath_.calls(), ElementsAre(fmt::format("ResetEndpoint {}", number),
                                             fmt::format("Quarantine {}", number), "AttachPod veth-web", "Commit"));
}

TEST_F(ControllerQuarantine, AnAbsentWorkloadCanBeReleased) {
  ASSERT_TRUE(controller_->Quarantine(kWeb).ok());
  ASSERT_TRUE(controller_->Delete({WorkloadId("web")}).ok());
  EXPECT_TRUE(absl::IsNotFound(controller_->Release({"shop", "none"}).status()));
  ASSERT_TRUE(controller_->Release(kWeb).ok());
  EXPECT_THAT(Quarantined(), IsEmpty());
  ASSERT_TRUE(Apply(Workload("web", "10.0.0.1")).ok());
  EXPECT_THAT(QuarantinedInKernel(), IsEmpty());
}

TEST_F(ControllerQuarantine, AWorkloadThatIsNotThereYetIsCutOffWhenItComes) {
  directory_ = Map(Workload("cache", "10.0.0.3"));
  ASSERT_TRUE(controller_->SetDirectory(directory_.value()).ok());
  ASSERT_TRUE(controller_->Quarantine({"shop", "cache"}).ok());
  EXPECT_THAT(QuarantinedInKernel(), IsEmpty());
  Plug("cache", 13);
  ASSERT_TRUE(controller_->Refresh().ok());
  EXPECT_THAT(QuarantinedInKernel(), ElementsAre(NumberOf("10.0.0.3")));
}

TEST_F(ControllerQuarantine, DoesNotWaitForAChangeThatIsUnderWay) {
  // The store is called during a change, with the controller's mutex held.
  bool cut_meanwhile = false;
  std::thread quarantine;
  controller_ = std::make_unique<Controller>(
      &datapath_,
      Node{[](const policy::Workload& workload) -> StatusOr<node::BoundWorkload> {
             node::BoundWorkload bound{.name = workload.name, .binding = {}, .host_interface = "veth-web"};
             bound.binding.ifindex = 11;
             bound.binding.ips = workload.ips;
             return bound;
           },
           []() -> StatusOr<std::vector<policy::Address>> { return std::vector<policy::Address>(); }, nullptr},
      [&](const StateChange& change, const std::function<Status()>& enforce) {
        SL_RETURN_IF_ERROR(enforce());
        if (change.puts.empty()) return OkStatus();
        quarantine = std::thread([&] { EXPECT_TRUE(controller_->Quarantine(kWeb).ok()); });
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
        while (!cut_meanwhile && std::chrono::steady_clock::now() < deadline)
          cut_meanwhile = !QuarantinedInKernel().empty();
        return OkStatus();
      });
  ASSERT_TRUE(controller_->Restore({.directory = Map(Workload("web", "10.0.0.1"))}, {}).ok());
  ASSERT_TRUE(Apply(Policy("closed")).ok());
  quarantine.join();
  EXPECT_TRUE(cut_meanwhile);
  EXPECT_THAT(Quarantined(), ElementsAre(kWeb));
}

TEST_F(ControllerQuarantine, AnUnreadableMapIsAnErrorAndNotAnEmptyList) {
  datapath_.SetQuarantineAllow({policy::Prefix::Parse("10.9.0.0/16").value()});
  EXPECT_THAT(controller_->quarantine()->allow, ElementsAre(policy::Prefix::Parse("10.9.0.0/16").value()));
  datapath_.FailNext("ReadQuarantine", InvalidError("map quarantine: get"));
  EXPECT_EQ(Message(controller_->quarantine().status()), "map quarantine: get");
}

}  // namespace
}  // namespace sluice::reconcile
