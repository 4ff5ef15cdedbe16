// After a change of the node, only those workloads are looked up again that it may concern.
#include "ctrl/reconcile/controller.h"
#include "tests/unit/reconcile/controller_world.h"

namespace sluice::reconcile {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class Heard : public ControllerTest {
 protected:
  void SetUp() override {
    ASSERT_TRUE(Restart().ok());
    Plug("web", 11);
    Plug("db", 12);
    ASSERT_TRUE(controller_
                    ->SetKubernetes(
                        Map(Workload("web", "10.0.0.1") + Workload("db", "10.0.0.2") + Workload("late", "10.0.0.3")))
                    .ok());
    looked_up_.clear();
  }
  void Refresh(const net::NetChanges& heard) {
    const Status refreshed = controller_->Refresh(heard);
    EXPECT_TRUE(refreshed.ok()) << refreshed;
  }
};

TEST_F(Heard, APodThatComesConcernsNoOther) {
  Plug("late", 13);
  Refresh({.veths = {13, 99}, .namespaces = {13}});
  EXPECT_THAT(looked_up_, ElementsAre("late"));
  EXPECT_TRUE(IsEnforced(13));
  looked_up_.clear();
  Refresh({.veths = {99}, .namespaces = {98}});
  EXPECT_THAT(looked_up_, IsEmpty());
}

TEST_F(Heard, WhatIsNotThereIsLookedForEachTime) {
  Refresh({});
  EXPECT_THAT(looked_up_, ElementsAre("late"));
}

TEST_F(Heard, AWorkloadIsLookedUpForItsVethAndForItsNamespace) {
  Refresh({.veths = {11}});
  EXPECT_THAT(looked_up_, ElementsAre("late", "web"));
  looked_up_.clear();
  Refresh({.namespaces = {12}});
  EXPECT_THAT(looked_up_, ElementsAre("db", "late"));
}

TEST_F(Heard, OneThatIsGoneIsLookedForWithoutAWord) {
  Unplug("web");
  Refresh({.veths = {99}});
  EXPECT_THAT(looked_up_, ElementsAre("late", "web"));
  EXPECT_FALSE(datapath_.pods().contains(11));
}

TEST_F(Heard, OneWhosePathLeadsToAnotherNamespaceIsLookedUp) {
  replaced_ = {"/run/netns/web"};
  Refresh({.veths = {99}});
  EXPECT_THAT(looked_up_, ElementsAre("late", "web")) << "though its interface is still there";
}

TEST_F(Heard, AnythingElseConcernsAll) {
  Refresh({.other = true});
  EXPECT_THAT(looked_up_, ElementsAre("db", "late", "web"));
  looked_up_.clear();
  ASSERT_TRUE(controller_->Refresh().ok());
  EXPECT_THAT(looked_up_, ElementsAre("db", "late", "web"));
}

TEST_F(Heard, OneWhoseLookUpFailedIsLookedUpAgain) {
  bind_errors_["web"] = Status(absl::StatusCode::kInternal, "no file descriptors");
  EXPECT_FALSE(controller_->Refresh({.veths = {11}}).ok());
  bind_errors_.clear();
  looked_up_.clear();
  Refresh({});
  EXPECT_THAT(looked_up_, ElementsAre("late", "web"));
}

}  // namespace
}  // namespace sluice::reconcile
