// TracingPolicies beside the other resources: what is applied, saved, refused and restored.
#include "policy/tracing/parser.h"
#include "tests/support/fake_hooks.h"
#include "tests/unit/reconcile/controller_world.h"

namespace sluice::reconcile {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string Tracing(const std::string& name, const std::string& call = "sys_openat") {
  return "{apiVersion: cilium.io/v1alpha1, kind: TracingPolicy, metadata: {name: " + name +
         "}, spec: {kprobes: [{call: " + call + "}]}}\n---\n";
}

policy::ResourceId IdOf(const std::string& name) { return {policy::Kind::kTracingPolicy, {"", name}}; }

class HookPolicies : public ControllerTest {
 protected:
  void SetUp() override {
    StartWithHooks();
    ASSERT_TRUE(controller_->Restore({.directory = directory_, .kubernetes = kubernetes_}, saved_).ok());
    kernel_.TakeCalls();
  }
  void StartWithHooks() {
    hooks_ = std::make_unique<hooks::HookController>(kernel_.Options());
    Start(hooks_.get());
  }
  Status RestartWithHooks() {
    StartWithHooks();
    return controller_->Restore({.directory = directory_, .kubernetes = kubernetes_}, saved_);
  }

  test::FakeKernel kernel_;
  std::unique_ptr<hooks::HookController> hooks_;
};

TEST_F(HookPolicies, AreAppliedSavedAndDeletedAsOtherResourcesAre) {
  const auto revision = Apply(Tracing("files"));
  ASSERT_TRUE(revision.ok()) << revision.status();
  EXPECT_THAT(kernel_.in_force(), ElementsAre("files"));
  EXPECT_TRUE(saved_.resources.contains(IdOf("files")));
  EXPECT_TRUE(controller_->view()->resources.contains(IdOf("files")));
  EXPECT_EQ(*Apply(Tracing("files")), *revision);  // nothing is different
  EXPECT_EQ(*controller_->Delete({IdOf("files")}), *revision + 1);
  EXPECT_THAT(kernel_.in_force(), IsEmpty());
  EXPECT_FALSE(saved_.resources.contains(IdOf("files")));
}

TEST_F(HookPolicies, AreOfTheFirstSourceThatHasThem) {
  ASSERT_TRUE(controller_->SetDirectory(Map(Tracing("files", "sys_close"))).ok());
  ASSERT_TRUE(Apply(Tracing("files")).ok());
  const auto call = [&] {
    return std::get<policy::tracing::FunctionTarget>(kernel_.Find({"", "files"})->policy->hooks[0].target).function;
  };
  EXPECT_EQ(call(), "sys_openat");
  ASSERT_TRUE(controller_->Delete({IdOf("files")}).ok());
  EXPECT_EQ(call(), "sys_close");
  EXPECT_THAT(Message(controller_->Delete({IdOf("files")}).status()), HasSubstr("comes from the resources directory"));
}

TEST_F(HookPolicies, ARefusedOneChangesNothingElse) {
  ASSERT_TRUE(Apply(Tracing("files")).ok());
  const auto view = controller_->view();
  const auto saved = saved_.resources.size();
  kernel_.FailNext("Put bad", MakeError(absl::StatusCode::kNotFound, "this kernel has no function nothing"));
  const auto refused = Apply(Tracing("bad", "sys_close") + Policy("db"));
  EXPECT_THAT(Message(refused.status()), HasSubstr("TracingPolicy bad: this kernel has no function nothing"));
  EXPECT_EQ(controller_->view(), view);
  EXPECT_EQ(saved_.resources.size(), saved);
  EXPECT_THAT(kernel_.in_force(), ElementsAre("files"));
  kernel_.not_compiled["bad"] = "too many tests";
  EXPECT_THAT(Message(controller_->Try(Parse(Tracing("bad")), {}).status()), HasSubstr("too many tests"));
}

TEST_F(HookPolicies, AChangeThatCannotBeSavedIsTakenBack) {
  ASSERT_TRUE(Apply(Tracing("files")).ok());
  const auto line = kernel_.Find({"", "files"})->policy->hooks[0].place.line;
  fail_after_enforcing_ = MakeError(absl::StatusCode::kResourceExhausted, "the disk is full");
  EXPECT_FALSE(Apply(Tracing("files", "sys_close") + Tracing("more")).ok());
  EXPECT_THAT(kernel_.in_force(), ElementsAre("files"));
  EXPECT_EQ(kernel_.Find({"", "files"})->policy->hooks[0].place.line, line);
  EXPECT_EQ(std::get<policy::tracing::FunctionTarget>(kernel_.Find({"", "files"})->policy->hooks[0].target).function,
            "sys_openat");
}

TEST_F(HookPolicies, AreInForceAgainAfterARestartBeforeTheOldOnesEnd) {
  Plug("web", 11);
  ASSERT_TRUE(Apply(Workload("web", "10.0.0.1") + Tracing("bad") + Tracing("files")).ok());
  kernel_.TakeCalls();
  kernel_.FailNext("Put bad", MakeError(absl::StatusCode::kNotFound, "no such function"));
  ASSERT_TRUE(RestartWithHooks().ok());
  EXPECT_THAT(kernel_.TakeCalls(), ElementsAre("Open", "SetSubjects shop/web", "Put bad", "Put files", "EndEarlier"));
  EXPECT_EQ(hooks_->reports().at(IdOf("bad")).state, hooks::ReportedState::kError);
  EXPECT_EQ(hooks_->reports().at(IdOf("files")).state, hooks::ReportedState::kEnabled);
  EXPECT_TRUE(controller_->view()->holding.empty());
}

TEST_F(HookPolicies, CoverAWorkloadBeforeItIsAttached) {
  ASSERT_TRUE(Apply(Tracing("files")).ok());
  kernel_.TakeCalls();
  Plug("web", 11);
  kernel_.FailNext("SetSubjects shop/web", MakeError(absl::StatusCode::kResourceExhausted, "8192 subjects"));
  EXPECT_THAT(Message(Apply(Workload("web", "10.0.0.1")).status()), HasSubstr("8192 subjects"));
  EXPECT_TRUE(IsClosed(11));
  kernel_.TakeCalls();
  ASSERT_TRUE(Apply(Workload("web", "10.0.0.1")).ok());
  EXPECT_THAT(kernel_.TakeCalls(), ElementsAre("SetSubjects shop/web"));
  EXPECT_EQ(kernel_.subjects()[0].endpoint, NumberOf("10.0.0.1"));
}

TEST_F(HookPolicies, AreDisabledAndEnabledAndThatIsKept) {
  const auto revision = Apply(Tracing("files") + Tracing("more"));
  ASSERT_TRUE(revision.ok());
  EXPECT_EQ(*controller_->SetHookPolicy(IdOf("files"), {.enabled = false, .monitor = {}}), *revision);
  EXPECT_THAT(kernel_.in_force(), ElementsAre("more"));
  EXPECT_EQ(hooks_->reports().at(IdOf("files")).state, hooks::ReportedState::kDisabled);
  EXPECT_TRUE(controller_->view()->resources.contains(IdOf("files")));
  ASSERT_TRUE(RestartWithHooks().ok());
  EXPECT_THAT(kernel_.in_force(), ElementsAre("more"));
  EXPECT_EQ(hooks_->reports().at(IdOf("files")).state, hooks::ReportedState::kDisabled);
  ASSERT_TRUE(Apply(Tracing("files", "sys_close")).ok()) << "a new document of a policy that stays disabled";
  EXPECT_THAT(kernel_.in_force(), ElementsAre("more"));
  ASSERT_TRUE(controller_->SetHookPolicy(IdOf("files"), {.enabled = true, .monitor = {}}).ok());
  EXPECT_THAT(kernel_.in_force(), ElementsAre("files", "more"));
  EXPECT_THAT(saved_.hook_settings, IsEmpty());
}

TEST_F(HookPolicies, GetAnotherModeWithoutAGapAndThatIsKept) {
  ASSERT_TRUE(Apply(Tracing("files")).ok());
  kernel_.TakeCalls();
  ASSERT_TRUE(controller_->SetHookPolicy(IdOf("files"), {.enabled = {}, .monitor = true}).ok());
  EXPECT_THAT(kernel_.TakeCalls(), ElementsAre("SetState files"));
  EXPECT_TRUE(kernel_.Monitors({"", "files"}));
  EXPECT_EQ(hooks_->reports().at(IdOf("files")).state, hooks::ReportedState::kMonitor);
  ASSERT_TRUE(controller_->SetHookPolicy(IdOf("files"), {.enabled = {}, .monitor = true}).ok());
  EXPECT_THAT(kernel_.TakeCalls(), IsEmpty()) << "nothing is different";
  ASSERT_TRUE(RestartWithHooks().ok());
  EXPECT_TRUE(kernel_.Monitors({"", "files"}));
  ASSERT_TRUE(Apply(Tracing("files", "sys_close")).ok());
  EXPECT_TRUE(kernel_.Monitors({"", "files"})) << "a new document";
  ASSERT_TRUE(controller_->SetHookPolicy(IdOf("files"), {.enabled = {}, .monitor = false}).ok());
  EXPECT_FALSE(kernel_.Monitors({"", "files"}));
  EXPECT_EQ(hooks_->reports().at(IdOf("files")).state, hooks::ReportedState::kEnabled);
}

TEST_F(HookPolicies, ASettingThatCannotBeMadeOrSavedIsTakenBack) {
  ASSERT_TRUE(Apply(Tracing("files")).ok());
  fail_after_enforcing_ = MakeError(absl::StatusCode::kResourceExhausted, "the disk is full");
  EXPECT_FALSE(controller_->SetHookPolicy(IdOf("files"), {.enabled = {}, .monitor = true}).ok());
  EXPECT_FALSE(kernel_.Monitors({"", "files"}));
  fail_after_enforcing_ = MakeError(absl::StatusCode::kResourceExhausted, "the disk is full");
  EXPECT_FALSE(controller_->SetHookPolicy(IdOf("files"), {.enabled = false, .monitor = {}}).ok());
  EXPECT_THAT(kernel_.in_force(), ElementsAre("files"));
  EXPECT_EQ(hooks_->reports().at(IdOf("files")).state, hooks::ReportedState::kEnabled);
  ASSERT_TRUE(controller_->SetHookPolicy(IdOf("files"), {.enabled = false, .monitor = {}}).ok());
  kernel_.FailNext("Put files", MakeError(absl::StatusCode::kNotFound, "no such function"));
  EXPECT_THAT(Message(controller_->SetHookPolicy(IdOf("files"), {.enabled = true, .monitor = {}}).status()),
              HasSubstr("TracingPolicy files: no such function"));
  EXPECT_EQ(hooks_->reports().at(IdOf("files")).state, hooks::ReportedState::kDisabled);
  EXPECT_EQ(saved_.hook_settings.size(), 1U);
  EXPECT_TRUE(absl::IsNotFound(controller_->SetHookPolicy(IdOf("none"), {.enabled = false, .monitor = {}}).status()));
}

TEST_F(HookPolicies, ASettingEndsWithItsPolicy) {
  ASSERT_TRUE(Apply(Tracing("files")).ok());
  ASSERT_TRUE(controller_->SetHookPolicy(IdOf("files"), {.enabled = false, .monitor = true}).ok());
  ASSERT_TRUE(controller_->Delete({IdOf("files")}).ok());
  EXPECT_THAT(saved_.hook_settings, IsEmpty());
  ASSERT_TRUE(Apply(Tracing("files")).ok());
  EXPECT_THAT(kernel_.in_force(), ElementsAre("files"));
  EXPECT_FALSE(kernel_.Monitors({"", "files"}));
}

TEST_F(HookPolicies, WhatAnEarlierAgentLeftEndsAlsoIfAllAreDisabled) {
  ASSERT_TRUE(Apply(Tracing("files")).ok());
  ASSERT_TRUE(controller_->SetHookPolicy(IdOf("files"), {.enabled = false, .monitor = {}}).ok());
  kernel_.TakeCalls();
  ASSERT_TRUE(RestartWithHooks().ok());
  EXPECT_THAT(kernel_.TakeCalls(), ElementsAre("EndEarlier"));
}

TEST_F(ControllerTest, WithoutHooksATracingPolicyIsRefused) {
  ASSERT_TRUE(Restart().ok());
  EXPECT_THAT(Message(Apply(Tracing("files")).status()),
              HasSubstr("TracingPolicy files: this agent enforces no such policies"));
}

}  // namespace
}  // namespace sluice::reconcile
