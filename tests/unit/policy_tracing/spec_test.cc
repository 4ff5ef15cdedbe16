// The parts of spec beside hooks: scope, lists, enforcers, options; and what a document may have at all.
#include "policy/tracing/syscalls.h"
#include "tests/unit/policy_tracing/specs.h"

namespace sluice::policy::tracing {
namespace {

constexpr char kHook[] = "kprobes: [{call: sys_openat}]}";

std::string With(const std::string& fields) { return "{" + fields + ", " + kHook; }

TEST(TracingSpec, NeedsAHook) {
  const std::string nothing =
      "spec: has no hook, and would do nothing: add kprobes, tracepoints, lsmhooks, fentries, uprobes or usdts";
  Check({
      {std::string("{") + kHook, "{kprobes: []}", nothing},
      {"{loader: true}", "{loader: false}", nothing},
      {"{loader: true}", "{loader: 1}", "spec.loader: must be true or false, got 1"},
      {std::string("{") + kHook, With("parser: {tcp: {}}"), "spec.parser: unknown field"},
      {std::string("{") + kHook, With("lsmHooks: []"), "spec.lsmHooks: unknown field"},
  });
  EXPECT_EQ(ParseDocument("metadata: {name: p}\n").problems.front().what, "spec: missing");
  EXPECT_EQ(ParseDocument("spec: {loader: true}\nstatus: {}\n").problems.front().what, "status: unknown field");
}

TEST(TracingSpec, AllProblemsAreFound) {
  const ParsedSpec parsed = ParseSpec(
      "{kprobes: [{call: no_such}, {call: sys_openat, arg: []}], lsmhooks: [{hook: file_open, args: [{index: 9}]}]}");
  ASSERT_EQ(parsed.problems.size(), 3U);
  EXPECT_EQ(parsed.problems[1].what, "spec.kprobes[1].arg: unknown field");
  EXPECT_EQ(parsed.problems[2].what, "spec.lsmhooks[0].args[0].index: must be a decimal number from 0 to 5, got 9");
}

TEST(TracingSpec, Scope) {
  Check({
      {With("podSelector: {matchLabels: {app: web}}"), With("podSelector: {matchLabel: {app: web}}"),
       "spec.podSelector.matchLabel: unknown field"},
      {With("containerSelector: {matchExpressions: [{key: name, operator: NotIn, values: [istio-proxy]}]}"),
       With("containerSelector: {matchLabels: {image: a}}"),
       "spec.containerSelector: unknown field of containers \"image\": known are name, repo"},
      {With("containerSelector: {matchLabels: {repo: docker.io/library/ubuntu}}"),
       With("containerSelector: {matchExpressions: [{key: name, operator: Exists, values: [a]}]}"),
       "spec.containerSelector.matchExpressions[0].operator: unknown operator \"Exists\": known are In, NotIn"},
      {With("hostSelector: {}"), With("hostSelector: {matchLabels: {a: b}}"),
       "spec.hostSelector: must be {}: processes of the host have no labels to select by"},
      {With("nodeSelector: {matchLabels: {a: b}}"), With("nodeSelector: [a]"),
       "spec.nodeSelector: must be a map, got a list"},
  });
  EXPECT_TRUE(PolicyOf(With("hostSelector: {}"))->scope.host);
  EXPECT_FALSE(PolicyOf(With("hostSelector: ~"))->scope.host);
  EXPECT_EQ(ErrorOf(With("podSelector: {}"), "shop"), "no error");
  EXPECT_EQ(ErrorOf(With("hostSelector: {}"), "shop"),
            "spec.hostSelector: a TracingPolicyNamespaced is for pods of its namespace: use a TracingPolicy");
}

TEST(TracingLists, HaveValuesOrAPattern) {
  const auto list = [](const std::string& fields) { return With("lists: [{name: l, " + fields + "}]"); };
  Check({
      {list("type: syscalls, values: [sys_dup, i386/sys_dup, x64/sys_dup2]"),
       list("type: syscalls, values: [sys_dupp]"),
       "spec.lists[0].values[0]: there is no system call \"sys_dupp\": did you mean sys_dup?"},
      {list("type: syscalls, values: [arm64/sys_dup]"), list("type: syscalls, values: [mips/sys_dup]"),
       "spec.lists[0].values[0]: unknown ABI in \"mips/sys_dup\": known are x64, i386, arm64, arm32"},
      {list("values: [fd_install]"), list("values: [fd install]"),
       "spec.lists[0].values[0]: \"fd install\" is not a name of a function: letters, digits, \"_\" and \".\" are "
       "possible, and no digit first"},
      {list("values: [a, b]"), list("values: [a, a]"), "spec.lists[0].values: has \"a\" twice: remove one"},
      {list("values: [a]"), list("values: []"), "spec.lists[0]: needs values: an empty list hooks nothing"},
      {list("values: [a]"), list("values: [a], pattern: b"),
       "spec.lists[0].pattern: is for the types generated_syscalls and generated_ftrace"},
      {list("type: generated_ftrace, pattern: '^ksys_*'"), list("type: generated_ftrace"),
       "spec.lists[0].pattern: missing"},
      {list("type: generated_syscalls"), list("type: generated_syscalls, values: [sys_dup]"),
       "spec.lists[0].values: the kernel has them: use pattern to choose"},
      {list("type: generated_ftrace, pattern: 'a(b|c)'"), list("type: generated_ftrace, pattern: 'a(b'"),
       "spec.lists[0].pattern: \"a(b\" is no regular expression: missing ): a(b"},
      {list("values: [a], validated: true"), list("values: [a], type: functions"),
       "spec.lists[0].type: unknown type of a list \"functions\": known are syscalls, generated_syscalls, "
       "generated_ftrace"},
      {With("lists: [{name: a, values: [f]}, {name: b, values: [f]}]"),
       With("lists: [{name: a, values: [f]}, {name: a, values: [g]}]"),
       "spec.lists[1].name: two lists are called \"a\": rename one"},
      {With("lists: [{name: a, values: [f]}]"), With("lists: [{values: [f]}]"), "spec.lists[0].name: missing"},
  });
}

TEST(TracingLists, AreThereWhereTheyAreNamed) {
  const std::string lists =
      "{lists: [{name: calls, type: syscalls, values: [sys_dup]}, {name: functions, values: [f]}], ";
  const auto in_map = [&](const std::string& name) {
    return lists +
           "tracepoints: [{subsystem: a, event: b, args: [{index: 4, type: syscall64}], selectors: [{matchArgs: "
           "[{index: 4, operator: InMap, values: ['list:" +
           name + "', 7]}]}]}]}";
  };
  Check({
      {lists + "kprobes: [{call: 'list:functions'}]}", lists + "kprobes: [{call: 'list:function'}]}",
       "spec.kprobes[0].call: spec.lists has no list \"function\": add it, or correct the name"},
      {in_map("calls"), in_map("functions"),
       "spec.tracepoints[0].selectors[0].matchArgs[0].values[0]: list \"functions\" has functions, not numbers: only "
       "lists "
       "of type syscalls and generated_syscalls can be compared"},
      {lists + "enforcers: [{calls: ['list:calls']}], " + kHook,
       lists + "enforcers: [{calls: ['list:none']}], " + kHook,
       "spec.enforcers[0].calls[0]: spec.lists has no list \"none\": add it, or correct the name"},
  });
  const auto policy = PolicyOf(in_map("calls"));
  const FilterValues& values = policy->hooks[0].selectors[0].args[0].values;
  EXPECT_EQ(values.lists, std::vector<std::string>{"calls"});
  EXPECT_EQ(values.numbers, (std::vector<NumberRange>{{7, 7}}));
}

TEST(TracingEnforcers, AreOneForWhatCanBeOverridden) {
  Check({
      {With("enforcers: [{calls: [sys_openat, security_file_open]}]"), With("enforcers: [{calls: [fd_install]}]"),
       "spec.enforcers[0].calls[0]: \"fd_install\" cannot be overridden: the kernel lets system calls and security_* "
       "functions be"},
      {With("enforcers: [{calls: [sys_openat]}]"), With("enforcers: [{calls: [sys_openat]}, {calls: [sys_dup]}]"),
       "spec.enforcers: a policy has one enforcer: put all calls into it"},
      {With("enforcers: [{calls: [sys_openat]}]"), With("enforcers: [{calls: []}]"),
       "spec.enforcers[0].calls: missing"},
  });
}

TEST(TracingOptions, AreKnown) {
  const auto option = [](const std::string& name, const std::string& value) {
    return With("options: [{name: " + name + ", value: " + value + "}]");
  };
  Check({
      {option("policy-mode", "monitor"), option("policy-mode", "audit"),
       "spec.options[0].value: unknown mode \"audit\": known are enforce, monitor"},
      {option("disable-kprobe-multi", "'1'"), option("disable-kprobe-multi", "maybe"),
       "spec.options[0].value: must be true, false, 1 or 0, got \"maybe\""},
      {option("disable-uprobe-multi", "true"), option("disable-uprobes", "true"),
       "spec.options[0].name: unknown option \"disable-uprobes\": known are policy-mode, disable-kprobe-multi, "
       "disable-uprobe-multi"},
      {option("policy-mode", "enforce"),
       With("options: [{name: policy-mode, value: enforce}, {name: policy-mode, value: monitor}]"),
       "spec.options[1].name: \"policy-mode\" is set twice: remove one"},
  });
  EXPECT_EQ(PolicyOf(option("policy-mode", "monitor"))->mode, TracingPolicy::Mode::kMonitor);
  EXPECT_TRUE(PolicyOf(option("disable-kprobe-multi", "'1'"))->no_kprobe_multi);
  EXPECT_FALSE(PolicyOf(option("disable-kprobe-multi", "'0'"))->no_kprobe_multi);
  EXPECT_TRUE(PolicyOf(option("disable-uprobe-multi", "'1'"))->no_uprobe_multi);
}

TEST(TracingSyscalls, AreFoundByTheNamesOfTheirFunctions) {
  const std::vector<std::string> names = SyscallFunctions();
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  for (const std::string& name : names) {
    ASSERT_TRUE(SyscallOfFunction(name).has_value()) << name;
    const int arguments = *SyscallArguments(*SyscallOfFunction(name));
    EXPECT_TRUE(arguments >= 0 && arguments <= 6) << name;
  }
  EXPECT_EQ(SyscallArguments("openat"), 4);
  EXPECT_EQ(SyscallArguments("getpid"), 0);
  EXPECT_EQ(SyscallArguments("mmap"), 6);
  EXPECT_EQ(SyscallArguments("opennat"), std::nullopt);
  for (const char* function : {"sys_openat", "__x64_sys_openat", "__ia32_sys_openat", "__arm64_sys_openat"}) {
    EXPECT_EQ(SyscallOfFunction(function), "openat") << function;
  }
  for (const char* function : {"openat", "do_sys_openat2", "__x32_sys_openat", "sys_", "security_file_open"}) {
    EXPECT_EQ(SyscallOfFunction(function), std::nullopt) << function;
  }
}

}  // namespace
}  // namespace sluice::policy::tracing
