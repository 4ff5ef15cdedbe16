// Actions: where each may stand, and with which fields.
#include "tests/unit/policy_tracing/specs.h"

namespace sluice::policy::tracing {
namespace {

constexpr char kAction[] = "spec.kprobes[0].selectors[0].matchActions[0]";

struct ActionCase {
  std::string right;
  std::string wrong;
  std::string error;
};

void CheckActions(const std::vector<ActionCase>& cases) {
  for (const ActionCase& one : cases) Check({{WithAction(one.right), WithAction(one.wrong), kAction + one.error}});
}

Action ActionOf(const std::string& fields) {
  const auto policy = PolicyOf(WithAction(fields));
  return policy == nullptr ? Action() : policy->hooks[0].selectors[0].actions[0];
}

TEST(TracingActions, OfTheTableAreReadOrRefusedByName) {
  for (const ActionTypeInfo& info : kActionTypes) {
    std::string fields;
    if (info.type == ActionType::kSignal) fields = ", argSig: 15";
    if (info.type == ActionType::kOverride) fields = ", argError: -1";
    if (info.type == ActionType::kNotifyEnforcer) fields = ", argError: -1";
    if (info.type == ActionType::kSet) fields = ", argIndex: 1, argValue: 3";
    const std::string action = fmt::format("selectors: [{{matchActions: [{{action: {}{}}}]}}]", info.name, fields);
    const std::string args = "args: [{index: 0, type: sock}, {index: 1, type: int}], ";
    const std::string spec = info.type == ActionType::kSet
                                 ? "{usdts: [{path: /b, provider: p, name: probe, " + args + action + "}]}"
                                 : "{enforcers: [{calls: [sys_kill]}], kprobes: [{call: sys_kill, args: [{index: 0, "
                                   "type: auto}], selectors: []}, "
                                   "{call: security_task_kill, syscall: false, " +
                                       args + action + "}]}";
    if (info.IsRefused()) {
      EXPECT_EQ(ErrorOf(spec),
                fmt::format("spec.kprobes[1].selectors[0].matchActions[0].action: {}: {}", info.name, info.meaning));
      continue;
    }
    const auto policy = PolicyOf(spec);
    ASSERT_NE(policy, nullptr) << info.name;
    EXPECT_EQ(policy->hooks.back().selectors[0].actions[0].type, info.type) << info.name;
  }
  EXPECT_EQ(ErrorOf(WithAction("action: Kill"))
                .find(std::string(kAction) + ".action: unknown action \"Kill\": known are Post"),
            0U);
  EXPECT_EQ(ErrorOf(WithAction("action: SigKill")),
            std::string(kAction) + ".action: unknown action \"SigKill\": did you mean Sigkill?");
  EXPECT_EQ(ErrorOf(WithAction("argSig: 1")), std::string(kAction) + ".action: missing");
}

TEST(TracingActions, HaveTheirOwnFields) {
  CheckActions({
      {"action: Post, rateLimit: 5m, rateLimitScope: process, kernelStackTrace: true, userStackTrace: true",
       "action: Post, argSig: 9",
       ".argSig: action Post has no such field: it has rateLimit rateLimitScope kernelStackTrace userStackTrace "
       "imaHash"},
      {"action: Sigkill, argError: -1", "action: Sigkill, rateLimit: 5m",
       ".rateLimit: action Sigkill has no such field: it has argError"},
      {"action: NoPost", "action: NoPost, argError: 1", ".argError: action NoPost has no other fields: leave it out"},
      {"action: Quarantine", "action: Quarantine, allow: [dns]", ".allow: unknown field"},
      {"action: Signal, argSig: 64", "action: Signal, argSig: 65",
       ".argSig: must be a decimal number from 1 to 64, got 65"},
      {"action: Signal, argSig: 1", "action: Signal", ".argSig: missing"},
      {"action: Post, rateLimit: 30", "action: Post, rateLimitScope: global",
       ".rateLimitScope: needs rateLimit beside it"},
      {"action: Post, rateLimit: 1m, rateLimitScope: thread", "action: Post, rateLimit: 1m, rateLimitScope: node",
       ".rateLimitScope: unknown scope of a rate limit \"node\": known are thread, process, global"},
      {"action: Post, rateLimit: 1193H", "action: Post, rateLimit: 1194H",
       ".rateLimit: must be a time such as 30s, 5m or 1h, at most 4294967 s, got \"1194H\""},
      {"action: Post, rateLimit: 1s", "action: Post, rateLimit: 5 m",
       ".rateLimit: must be a time such as 30s, 5m or 1h, at most 4294967 s, got \"5 m\""},
      {"action: Post, rateLimit: 1s", "action: Post, rateLimit: 0s",
       ".rateLimit: must be a time such as 30s, 5m or 1h, at most 4294967 s, got \"0s\""},
      {"action: Post", "action: Post, imaHash: true", ".imaHash: only lsmhooks can have the hash of a file"},
  });
  EXPECT_EQ(ErrorOf(Lsm("selectors: [{matchActions: [{action: Post, imaHash: true}]}]")), "no error");
  EXPECT_EQ(ActionOf("action: Post, rateLimit: 5M").rate_limit, 300);
  EXPECT_EQ(ActionOf("action: Post, rateLimit: 5").rate_limit, 5);
  EXPECT_EQ(ActionOf("action: Post, rateLimit: 1h, rateLimitScope: global").rate_scope, Action::RateScope::kGlobal);
  EXPECT_EQ(ActionOf("action: Signal, argSig: 15").signal, 15);
}

TEST(TracingActions, OverrideIsForWhatTheKernelLetsBeOverridden) {
  const std::string override_it = "selectors: [{matchActions: [{action: Override, argError: -1}]}]";
  const std::string rule = ": the kernel lets system calls, security_* functions and lsmhooks be overridden only";
  const std::string at = ".selectors[0].matchActions[0].action: Override: ";
  const auto with_list = [&](const std::string& list) {
    return "{lists: [{name: l, " + list + "}], kprobes: [{call: 'list:l', " + override_it + "}]}";
  };
  Check({
      {Kprobe("call: sys_openat, " + override_it), Function(override_it),
       "spec.kprobes[0]" + at + "tcp_connect cannot be overridden" + rule},
      {Kprobe("call: security_file_open, syscall: false, " + override_it),
       "{fentries: [{call: tcp_connect, syscall: false, " + override_it + "}]}",
       "spec.fentries[0]" + at + "tcp_connect cannot be overridden" + rule},
      {Lsm(override_it), "{tracepoints: [{subsystem: a, event: b, " + override_it + "}]}",
       "spec.tracepoints[0]" + at + "a tracepoint has no result to replace: hook the function, or use NotifyEnforcer"},
      {Lsm(override_it), "{usdts: [{path: /b, provider: p, name: probe, " + override_it + "}]}",
       "spec.usdts[0]" + at + "a static probe has no result to replace"},
      {with_list("values: [security_file_open, security_file_permission]"),
       with_list("values: [security_file_open, fd_install]"),
       "spec.kprobes[0]" + at + "fd_install of list l cannot be overridden" + rule},
      {with_list("type: generated_syscalls"), with_list("type: generated_ftrace, pattern: '^ksys_*'"),
       "spec.kprobes[0]" + at + "list l may have any function" + rule},
      {with_list("type: generated_ftrace, pattern: '^security_file_.*'"),
       with_list("type: generated_ftrace, pattern: '.*security_file'"),
       "spec.kprobes[0]" + at + "list l may have any function" + rule},
  });
}

TEST(TracingActions, OverrideHasOneResult) {
  const auto uprobe = [](const std::string& fields) {
    return "{uprobes: [{path: /b, symbols: [a], selectors: [{matchActions: [{action: Override, " + fields + "}]}]}]}";
  };
  const std::string one = ": Override needs one of argError, argRegs, argNewSymbol, argNewAddr and argNewOffset";
  CheckActions({
      {"action: Override, argError: -4095", "action: Override, argError: -4096",
       ".argError: must be a decimal number from -4095 to 4095, got -4096"},
      {"action: Override, argError: 1", "action: Override", one},
      {"action: Override, argError: 1", "action: Override, argRegs: ['rax=1']",
       ": argRegs, argNewSymbol, argNewAddr and argNewOffset are for uprobes: use argError"},
  });
  const std::string at = "spec.uprobes[0].selectors[0].matchActions[0]";
  Check({
      {uprobe("argRegs: ['rax=11', 'rdi=%rsi']"), uprobe("argRegs: [rax]"),
       at + ".argRegs[0]: must be REGISTER=VALUE, such as \"rax=11\", got \"rax\""},
      {uprobe("argNewSymbol: other"), uprobe("argNewSymbol: other, argNewAddr: 16"), at + one},
      {uprobe("argNewOffset: 0x10"), uprobe("argNewOffset: -1"),
       at + ".argNewOffset: must be a number from 0 to 18446744073709551615, got \"-1\""},
      {uprobe("argError: 3"), uprobe("argError: 3, argNewOffset: 1"), at + one},
  });
}

TEST(TracingActions, SocketsMustBeArguments) {
  CheckActions({
      {"action: TrackSock, argSock: 0", "action: TrackSock, argSock: 1",
       ".argSock: argument 1 must be of type sock, is of type int"},
      {"action: UntrackSock", "action: UntrackSock, argSock: 2",
       ".argSock: no argument 2: args of the hook has no entry with that index. Add it there"},
  });
  const auto policy =
      PolicyOf(Function("args: [{index: 1, type: int}, {index: 2, type: sock}], selectors: "
                        "[{matchActions: [{action: UntrackSock, argSock: 2}]}]"));
  EXPECT_EQ(policy->hooks[0].selectors[0].actions[0].socket, 1U);  // the position in args
}

TEST(TracingActions, SetIsForStaticProbes) {
  const auto usdt = [](const std::string& fields) {
    return "{usdts: [{path: /b, provider: p, name: probe, args: [{index: 0, type: int32}], selectors: [{matchActions: "
           "[{action: "
           "Set, " +
           fields + "}]}]}]}";
  };
  const std::string at = "spec.usdts[0].selectors[0].matchActions[0]";
  Check({
      {usdt("argIndex: 0, argValue: 32"), usdt("argIndex: 1, argValue: 32"),
       at + ".argIndex: no argument 1: args of the hook has no entry with that index. Add it there"},
      {usdt("argValue: 4294967295"), usdt("argValue: 4294967296"),
       at + ".argValue: must be a number from 0 to 4294967295, got \"4294967296\""},
      {usdt("argValue: 1"), usdt("argIndex: 0"), at + ".argValue: missing"},
      {usdt("argValue: 1"), WithAction("action: Set, argValue: 1"),
       std::string(kAction) + ".action: Set: only usdts can write an argument"},
  });
}

TEST(TracingActions, TheEnforcerMustBeThere) {
  const auto spec = [](const std::string& enforcers, const std::string& hooks, const std::string& fields) {
    return "{" + enforcers + hooks + "selectors: [{matchActions: [{action: NotifyEnforcer" + fields + "}]}]}]}";
  };
  const std::string enforcers = "enforcers: [{calls: [sys_openat]}], ";
  const std::string tracepoint = "tracepoints: [{subsystem: raw_syscalls, event: sys_enter, ";
  const std::string at = "spec.tracepoints[0].selectors[0].matchActions[0]";
  Check({
      {spec(enforcers, tracepoint, ", argError: -1, argSig: 9"), spec("", tracepoint, ", argError: -1"),
       at + ".action: NotifyEnforcer: spec.enforcers is missing: nothing would act on it"},
      {spec(enforcers, tracepoint, ", argSig: 9"), spec(enforcers, tracepoint, ""),
       at + ": NotifyEnforcer needs argError, argSig or both"},
      {spec(enforcers, tracepoint, ", argSig: 9"), spec(enforcers, "lsmhooks: [{hook: file_open, ", ", argSig: 9"),
       "spec.lsmhooks[0].selectors[0].matchActions[0].action: NotifyEnforcer: only hooks on functions and tracepoints "
       "can "
       "notify the enforcer"},
  });
}

}  // namespace
}  // namespace sluice::policy::tracing
