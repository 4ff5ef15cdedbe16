// Hooks: where they attach, and what each kind may have.
#include "tests/unit/policy_tracing/specs.h"

namespace sluice::policy::tracing {
namespace {

TEST(TracingHooks, FunctionsAndSystemCallsAreToldApart) {
  Check({
      {Kprobe("call: sys_openat"), Kprobe("call: sys_opennat"),
       "spec.kprobes[0].call: there is no system call \"sys_opennat\" (syscall is true unless the hook says "
       "otherwise): "
       "did you mean sys_openat? Or write \"syscall: false\" to hook a function of the kernel"},
      {Kprobe("call: do_init_module, syscall: false"), Kprobe("call: do_init_module"),
       "spec.kprobes[0].call: there is no system call \"do_init_module\" (syscall is true unless the hook says "
       "otherwise): write \"syscall: false\" to hook a function of the kernel"},
      {Kprobe("call: __x64_sys_openat, syscall: false"), Kprobe("call: sys_openat, syscall: false"),
       "spec.kprobes[0].call: \"sys_openat\" is a system call: write \"syscall: true\", or the kernel's own function"},
      {Kprobe("call: tcp_connect.isra.0, syscall: false"), Kprobe("call: tcp connect, syscall: false"),
       "spec.kprobes[0].call: \"tcp connect\" is not a name of a function: letters, digits, \"_\" and \".\" are "
       "possible, "
       "and no digit first"},
      {Kprobe("call: a1, syscall: false"), Kprobe("call: 1a, syscall: false"),
       "spec.kprobes[0].call: \"1a\" is not a name of a function: letters, digits, \"_\" and \".\" are possible, and "
       "no "
       "digit first"},
      {Kprobe("call: a, syscall: false"), Kprobe("syscall: false"), "spec.kprobes[0].call: missing"},
      {Function("ignore: {callNotFound: true}"), Function("ignore: {callMissing: true}"),
       "spec.kprobes[0].ignore.callMissing: unknown field"},
      {"{fentries: [{call: tcp_connect, syscall: false}]}", "{fentries: [{call: tcp_connect}]}",
       "spec.fentries[0].call: there is no system call \"tcp_connect\" (syscall is true unless the hook says "
       "otherwise): "
       "write \"syscall: false\" to hook a function of the kernel"},
  });
  const auto policy = PolicyOf("{kprobes: [{call: sys_openat}], fentries: [{call: f, syscall: false}]}");
  EXPECT_TRUE(std::get<FunctionTarget>(policy->hooks[0].target).syscall);
  EXPECT_EQ(policy->hooks[1].kind, HookKind::kFentry);
  EXPECT_FALSE(std::get<FunctionTarget>(policy->hooks[1].target).syscall);
}

TEST(TracingHooks, Tracepoints) {
  Check({
      {"{tracepoints: [{subsystem: raw_syscalls, event: sys_enter}]}", "{tracepoints: [{subsystem: raw_syscalls}]}",
       "spec.tracepoints[0].event: missing"},
      {"{tracepoints: [{subsystem: sched, event: sched_switch, raw: true}]}",
       "{tracepoints: [{event: sched_switch, raw: true}]}", "spec.tracepoints[0].subsystem: missing"},
      {"{tracepoints: [{subsystem: a, event: b, args: [{index: 63, type: data_loc}]}]}",
       "{tracepoints: [{subsystem: a, event: b, args: [{index: 64, type: data_loc}]}]}",
       "spec.tracepoints[0].args[0].index: must be a decimal number from 0 to 63, got 64"},
      {"{tracepoints: [{subsystem: a, event: b, raw: true, args: [{index: 11, type: int}]}]}",
       "{tracepoints: [{subsystem: a, event: b, raw: true, args: [{index: 12, type: int}]}]}",
       "spec.tracepoints[0].args[0].index: must be a decimal number from 0 to 11, got 12"},
      {"{tracepoints: [{subsystem: a, event: b}]}", "{tracepoints: [{subsystem: a, event: b, return: true}]}",
       "spec.tracepoints[0].return: unknown field"},
  });
  const auto policy = PolicyOf("{tracepoints: [{subsystem: a, event: b}, {subsystem: a, event: c, raw: true}]}");
  EXPECT_EQ(policy->hooks[0].kind, HookKind::kTracepoint);
  EXPECT_EQ(policy->hooks[1].kind, HookKind::kRawTracepoint);
  EXPECT_EQ(std::get<TracepointTarget>(policy->hooks[1].target).event, "c");
}

TEST(TracingHooks, TracepointFiltersTakeTheFieldsIndexOrThePosition) {
  const std::string begin =
      "{tracepoints: [{subsystem: a, event: b, args: [{index: 4, type: uint64}], selectors: "
      "[{matchArgs: [{operator: Equal, values: [1], index: ";
  for (const char* index : {"4", "0"}) {
    const auto policy = PolicyOf(begin + index + "}]}]}]}");
    EXPECT_EQ(policy->hooks[0].selectors[0].args[0].argument, 0U) << index;
  }
  EXPECT_EQ(
      ErrorOf(begin + "1}]}]}]}"),
      "spec.tracepoints[0].selectors[0].matchArgs[0].index: no argument 1: args of the hook has no entry with that "
      "index. Add it there");
}

TEST(TracingHooks, LsmHooksHaveNoPrefix) {
  Check(
      {{"{lsmhooks: [{hook: file_open}]}", "{lsmhooks: [{hook: security_file_open}]}",
        "spec.lsmhooks[0].hook: write \"security_file_open\" without security_: file_open"},
       {"{lsmhooks: [{hook: file_open}]}", "{lsmhooks: [{hook: bpf_lsm_file_open}]}",
        "spec.lsmhooks[0].hook: write \"bpf_lsm_file_open\" without bpf_lsm_: file_open"},
       {"{lsmhooks: [{hook: file_open}]}", "{lsmhooks: [{call: file_open}]}", "spec.lsmhooks[0].call: unknown field"}});
}

TEST(TracingHooks, Uprobes) {
  const std::string digest(64, 'a');
  Check({
      {"{uprobes: [{path: /bin/bash, symbols: [readline]}]}", "{uprobes: [{path: bash, symbols: [readline]}]}",
       "spec.uprobes[0].path: \"bash\" is not an absolute path: it must start with \"/\""},
      {"{uprobes: [{path: /bin/bash, offsets: [0x10, 32]}]}", "{uprobes: [{path: /bin/bash, offsets: [main]}]}",
       "spec.uprobes[0].offsets[0]: must be a number from 0 to 18446744073709551615, got \"main\""},
      {"{uprobes: [{path: /bin/bash, addrs: [16]}]}", "{uprobes: [{path: /bin/bash}]}",
       "spec.uprobes[0]: needs one of symbols, offsets and addrs"},
      {"{uprobes: [{path: /bin/bash, symbols: [a, b]}]}", "{uprobes: [{path: /bin/bash, symbols: [a], offsets: [1]}]}",
       "spec.uprobes[0]: needs one of symbols, offsets and addrs"},
      {"{uprobes: [{path: /bin/bash, symbols: [a, b]}]}", "{uprobes: [{path: /bin/bash, symbols: [a, a]}]}",
       "spec.uprobes[0].symbols: names \"a\" twice: remove one"},
      {"{uprobes: [{path: /bin/bash, symbols: [a, b], refCtrOffsets: [1, 2]}]}",
       "{uprobes: [{path: /bin/bash, symbols: [a, b], refCtrOffsets: [1]}]}",
       "spec.uprobes[0].refCtrOffsets: 1 entries for 2 places: each needs its own"},
      {"{uprobes: [{path: /b, symbols: [a], binaryDigests: ['sha256:" + digest +
           "', 'build-id:0aFF'], ignore: "
           "{digestVerificationFailure: true}}]}",
       "{uprobes: [{path: /b, symbols: [a], binaryDigests: ['sha1:" + digest + "']}]}",
       "spec.uprobes[0].binaryDigests[0]: must be sha1:, sha256:, sha384:, sha512: or build-id: with the digits of its "
       "length, got \"sha1:" +
           digest + "\""},
  });
}

TEST(TracingHooks, Usdts) {
  Check({{"{usdts: [{path: /b, provider: p, name: probe, args: [{index: 11, type: int64}]}]}",
          "{usdts: [{path: /b, name: probe}]}", "spec.usdts[0].provider: missing"},
         {"{usdts: [{path: /b, provider: p, name: probe}]}", "{usdts: [{path: /b, provider: p}]}",
          "spec.usdts[0].name: missing"}});
}

TEST(TracingHooks, ReturnValues) {
  const std::string begin = "call: sk_alloc, syscall: false, ";
  Check({
      {Kprobe(begin + "return: true, returnArg: {index: 0, type: int}"), Kprobe(begin + "return: true"),
       "spec.kprobes[0].return: needs returnArg, which says what the return value is"},
      {Kprobe(begin + "returnArg: {index: 0, type: int}"), Kprobe(begin + "returnArg: {index: 0, type: itn}"),
       "spec.kprobes[0].returnArg.type: unknown type \"itn\": did you mean int?"},
      {Kprobe(begin + "return: true, returnArg: {type: sock}, returnArgAction: TrackSock"),
       Kprobe(begin + "return: true, returnArg: {type: int}, returnArgAction: TrackSock"),
       "spec.kprobes[0].returnArgAction: TrackSock needs a returnArg of type sock, not int"},
      {Kprobe(begin + "return: true, returnArg: {type: int}, returnArgAction: Post"),
       Kprobe(begin + "return: true, returnArg: {type: int}, returnArgAction: Sigkill"),
       "spec.kprobes[0].returnArgAction: must be TrackSock, UntrackSock or Post, got \"Sigkill\""},
      {Kprobe(begin + "return: true, returnArg: {type: sock}, returnArgAction: UntrackSock"),
       Kprobe(begin + "returnArg: {type: sock}, returnArgAction: UntrackSock"),
       "spec.kprobes[0].returnArgAction: needs \"return: true\" beside it"},
  });
}

TEST(TracingHooks, MessagesAndTagsAreBounded) {
  const std::string most(256, 'a'), tags16 = "[a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q";
  Check({{Function("message: " + most), Function("message: a" + most),
          "spec.kprobes[0].message: 257 bytes: at most 256 are possible"},
         {Function("tags: " + tags16 + "]"), Function("tags: " + tags16 + ", r]"),
          "spec.kprobes[0].tags: 17 entries: at most 16 are possible"}});
}

}  // namespace
}  // namespace sluice::policy::tracing
