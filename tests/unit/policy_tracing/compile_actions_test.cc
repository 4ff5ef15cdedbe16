// What selectors do.
#include "tests/unit/policy_tracing/compiled_text.h"

namespace sluice::policy::tracing {
namespace {

constexpr std::uint32_t kPost = SL_HOOK_ACTION_POST;

CompiledHook HookWithActions(const std::string& actions, const std::string& fields = "") {
  return HookOf(
      Kprobe("call: security_file_open, syscall: false, args: [{index: 0, type: sock}, {index: 1, type: "
             "sock}], " +
             fields + "selectors: [{matchActions: [" + actions + "]}]"));
}

sl_hook_selector SelectorWith(const std::string& actions) {
  const CompiledHook hook = HookWithActions(actions);
  EXPECT_EQ(hook.selectors.size(), 1U);
  return hook.selectors.empty() ? sl_hook_selector{} : hook.selectors[0];
}

std::string RefusalOfActions(const std::string& actions) {
  std::string text = RefusalOf(Kprobe(
      "call: security_file_open, syscall: false, args: [{index: 0, type: sock}, {index: 1, type: sock}], selectors: "
      "[{matchActions: [" +
      actions + "]}]"));
  const std::string at = "spec.kprobes[0].selectors[0].";
  return text.starts_with(at) ? text.substr(at.size()) : text;
}

TEST(TracingCompileActions, EventsAreTheRule) {
  EXPECT_EQ(SelectorWith("").actions, kPost);
  EXPECT_EQ(SelectorWith("{action: Post}").actions, kPost);
  EXPECT_EQ(SelectorWith("{action: NoPost}").actions, 0U);
  EXPECT_EQ(SelectorWith("{action: NoPost}, {action: Sigkill}").actions, SL_HOOK_ACTION_SIGNAL);
  EXPECT_EQ(SelectorWith("{action: FollowFD, argFd: 0, argName: 1}").actions, kPost);
  const CompiledHook none = HookOf(Function("args: [{index: 0, type: sock}]"));
  ASSERT_EQ(none.selectors.size(), 1U);
  EXPECT_EQ(none.selectors[0].actions, kPost);
  EXPECT_EQ(none.selectors[0].return_actions, 0U);
}

TEST(TracingCompileActions, RateLimits) {
  const sl_hook_selector none = SelectorWith("{action: Post}");
  EXPECT_EQ(none.rate_ns, 0U);
  const sl_hook_selector thread = SelectorWith("{action: Post, rateLimit: 5m}");
  EXPECT_EQ(thread.rate_ns, 300'000'000'000U);
  EXPECT_EQ(thread.rate_scope, SL_HOOK_RATE_THREAD);
  EXPECT_EQ(SelectorWith("{action: Post, rateLimit: 1, rateLimitScope: process}").rate_scope, SL_HOOK_RATE_PROCESS);
  EXPECT_EQ(SelectorWith("{action: Post, rateLimit: 1, rateLimitScope: global}").rate_scope, SL_HOOK_RATE_GLOBAL);
  EXPECT_EQ(RefusalOfActions("{action: Post, rateLimit: 1}, {action: Post, rateLimit: 2}"),
            "matchActions[1]: Sluice does not enforce two different rate limits in one selector yet");
}

TEST(TracingCompileActions, Signals) {
  const sl_hook_selector kill = SelectorWith("{action: Sigkill}");
  EXPECT_EQ(kill.actions, kPost | SL_HOOK_ACTION_SIGNAL);
  EXPECT_EQ(kill.signal, 9);
  EXPECT_EQ(kill.return_signal, 0);
  EXPECT_EQ(SelectorWith("{action: Signal, argSig: 15}").signal, 15);
  EXPECT_EQ(SelectorWith("{action: Signal, argSig: 9}, {action: Sigkill}").signal, 9);
  EXPECT_EQ(RefusalOfActions("{action: Signal, argSig: 15}, {action: Sigkill}"),
            "matchActions[1]: Sluice does not enforce two different signals in one selector yet");
}

TEST(TracingCompileActions, OverrideNeedsAPlaceThatMayReturnAnError) {
  const CompiledHook hook = HookWithActions("{action: Override, argError: -1}");
  EXPECT_EQ(hook.selectors[0].actions, kPost | SL_HOOK_ACTION_OVERRIDE);
  EXPECT_EQ(hook.selectors[0].error, -1);
  EXPECT_EQ(hook.point, (HookPoint{HookPoint::Kind::kDenyingFunction, "", "security_file_open"}));
  const CompiledHook lsm = HookOf(Lsm("selectors: [{matchActions: [{action: Override, argError: -13}]}]"));
  EXPECT_EQ(lsm.selectors[0].error, -13);
  EXPECT_EQ(lsm.point.kind, HookPoint::Kind::kLsm);
  const CompiledHook call =
      HookOf(Kprobe("call: sys_openat, selectors: [{matchActions: [{action: Override, argError: -1}]}]"));
  EXPECT_EQ(call.point, (HookPoint{HookPoint::Kind::kDenyingSyscall, "", "openat"}));
  EXPECT_EQ(call.selectors[0].error, -1);
}

TEST(TracingCompileActions, Sockets) {
  const sl_hook_selector tracks = SelectorWith("{action: TrackSock, argSock: 1}");
  EXPECT_EQ(tracks.actions, kPost | SL_HOOK_ACTION_TRACK_SOCKET);
  EXPECT_EQ(tracks.socket, 1);
  EXPECT_EQ(SelectorWith("{action: UntrackSock}").actions, kPost | SL_HOOK_ACTION_UNTRACK_SOCKET);
  EXPECT_EQ(SelectorWith("{action: UntrackSock}").socket, 0);
  EXPECT_EQ(RefusalOfActions("{action: TrackSock, argSock: 0}, {action: UntrackSock, argSock: 1}"),
            "matchActions[1]: Sluice does not enforce actions on two different sockets in one selector yet");
  const CompiledHook result = HookOf(
      Function("return: true, returnArg: {index: 0, type: sock}, returnArgAction: TrackSock, selectors: [{}, {}]"));
  ASSERT_EQ(result.selectors.size(), 2U);
  for (const sl_hook_selector& selector : result.selectors) {
    EXPECT_EQ(selector.actions, kPost);
    EXPECT_EQ(selector.return_actions, SL_HOOK_ACTION_TRACK_SOCKET);
    EXPECT_EQ(selector.socket, SL_HOOK_ARGUMENTS);
  }
  EXPECT_EQ(result.hook.flags, SL_HOOK_RETURNS | SL_HOOK_HOLDS);
}

TEST(TracingCompileActions, StackTraces) {
  EXPECT_EQ(SelectorWith("{action: Post, kernelStackTrace: true}").stacks, SL_HOOK_STACK_KERNEL);
  EXPECT_EQ(SelectorWith("{action: Post, userStackTrace: true}").stacks, SL_HOOK_STACK_USER);
  EXPECT_EQ(SelectorWith("{action: Post}").stacks, 0U);
}

TEST(TracingCompileActions, Quarantine) {
  EXPECT_EQ(SelectorWith("{action: Quarantine}, {action: Sigkill}").actions,
            kPost | SL_HOOK_ACTION_QUARANTINE | SL_HOOK_ACTION_SIGNAL);
}

TEST(TracingCompileActions, AtTheReturn) {
  const CompiledHook hook = HookOf(Function(
      "return: true, returnArg: {index: 0, type: int}, selectors: [{matchActions: [{action: Signal, argSig: 10}], "
      "matchReturnActions: [{action: Sigkill}, {action: Quarantine}]}, {matchReturnActions: [{action: NoPost}]}]"));
  ASSERT_EQ(hook.selectors.size(), 2U);
  EXPECT_EQ(hook.selectors[0].actions, kPost | SL_HOOK_ACTION_SIGNAL);
  EXPECT_EQ(hook.selectors[0].signal, 10);
  EXPECT_EQ(hook.selectors[0].return_actions, SL_HOOK_ACTION_SIGNAL | SL_HOOK_ACTION_QUARANTINE);
  EXPECT_EQ(hook.selectors[0].return_signal, 9);
  EXPECT_EQ(hook.selectors[1].actions, 0U);
  EXPECT_EQ(hook.selectors[1].return_actions, 0U);
}

TEST(TracingCompileActions, WhatIsNotDoneYetIsRefused) {
  const auto refusal = [](const std::string& actions) {
    return RefusalOf(Lsm("selectors: [{matchActions: [" + actions + "]}]"));
  };
  EXPECT_EQ(refusal("{action: Post, imaHash: true}"),
            "spec.lsmhooks[0].selectors[0].matchActions[0].imaHash: Sluice does not enforce it yet");
}

std::string WithEnforcer(const std::string& action) {
  return "{lists: [{name: l, type: syscalls, values: [sys_dup, sys_dup2]}], enforcers: [{calls: ['list:l', "
         "security_file_open]}], tracepoints: [{subsystem: raw_syscalls, event: sys_enter, args: [{index: 4, type: "
         "syscall64}], selectors: [{matchActions: [" +
         action + "]}]}]}";
}

TEST(TracingCompileActions, AnEnforcerHasAHookOnEachOfItsCalls) {
  const std::vector<CompiledHook> hooks = HooksOf(WithEnforcer("{action: NotifyEnforcer, argSig: 9}"));
  ASSERT_EQ(hooks.size(), 4U);
  EXPECT_EQ(hooks[0].selectors[0].actions, kPost | SL_HOOK_ACTION_NOTIFY_ENFORCER);
  EXPECT_EQ(hooks[0].selectors[0].enforcer_signal, 9);
  using Kind = HookPoint::Kind;
  EXPECT_EQ(hooks[1].point, (HookPoint{Kind::kSyscall, "", "dup"}));
  EXPECT_EQ(hooks[2].point, (HookPoint{Kind::kSyscall, "", "dup2"}));
  EXPECT_EQ(hooks[3].point, (HookPoint{Kind::kFunction, "", "security_file_open"}));
  for (std::size_t i = 1; i < hooks.size(); ++i) {
    EXPECT_EQ(TextOf(hooks[i]), "always");
    EXPECT_EQ(hooks[i].selectors[0].actions, SL_HOOK_ACTION_ENFORCE) << "and no event";
  }
  const std::vector<CompiledHook> denying = HooksOf(WithEnforcer("{action: NotifyEnforcer, argError: -1}"));
  ASSERT_EQ(denying.size(), 4U);
  EXPECT_EQ(denying[0].selectors[0].enforcer_error, -1);
  EXPECT_EQ(denying[1].point, (HookPoint{Kind::kDenyingSyscall, "", "dup"}));
  EXPECT_EQ(denying[3].point, (HookPoint{Kind::kDenyingFunction, "", "security_file_open"}));
  EXPECT_EQ(HooksOf(WithEnforcer("{action: CleanupEnforcerNotification}"))[0].selectors[0].actions,
            kPost | SL_HOOK_ACTION_CLEAR_ENFORCER);
}

}  // namespace
}  // namespace sluice::policy::tracing
