// Filters on the process, and how selectors are laid out.
#include "tests/unit/policy_tracing/compiled_text.h"

namespace sluice::policy::tracing {
namespace {

std::string TestsOfSelector(const std::string& fields) { return TextOf(HookOf(WithSelector(fields))); }
std::string RefusalOfSelector(const std::string& fields) {
  std::string text = RefusalOf(WithSelector(fields));
  const std::string at = "spec.kprobes[0].selectors[0].";
  return text.starts_with(at) ? text.substr(at.size()) : text;
}

TEST(TracingCompileSelectors, Pids) {
  EXPECT_EQ(TestsOfSelector("matchPIDs: [{operator: In, values: [1, 2]}]"), "PID 1..1 | PID 2..2");
  EXPECT_EQ(TestsOfSelector("matchPIDs: [{operator: NotIn, values: [1], isNamespacePID: true}]"),
            "not (NAMESPACED_PID 1..1)");
  EXPECT_EQ(TestsOfSelector("matchPIDs: [{operator: NotIn, values: [7], followForks: true}]"), "not (forked from 7)");
  EXPECT_EQ(TestsOfSelector("matchPIDs: [{operator: In, values: [1], followForks: true, isNamespacePID: true}]"),
            "forked from 1 in its namespace");
}

TEST(TracingCompileSelectors, Binaries) {
  EXPECT_EQ(TestsOfSelector("matchBinaries: [{operator: In, values: [/bin/a, /bin/b]}]"),
            "PROCESS_BINARY == /bin/a | PROCESS_BINARY == /bin/b");
  EXPECT_EQ(TestsOfSelector("matchBinaries: [{operator: NotIn, values: [/bin/a]}]"), "not (PROCESS_BINARY == /bin/a)");
  EXPECT_EQ(TestsOfSelector("matchBinaries: [{operator: Prefix, values: [/bin/]}]"), "PROCESS_BINARY begins /bin/");
  EXPECT_EQ(TestsOfSelector("matchBinaries: [{operator: NotPrefix, values: [/bin/]}]"),
            "not (PROCESS_BINARY begins /bin/)");
  EXPECT_EQ(TestsOfSelector("matchParentBinaries: [{operator: Postfix, values: [sh]}]"), "PARENT_BINARY ends sh");
  EXPECT_EQ(TestsOfSelector("matchParentBinaries: [{operator: NotPostfix, values: [sh]}]"),
            "not (PARENT_BINARY ends sh)");
  EXPECT_EQ(HookOf(WithSelector("matchBinaries: [{operator: In, values: [/a]}]")).hook.flags, SL_HOOK_NEEDS_BINARY);
  EXPECT_EQ(HookOf(WithSelector("matchParentBinaries: [{operator: In, values: [/a]}]")).hook.flags,
            SL_HOOK_NEEDS_BINARY);
}

// A hook at each exec marks the processes.
TEST(TracingCompileSelectors, BinariesWithTheirChildren) {
  const std::vector<CompiledHook> hooks = HooksOf(WithSelector(
      "matchBinaries: [{operator: NotIn, values: [/bin/a, /bin/b], followChildren: true}]}, {matchBinaries: "
      "[{operator: In, values: [/c], followChildren: true}]"));
  ASSERT_EQ(hooks.size(), 3U);
  EXPECT_EQ(TextOf(hooks[0]), "not (marked 0) ; marked 1");
  EXPECT_EQ(hooks[0].hook.flags, SL_HOOK_NEEDS_EXECS);
  EXPECT_EQ(hooks[1].point, (HookPoint{HookPoint::Kind::kRawTracepoint, "sched", "sched_process_exec"}));
  EXPECT_EQ(TextOf(hooks[1]), "PROCESS_BINARY == /bin/a | PROCESS_BINARY == /bin/b");
  EXPECT_EQ(hooks[1].selectors[0].actions, SL_HOOK_ACTION_MARK) << "and no event";
  EXPECT_EQ(hooks[1].selectors[0].error, 0);
  EXPECT_EQ(TextOf(hooks[2]), "PROCESS_BINARY == /c");
  EXPECT_EQ(hooks[2].selectors[0].error, 1);
  EXPECT_EQ(RefusalOfSelector("matchParentBinaries: [{operator: In, values: [/a], followChildren: true}]"),
            "matchParentBinaries[0].followChildren: Sluice does not enforce it for parents yet");
}

TEST(TracingCompileSelectors, Namespaces) {
  EXPECT_EQ(TestsOfSelector("matchNamespaces: [{namespace: Pid, operator: NotIn, values: [host_ns, '4026531836']}]"),
            "not (NAMESPACE_PID 4026531836..4026531836 | NAMESPACE_PID 103..103)");
  int number = 100;
  for (const std::string name :
       {"Uts", "Ipc", "Mnt", "Pid", "PidForChildren", "Net", "Time", "TimeForChildren", "Cgroup", "User"}) {
    std::string field = "NAMESPACE_";
    for (const char c : name) {
      if (c >= 'A' && c <= 'Z' && !field.ends_with('_')) field += '_';
      field += static_cast<char>(std::toupper(c));
    }
    EXPECT_EQ(TestsOfSelector("matchNamespaces: [{namespace: " + name + ", operator: In, values: [host_ns]}]"),
              fmt::format("{} {}..{}", field, number, number));
    ++number;
  }
}

TEST(TracingCompileSelectors, WhatHasChangedSinceTheLastExec) {
  const CompiledHook namespaces =
      HookOf(WithSelector("matchNamespaceChanges: [{operator: NotIn, values: [Uts, Net]}]"));
  EXPECT_EQ(TextOf(namespaces), "not (NAMESPACE_UTS changed | NAMESPACE_NET changed)");
  EXPECT_EQ(namespaces.hook.flags, SL_HOOK_NEEDS_EXECS);
  const CompiledHook capabilities = HookOf(WithSelector(
      "matchCapabilityChanges: [{type: Effective, operator: In, isNamespaceCapability: true, values: [CAP_CHOWN, "
      "CAP_KILL]}]"));
  EXPECT_EQ(TextOf(capabilities), "CAPABILITIES_EFFECTIVE changed in 0x21 & not (NAMESPACE_USER 109..109)");
  EXPECT_EQ(capabilities.hook.flags, SL_HOOK_NEEDS_EXECS);
  EXPECT_EQ(HookOf(WithSelector("matchPIDs: [{operator: In, values: [1]}]")).hook.flags, 0);
}

TEST(TracingCompileSelectors, TheHostsNamespacesMustBeKnown) {
  const auto policy = PolicyOf(WithSelector("matchNamespaces: [{namespace: Net, operator: In, values: [host_ns]}]"));
  const Compilation compiled = Compile(policy);
  ASSERT_EQ(compiled.problems.size(), 1U);
  EXPECT_EQ(compiled.policy, nullptr);
  EXPECT_EQ(compiled.problems[0].ToString("p.yaml"),
            "p.yaml:2: TracingPolicy p: spec.kprobes[0].selectors[0].matchNamespaces[0].values: the number of the "
            "host's namespace is not known here, or the kernel has none");
  EXPECT_EQ(compiled.problems[0].object, "TracingPolicy/p");
}

TEST(TracingCompileSelectors, Capabilities) {
  EXPECT_EQ(TestsOfSelector("matchCapabilities: [{operator: In, values: [CAP_CHOWN, CAP_NET_RAW]}]"),
            "CAPABILITIES_EFFECTIVE & 0x2001");
  EXPECT_EQ(TestsOfSelector("matchCapabilities: [{type: Permitted, operator: NotIn, values: [CAP_SYS_ADMIN]}]"),
            "not (CAPABILITIES_PERMITTED & 0x200000)");
  EXPECT_EQ(TestsOfSelector("matchCapabilities: [{type: Inheritable, operator: In, isNamespaceCapability: true, "
                            "values: [CAP_CHOWN]}]"),
            "CAPABILITIES_INHERITABLE & 0x1 & not (NAMESPACE_USER 109..109)");
  EXPECT_EQ(RefusalOfSelector("matchCapabilities: [{operator: NotIn, isNamespaceCapability: true, values: "
                              "[CAP_CHOWN]}]"),
            "matchCapabilities[0].isNamespaceCapability: Sluice does not enforce it together with NotIn yet");
}

TEST(TracingCompileSelectors, Workloads) {
  const Compilation compiled = CompileSpec(
      "{podSelector: {matchLabels: {app: web}}, kprobes: [{call: f, syscall: false, selectors: [{matchWorkloads: "
      "[{hostSelector: {}}]}, {matchWorkloads: [{containerSelector: {matchLabels: {name: db}}}]}]}]}");
  ASSERT_NE(compiled.policy, nullptr);
  EXPECT_EQ(TextOf(compiled.policy->hooks[0]), "scope 1 ; scope 2");
  ASSERT_EQ(compiled.policy->scopes.size(), 3U);
  EXPECT_TRUE(compiled.policy->scopes[0].pods.has_value());
  EXPECT_TRUE(compiled.policy->scopes[1].host);
  EXPECT_TRUE(compiled.policy->scopes[2].containers.has_value());
}

TEST(TracingCompileSelectors, FiltersAndSelectorsInOrder) {
  EXPECT_EQ(TextOf(HookOf(Function("args: [{index: 0, type: sock}]"))), "always");
  EXPECT_EQ(TextOf(HookOf(Function("selectors: [{}, {matchActions: [{action: Sigkill}]}]"))), "always ; always");
  EXPECT_EQ(TextOf(HookOf(Function("args: [{index: 0, type: int}, {index: 1, type: int}], selectors: [{matchPIDs: "
                                   "[{operator: In, values: [1]}], matchArgs: [{index: 0, operator: Equal, values: [1, "
                                   "2]}, {index: 1, operator: NotEqual, values: [3]}]}, {matchArgs: [{index: 1, "
                                   "operator: Mask, values: [4]}]}]"))),
            "PID 1..1 & arg0 1..1 signed | arg0 2..2 signed & not (arg1 3..3 signed) ; arg1 & 0x4");
}

TEST(TracingCompileSelectors, FiltersOnTheResultMakeTheEventWait) {
  const std::string hook = "args: [{index: 0, type: int}], return: true, returnArg: {index: 0, type: int}, selectors: ";
  const CompiledHook two =
      HookOf(Function(hook + "[{matchArgs: [{index: 0, operator: Equal, values: [1]}], matchReturnArgs: "
                             "[{index: 0, operator: LT, values: [0]}]}, {}]"));
  EXPECT_EQ(TextOf(two), "arg0 1..1 signed ; always return result -9223372036854775808..-1 signed ; always");
  EXPECT_EQ(two.hook.flags, SL_HOOK_RETURNS | SL_HOOK_HOLDS);
  EXPECT_EQ(two.hook.return_tests, 2);
  EXPECT_EQ(two.hook.test_count, 4);
  EXPECT_EQ(two.tests[3].selector, 1);
  const CompiledHook acts = HookOf(Function(hook + "[{matchReturnActions: [{action: Sigkill}]}]"));
  EXPECT_EQ(TextOf(acts), "always return always");
  EXPECT_EQ(acts.hook.flags, SL_HOOK_RETURNS | SL_HOOK_HOLDS);
  const CompiledHook neither = HookOf(Function(hook + "[{matchActions: [{action: Sigkill}]}]"));
  EXPECT_EQ(TextOf(neither), "always");
  EXPECT_EQ(neither.hook.flags, SL_HOOK_RETURNS);
}

TEST(TracingCompileSelectors, MoreTestsThanThereIsRoomForAreRefused) {
  std::string values;
  for (int i = 0; i < 4096; ++i) values += fmt::format("{}'{}:{}'", i == 0 ? "" : ", ", i * 10, i * 10 + 1);
  std::string filters, selectors;
  for (int i = 0; i < 5; ++i) filters += "{index: 0, operator: InMap, values: [" + values + "]}, ";
  for (int i = 0; i < 4; ++i) selectors += "{matchArgs: [" + filters + "]}, ";
  const std::string spec = Function("args: [{index: 0, type: uint64}], selectors: [" + selectors + "]");
  EXPECT_EQ(RefusalOf(spec),
            "spec.kprobes[0].selectors: 81920 values to compare: at most 65535 are possible in a hook");
}

}  // namespace
}  // namespace sluice::policy::tracing
