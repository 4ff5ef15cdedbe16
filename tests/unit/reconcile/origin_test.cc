// Documents of the API and of the resources directory, dry runs, and changes without effect.
#include "ctrl/reconcile/controller.h"
#include "tests/unit/reconcile/controller_world.h"

namespace sluice::reconcile {
namespace {

using ::testing::HasSubstr;

class Origin : public ControllerTest {
 protected:
  void SetUp() override {
    directory_ = Map(Policy("both") + Policy("directory"));
    ASSERT_TRUE(Restart().ok());
    Plug("web", 11);
    ASSERT_TRUE(Apply(Workload("web", "10.0.0.1") + Policy("both") + Policy("api")).ok());
  }
};

TEST_F(Origin, TheViewKnowsWhoseDocumentIsWhose) {
  const auto view = controller_->view();
  EXPECT_TRUE(view->desired.of(Source::kApi).contains(PolicyId("both")));
  EXPECT_TRUE(view->desired.of(Source::kDirectory).contains(PolicyId("both")));
  EXPECT_FALSE(view->desired.of(Source::kApi).contains(PolicyId("directory")));
  EXPECT_FALSE(view->desired.of(Source::kDirectory).contains(PolicyId("api")));
  ASSERT_TRUE(controller_->Delete({PolicyId("both")}).ok());
  EXPECT_FALSE(controller_->view()->desired.of(Source::kApi).contains(PolicyId("both")));
  EXPECT_TRUE(controller_->view()->resources.contains(PolicyId("both")));
}

TEST_F(Origin, AnUnchangedApplyRaisesNoRevision) {
  const std::uint64_t generation = datapath_.generation();
  EXPECT_EQ(*Apply(Workload("web", "10.0.0.1") + Policy("both")), 1U);
  EXPECT_EQ(datapath_.generation(), generation);
  EXPECT_EQ(saved_.revision, 1U);
  EXPECT_EQ(*Apply(Policy("both") + Policy("new")), 2U);
  EXPECT_EQ(*Apply(Policy("directory")), 3U) << "from now on it is the API's";
}

TEST_F(Origin, AnUnchangedDirectoryRaisesNoRevision) {
  const std::uint64_t generation = datapath_.generation();
  const int saves = saves_;
  ASSERT_TRUE(controller_->SetDirectory(Map(Policy("both") + Policy("directory"))).ok());
  EXPECT_EQ(controller_->view()->revision, 1U);
  EXPECT_EQ(datapath_.generation(), generation);
  EXPECT_EQ(saves_, saves);
  ASSERT_TRUE(controller_->SetDirectory(Map(Policy("both"))).ok());
  EXPECT_EQ(controller_->view()->revision, 2U);
  EXPECT_FALSE(controller_->view()->resources.contains(PolicyId("directory")));
  ASSERT_TRUE(controller_->SetDirectory(Map(Policy("both", "podSelector: {matchLabels: {a: b}}"))).ok());
  EXPECT_EQ(controller_->view()->revision, 3U) << "another document of the same name";
}

TEST_F(Origin, AnUnchangedWorkloadIsLookedForAgain) {
  Plug("web", 12);
  EXPECT_EQ(*Apply(Workload("web", "10.0.0.1")), 1U);
  EXPECT_TRUE(IsEnforced(12)) << "when the call returns";
  Unplug("web");
  EXPECT_TRUE(absl::IsNotFound(Apply(Workload("web", "10.0.0.1")).status()));
}

TEST_F(Origin, WhatIsMissingMayBeIgnored) {
  using Missing = reconcile::Missing;
  EXPECT_EQ(*controller_->Delete({PolicyId("nobody")}, Missing::kIgnored), 1U) << "changes nothing";
  EXPECT_EQ(*controller_->Delete({PolicyId("nobody"), PolicyId("api")}, Missing::kIgnored), 2U);
  const auto refused = controller_->Delete({PolicyId("directory")}, Missing::kIgnored);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status())) << "it is there: " << refused.status();
}

TEST_F(Origin, ATryIsRefusedAsTheChangeAndChangesNothing) {
  const auto view = controller_->view();
  const int saves = saves_;
  datapath_.ClearCalls();
  EXPECT_EQ(*controller_->Try(Parse(Policy("new") + Policy("api", "podSelector: {matchLabels: {a: b}}")), {}), 1U);
  EXPECT_EQ(*controller_->Try({}, {PolicyId("api")}), 1U);
  EXPECT_TRUE(absl::IsNotFound(controller_->Try({}, {PolicyId("nobody")}).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(controller_->Try({}, {PolicyId("directory")}).status()));
  EXPECT_TRUE(absl::IsNotFound(controller_->Try(Parse(Workload("cache", "10.0.0.3")), {}).status()));
  Plug("cache", 13);
  const auto taken = controller_->Try(Parse(Workload("cache", "10.0.0.1")), {});
  EXPECT_THAT(Message(taken.status()), HasSubstr("shop/web"));
  policy::Limits limits;
  limits.addresses = 2;  // web and the node
  datapath_.SetLimits(limits);
  EXPECT_TRUE(absl::IsResourceExhausted(controller_->Try(Parse(Workload("cache", "10.0.0.3")), {}).status()));
  EXPECT_EQ(controller_->view(), view) << "another view";
  EXPECT_THAT(datapath_.calls(), ::testing::IsEmpty());
  EXPECT_EQ(saves_, saves);
  datapath_.SetLimits({});
  EXPECT_EQ(*Apply(Policy("new")), 2U);
}

}  // namespace
}  // namespace sluice::reconcile
