// Where hooks are attached, and what a policy may not have yet.
#include "tests/unit/policy_tracing/compiled_text.h"

namespace sluice::policy::tracing {
namespace {

using Kind = HookPoint::Kind;

std::string Lists(const std::string& list, const std::string& hook) {
  return "{lists: [{name: l, " + list + "}], kprobes: [{call: 'list:l', " + hook + "}]}";
}

TEST(TracingCompilePoints, FunctionsAndSystemCalls) {
  EXPECT_EQ(HookOf(Function("")).point, (HookPoint{Kind::kFunction, "", "tcp_connect"}));
  EXPECT_EQ(HookOf(Kprobe("call: sys_openat")).point, (HookPoint{Kind::kSyscall, "", "openat"}));
  EXPECT_EQ(HookOf(Kprobe("call: __x64_sys_openat")).point, (HookPoint{Kind::kSyscall, "", "openat"}));
  EXPECT_EQ(HookOf(Kprobe("call: __x64_sys_openat, syscall: false")).point,
            (HookPoint{Kind::kFunction, "", "__x64_sys_openat"}));
  EXPECT_EQ(HookOf("{fentries: [{call: tcp_connect, syscall: false}]}").point,
            (HookPoint{Kind::kTrampoline, "", "tcp_connect"}));
  EXPECT_EQ(HookOf(Lsm("")).point, (HookPoint{Kind::kLsm, "", "file_open"}));
}

TEST(TracingCompilePoints, ListsMakeAHookForEachFunction) {
  const std::vector<CompiledHook> functions =
      HooksOf(Lists("values: [a, b]",
                    "args: [{index: 0, type: int}], selectors: [{matchArgs: [{index: 0, operator: "
                    "Equal, values: [7]}]}]"));
  ASSERT_EQ(functions.size(), 2U);
  EXPECT_EQ(functions[0].point, (HookPoint{Kind::kFunction, "", "a"}));
  EXPECT_EQ(functions[1].point, (HookPoint{Kind::kFunction, "", "b"}));
  EXPECT_EQ(TextOf(functions[0]), "arg0 7..7 signed");
  EXPECT_EQ(TextOf(functions[1]), "arg0 7..7 signed");
  EXPECT_EQ(functions[1].source, 0U);
  EXPECT_EQ(functions[1].place.line, 2);
  const std::vector<CompiledHook> calls =
      HooksOf(Lists("type: syscalls, values: [sys_dup, sys_dup2]", "args: [{index: 0, type: string}]"));
  ASSERT_EQ(calls.size(), 2U);
  EXPECT_EQ(calls[1].point, (HookPoint{Kind::kSyscall, "", "dup2"}));
  EXPECT_EQ(calls[1].hook.arguments[0].flags, SL_HOOK_ARGUMENT_USER);
}

TEST(TracingCompilePoints, ListsAreCheckedCallByCall) {
  const std::string at = "spec.kprobes[0].";
  EXPECT_EQ(RefusalOf(Lists("type: syscalls, values: [sys_dup, sys_getpid]", "args: [{index: 0, type: int}]")),
            at + "args[0].index: no argument 0: getpid has 0, counted from 0");
  EXPECT_EQ(
      RefusalOf(Lists("type: syscalls, values: [sys_dup]", "args: [{index: 0, type: char_buf, sizeArgIndex: 2}]")),
      at + "args[0].sizeArgIndex: no argument 2: dup has 1, here counted from 1");
  EXPECT_EQ(RefusalOf(Lists("type: syscalls, values: [sys_dup]", "args: [{index: 0, type: file}]")),
            at + "args[0].type: a system call has no argument of type file: its arguments are numbers and addresses of "
                 "the caller");
  EXPECT_EQ(RefusalOf(Lists("type: syscalls, values: [arm32/sys_dup]", "")),
            at + "call: Sluice does not enforce arm32/sys_dup, a call of another ABI than x64/, yet");
  EXPECT_EQ(HookOf(Lists("type: syscalls, values: [x64/sys_dup]", "")).point.name, "dup");
}

class TwoFunctions final : public TracepointFormats {
 public:
  StatusOr<std::vector<TracepointField>> FieldsOf(const std::string&, const std::string&) const override {
    return InvalidError("no fields");
  }
  StatusOr<std::vector<std::string>> Functions() const override {
    return std::vector<std::string>{"tcp_connect", "tcp_close", "udp_sendmsg"};
  }
};

TEST(TracingCompilePoints, GeneratedListsAreThoseOfTheKernel) {
  const TwoFunctions functions;
  const auto compile = [&](const std::string& list) {
    CompileOptions options = OptionsOfTests();
    options.formats = &functions;
    return Compile(PolicyOf(Lists(list, "")), options);
  };
  const Compilation tcp = compile("type: generated_ftrace, pattern: ^tcp_");
  ASSERT_NE(tcp.policy, nullptr) << tcp.problems.front().what;
  ASSERT_EQ(tcp.policy->hooks.size(), 2U);
  EXPECT_EQ(tcp.policy->hooks[1].point, (HookPoint{Kind::kFunction, "", "tcp_close"}));
  const Compilation none = compile("type: generated_ftrace, pattern: ^sctp_");
  ASSERT_EQ(none.problems.size(), 1U);
  EXPECT_EQ(none.problems[0].what, "spec.kprobes[0].call: no function of this kernel matches list l: ^sctp_");
  // OptionsOfTests knows two calls.
  EXPECT_EQ(HooksOf(Lists("type: generated_syscalls", "")).size(), 2U);
  EXPECT_EQ(HookOf(Lists("type: generated_syscalls, pattern: 'sys_dup$'", "")).point,
            (HookPoint{Kind::kSyscall, "", "dup"}));
  EXPECT_EQ(RefusalOf(Lists("type: generated_ftrace, pattern: ^tcp_", "")),
            "spec.kprobes[0].call: Sluice does not enforce list l, without the kernel's functions, yet");
}

std::string Tracepoint(const std::string& subsystem, const std::string& event, const std::string& fields) {
  return "{tracepoints: [{subsystem: " + subsystem + ", event: " + event + ", " + fields + "}]}";
}

TEST(TracingCompilePoints, TracepointsOfSystemCalls) {
  const CompiledHook enter = HookOf(Tracepoint("syscalls", "sys_enter_write",
                                               "args: [{index: 5, type: int}, {index: 6, "
                                               "type: char_buf, sizeArgIndex: 8}]"));
  EXPECT_EQ(enter.point, (HookPoint{Kind::kSyscall, "", "write"}));
  EXPECT_EQ(enter.hook.arguments[0].index, 0);
  EXPECT_EQ(enter.hook.arguments[1].index, 1);
  EXPECT_EQ(enter.hook.arguments[1].flags, SL_HOOK_ARGUMENT_USER);
  EXPECT_EQ(enter.hook.arguments[1].size_index, 2);
  const std::string at = "spec.tracepoints[0].args[0].index: ";
  EXPECT_EQ(RefusalOf(Tracepoint("syscalls", "sys_enter_write", "args: [{index: 8, type: int}]")),
            at + "no field 8: the last one of the tracepoint is 7");
  EXPECT_EQ(RefusalOf(Tracepoint("syscalls", "sys_enter_write", "args: [{index: 4, type: int}]")),
            at + "Sluice does not enforce field 4 of this tracepoint yet");
  EXPECT_EQ(RefusalOf(Tracepoint("syscalls", "sys_enter_wirte", "")),
            "spec.tracepoints[0].event: there is no system call of tracepoint sys_enter_wirte");
}

TEST(TracingCompilePoints, TheExitOfASystemCallHappensAtItsReturn) {
  const CompiledHook hook = HookOf(Tracepoint("syscalls", "sys_exit_openat",
                                              "args: [{index: 5, type: int}], selectors: [{matchPIDs: [{operator: In, "
                                              "values: [7]}], matchArgs: [{index: 5, operator: LT, values: [0]}], "
                                              "matchActions: [{action: Sigkill}]}]"));
  EXPECT_EQ(hook.point, (HookPoint{Kind::kSyscall, "", "openat"}));
  EXPECT_EQ(hook.hook.arguments[0].index, SL_HOOK_INDEX_RETURN);
  EXPECT_EQ(hook.hook.arguments[0].flags, SL_HOOK_ARGUMENT_AT_RETURN | SL_HOOK_ARGUMENT_SIGNED);
  EXPECT_EQ(hook.hook.flags, SL_HOOK_RETURNS | SL_HOOK_HOLDS);
  EXPECT_EQ(TextOf(hook), "PID 7..7 return arg0 -9223372036854775808..-1 signed");
  EXPECT_EQ(hook.selectors[0].actions, SL_HOOK_ACTION_POST);
  EXPECT_EQ(hook.selectors[0].return_actions, SL_HOOK_ACTION_SIGNAL);
  EXPECT_EQ(hook.selectors[0].return_signal, 9);
}

TEST(TracingCompilePoints, RawTracepoints) {
  const CompiledHook enter = HookOf(Tracepoint("raw_syscalls", "sys_enter", "args: [{index: 4, type: syscall64}]"));
  EXPECT_EQ(enter.point, (HookPoint{Kind::kRawTracepoint, "raw_syscalls", "sys_enter"}));
  EXPECT_EQ(enter.hook.arguments[0].index, 1);
  const CompiledHook exit = HookOf(Tracepoint("raw_syscalls", "sys_exit", "args: [{index: 5, type: int64}]"));
  EXPECT_EQ(exit.hook.arguments[0].index, 1);
  EXPECT_EQ(RefusalOf(Tracepoint("raw_syscalls", "sys_exit", "args: [{index: 4, type: int64}]")),
            "spec.tracepoints[0].args[0].index: Sluice does not enforce field 4 of this tracepoint yet");
  const CompiledHook raw =
      HookOf(Tracepoint("sched", "sched_process_exec", "raw: true, args: [{index: 2, type: linux_binprm}]"));
  EXPECT_EQ(raw.point, (HookPoint{Kind::kRawTracepoint, "sched", "sched_process_exec"}));
  EXPECT_EQ(raw.hook.arguments[0].index, 2);
  EXPECT_EQ(HookOf(Tracepoint("sched", "sched_process_exec", "")).point.kind, Kind::kRawTracepoint);
}

TEST(TracingCompilePoints, WhatAPolicyMayNotHaveYetIsRefusedByName) {
  const std::string hook = "kprobes: [{call: sys_dup}]";
  EXPECT_EQ(RefusalOf("{uprobes: [{path: /bin/a, symbols: [main]}], " + hook + "}"),
            "spec.uprobes[0]: Sluice does not enforce it without the programs' files yet");
  EXPECT_EQ(RefusalOf("{usdts: [{path: /bin/a, provider: p, name: probe}]}"),
            "spec.usdts[0]: Sluice does not enforce it without the programs' files yet");
}

TEST(TracingCompilePoints, TheLoaderIsAHookWhereFilesBecomeCode) {
  const Compilation compiled = CompileSpec("{kprobes: [{call: sys_dup}], loader: true}");
  ASSERT_NE(compiled.policy, nullptr) << compiled.problems.front().what;
  ASSERT_EQ(compiled.policy->hooks.size(), 2U);
  const CompiledHook& hook = compiled.policy->hooks[1];
  EXPECT_EQ(hook.point, (HookPoint{Kind::kFunction, "", "security_mmap_file"}));
  EXPECT_EQ(TextOf(hook), "arg1 & 0x4 & arg0 begins /");
  EXPECT_EQ(compiled.policy->policy->hooks.at(hook.source).message, "loader");
  EXPECT_EQ(HooksOf("{loader: true}").size(), 1U);
}

TEST(TracingCompilePoints, ProblemsCountTheHooksOfTheirField) {
  EXPECT_EQ(RefusalOf("{kprobes: [{call: sys_dup}, {call: sys_dup, args: [{index: 0}]}], lsmhooks: [{hook: file_open, "
                      "args: [{index: 0}]}], tracepoints: [{subsystem: a, event: b, raw: true}, {subsystem: a, event: "
                      "b, args: [{index: 5, type: int}]}]}"),
            "spec.kprobes[1].args[0].type: Sluice does not enforce auto yet\n"
            "spec.tracepoints[1].args: Sluice does not enforce the fields of tracepoint a/b, without the kernel's "
            "formats, yet\n"
            "spec.lsmhooks[0].args[0].type: Sluice does not enforce auto yet");
}

TEST(TracingCompilePoints, MissingFunctionsMayBeIgnored) {
  EXPECT_FALSE(HookOf(Function("")).ignore_missing);
  EXPECT_TRUE(HookOf(Function("ignore: {callNotFound: true}")).ignore_missing);
}

}  // namespace
}  // namespace sluice::policy::tracing
