// Selectors: filters on the process, macros, and how many of each there may be.
#include "tests/unit/policy_tracing/specs.h"

namespace sluice::policy::tracing {
namespace {

constexpr char kSelector[] = "spec.kprobes[0].selectors[0].";

struct FilterCase {
  std::string right;
  std::string wrong;
  std::string error;
};

void CheckSelectors(const std::vector<FilterCase>& cases) {
  for (const FilterCase& one : cases)
    Check({{WithSelector(one.right), WithSelector(one.wrong), kSelector + one.error}});
}

HookSelector SelectorOf(const std::string& fields) {
  const auto policy = PolicyOf(WithSelector(fields));
  return policy == nullptr ? HookSelector() : policy->hooks[0].selectors[0];
}

std::string Repeated(const std::string& item, int count) {
  std::string list = "[";
  for (int i = 0; i < count; ++i) list += (i == 0 ? "" : ", ") + item;
  return list + "]";
}

TEST(TracingSelectors, Pids) {
  const std::string one = "{operator: In, values: [1]}";
  CheckSelectors({
      {"matchPIDs: [{operator: NotIn, values: [0, 1, 2, 4194304], followForks: true, isNamespacePID: true}]",
       "matchPIDs: [{operator: NotIn, values: [1, 2, 3, 4, 5]}]",
       "matchPIDs[0].values: 5 entries: at most 4 are possible"},
      {"matchPIDs: [" + one + "]", "matchPIDs: [{operator: Equal, values: [1]}]",
       "matchPIDs[0].operator: unknown operator \"Equal\": known are In, NotIn"},
      {"matchPIDs: [" + one + "]", "matchPIDs: [{operator: In, values: [bash]}]",
       "matchPIDs[0].values[0]: must be a number from 0 to 4194304, got \"bash\""},
      {"matchPIDs: [" + one + "]", "matchPIDs: [{operator: In, values: []}]",
       "matchPIDs[0].values: needs at least one value"},
      {"matchPIDs: [" + one + "]", "matchPIDs: [{values: [1]}]", "matchPIDs[0].operator: missing"},
      {"matchPIDs: " + Repeated(one, 4), "matchPIDs: " + Repeated(one, 5),
       "matchPIDs: 5 entries: at most 4 are possible"},
  });
  const PidFilter filter =
      SelectorOf("matchPIDs: [{operator: NotIn, values: [0, 1], followForks: true, isNamespacePID: true}]").pids[0];
  EXPECT_TRUE(filter.negated && filter.follow_forks && filter.in_namespace);
  EXPECT_EQ(filter.pids, (std::vector<std::uint32_t>{0, 1}));
}

TEST(TracingSelectors, Binaries) {
  for (const std::string key : {"matchBinaries", "matchParentBinaries"}) {
    CheckSelectors({
        {key + ": [{operator: In, values: [/bin/cat], followChildren: true}]",
         key + ": [{operator: Prefix, values: [/bin], followChildren: true}]",
         key + "[0].followChildren: is for In and NotIn, not for Prefix"},
        {key + ": [{operator: Postfix, values: [cat]}]", key + ": [{operator: In, values: [cat]}]",
         key + "[0].values[0]: must be an absolute path, got \"cat\". Postfix compares the end of a path"},
        {key + ": [{operator: NotPrefix, values: [/bin/]}]", key + ": [{operator: SubString, values: [/bin/]}]",
         key + "[0].operator: unknown operator \"SubString\": known are In, NotIn, Prefix, NotPrefix, Postfix, "
               "NotPostfix"},
        {key + ": [{operator: In, values: [/a]}]",
         key + ": [{operator: In, values: [/a]}, {operator: In, values: [/b]}]",
         key + ": 2 entries: at most 1 are possible"},
        {key + ": [{operator: In, values: [/a]}]", key + ": [{operator: In, values: [7]}]",
         key + "[0].values[0]: must be a string: quote it (\"7\")"},
    });
  }
}

TEST(TracingSelectors, Namespaces) {
  const std::string one = "{namespace: Pid, operator: In, values: [host_ns]}";
  CheckSelectors({
      {"matchNamespaces: [{namespace: PidForChildren, operator: NotIn, values: [host_ns, '4026531836']}]",
       "matchNamespaces: [{namespace: Pids, operator: In, values: [host_ns]}]",
       "matchNamespaces[0].namespace: unknown namespace \"Pids\": did you mean Pid?"},
      {"matchNamespaces: [" + one + "]", "matchNamespaces: [{namespace: Pid, operator: In, values: [host]}]",
       "matchNamespaces[0].values[0]: must be the number of a namespace or host_ns, got \"host\""},
      {"matchNamespaces: [" + one + "]", "matchNamespaces: [{namespace: Pid, operator: In, values: [4294967296]}]",
       "matchNamespaces[0].values[0]: must be the number of a namespace or host_ns, got \"4294967296\""},
      {"matchNamespaces: [{namespace: Pid, operator: In, values: [1, 2, 3, 4]}]",
       "matchNamespaces: [{namespace: Pid, operator: In, values: [1, 2, 3, 4, 5]}]",
       "matchNamespaces[0].values: 5 entries: at most 4 are possible"},
      {"matchNamespaces: " + Repeated(one, 10), "matchNamespaces: " + Repeated(one, 11),
       "matchNamespaces: 11 entries: at most 10 are possible"},
      {"matchNamespaceChanges: [{operator: In, values: [Mnt, Uts]}]",
       "matchNamespaceChanges: [{operator: In, values: [mnt]}]",
       "matchNamespaceChanges[0].values[0]: unknown namespace \"mnt\": did you mean Mnt?"},
      {"matchNamespaceChanges: [{operator: In, values: [Mnt]}]",
       "matchNamespaceChanges: " + Repeated("{operator: In, values: [Mnt]}", 2),
       "matchNamespaceChanges: 2 entries: at most 1 are possible"},
  });
  const NamespaceFilter filter =
      SelectorOf("matchNamespaces: [{namespace: Mnt, operator: NotIn, values: [host_ns, 7]}]").namespaces[0];
  EXPECT_EQ(filter.type, NamespaceType::kMnt);
  EXPECT_TRUE(filter.negated && filter.host);
  EXPECT_EQ(filter.inodes, std::vector<std::uint32_t>{7});
}

TEST(TracingSelectors, Capabilities) {
  for (const std::string key : {"matchCapabilities", "matchCapabilityChanges"}) {
    const std::string one = "{type: Permitted, operator: In, values: [CAP_NET_RAW]}";
    CheckSelectors({
        {key + ": [" + one + "]", key + ": [{operator: In, values: [CAP_NET_WAR]}]",
         key + "[0].values[0]: unknown capability \"CAP_NET_WAR\": write it as CAP_SYS_ADMIN"},
        {key + ": [{operator: In, values: [CAP_CHECKPOINT_RESTORE]}]", key + ": [{operator: In, values: [CAP_41]}]",
         key + "[0].values[0]: unknown capability \"CAP_41\": write it as CAP_SYS_ADMIN"},
        {key + ": [" + one + "]", key + ": [{type: Ambient, operator: In, values: [CAP_NET_RAW]}]",
         key + "[0].type: unknown set of capabilities \"Ambient\": known are Effective, Inheritable, Permitted"},
        {key + ": " + Repeated(one, 3), key + ": " + Repeated(one, 4), key + ": 4 entries: at most 3 are possible"},
    });
  }
  const CapabilityFilter filter =
      SelectorOf(
          "matchCapabilities: [{operator: NotIn, isNamespaceCapability: true, values: [CAP_CHOWN, CAP_NET_RAW]}]")
          .capabilities[0];
  EXPECT_EQ(filter.set, CapabilitySet::kEffective);
  EXPECT_TRUE(filter.negated && filter.in_namespace);
  EXPECT_EQ(filter.mask, (1U << 0U) | (1U << 13U));
}

TEST(TracingSelectors, Workloads) {
  CheckSelectors({
      {"matchWorkloads: [{podSelector: {matchLabels: {app: web}}, containerSelector: {matchLabels: {repo: a.b/c/d}}, "
       "hostSelector: {}}]",
       "matchWorkloads: [{nodeSelector: {}}]", "matchWorkloads[0].nodeSelector: unknown field"},
  });
}

TEST(TracingSelectors, OfReturnsNeedTheReturnValue) {
  const std::string begin = "call: sys_openat, ";
  const std::string match = "selectors: [{matchReturnArgs: [{index: 0, operator: GT, values: [0]}]}]";
  Check({
      {Kprobe(begin + "return: true, returnArg: {index: 0, type: int}, " + match),
       Kprobe(begin + "returnArg: {index: 0, type: int}, " + match),
       "spec.kprobes[0].selectors[0].matchReturnArgs: needs \"return: true\" and returnArg at the hook"},
      {Kprobe(begin + "return: true, returnArg: {index: 0, type: int}, " + match),
       Kprobe(begin + "return: true, returnArg: {index: 1, type: int}, " + match),
       "spec.kprobes[0].selectors[0].matchReturnArgs[0].index: no return value 0: returnArg has index 1"},
      {Kprobe(begin + "return: true, returnArg: {type: int}, selectors: [{matchReturnActions: [{action: Post}]}]"),
       Kprobe(begin + "selectors: [{matchReturnActions: [{action: Post}]}]"),
       "spec.kprobes[0].selectors[0].matchReturnActions: needs \"return: true\" and returnArg at the hook"},
      {Kprobe(begin + "return: true, returnArg: {type: int}, selectors: [{matchReturnActions: [{action: Sigkill}]}]"),
       Kprobe(begin +
              "return: true, returnArg: {type: int}, selectors: [{matchReturnActions: [{action: Override, argError: "
              "-1}]}]"),
       "spec.kprobes[0].selectors[0].matchReturnActions[0].action: Override: the function has already run when it "
       "returns. "
       "Use matchActions"},
  });
}

TEST(TracingSelectors, AreBounded) {
  const std::string filter = "{index: 1, operator: Equal, values: [1]}";
  Check({
      {Function("selectors: " + Repeated("{}", 5)), Function("selectors: " + Repeated("{}", 6)),
       "spec.kprobes[0].selectors: 6 entries: at most 5 are possible"},
      {WithSelector("matchArgs: " + Repeated(filter, 5)), WithSelector("matchArgs: " + Repeated(filter, 6)),
       "spec.kprobes[0].selectors[0].matchArgs: 6 entries: at most 5 are possible"},
      {WithSelector("matchActions: " + Repeated("{action: Post}", 3)),
       WithSelector("matchActions: " + Repeated("{action: Post}", 4)),
       "spec.kprobes[0].selectors[0].matchActions: 4 entries: at most 3 are possible"},
      {WithSelector("label: a"), WithSelector("matchAncestors: []"),
       "spec.kprobes[0].selectors[0].matchAncestors: unknown field"},
  });
}

TEST(TracingSelectors, MatchData) {
  const std::string begin = "data: [{type: uint32, source: current_task, resolve: pid}], selectors: [{matchData: [{";
  Check({{Function(begin + "index: 0, operator: Equal, values: [1]}]}]"),
          Function(begin + "index: 1, operator: Equal, values: [1]}]}]"),
          "spec.kprobes[0].selectors[0].matchData[0].index: no entry 1: the hook has 1 of data, counted from 0"}});
  const std::string args =
      "args: [{index: 0, type: int}], " + begin + "index: 0, operator: Equal, values: [1]}], matchArgs: ";
  const std::string filter = "{index: 0, operator: Equal, values: [1]}";
  Check({{Function(args + Repeated(filter, 4) + "}]"), Function(args + Repeated(filter, 5) + "}]"),
          "spec.kprobes[0].selectors[0]: matchArgs and matchData has 6 entries with its macros: at most 5 are "
          "possible"}});
}

TEST(TracingMacros, AddTheirFilters) {
  const std::string macro = "selectorsMacros: {cat: {matchBinaries: [{operator: In, values: [/bin/cat]}]}}, ";
  const auto spec = [&](const std::string& selector) {
    return "{" + macro + "kprobes: [{call: f, syscall: false, args: [{index: 0, type: int}], selectors: [{" + selector +
           "}]}]}";
  };
  Check({
      {spec("macros: [cat]"), spec("macros: [dog]"),
       "spec.kprobes[0].selectors[0].macros[0]: spec.selectorsMacros has no \"dog\": add it, or correct the name"},
      {spec("macros: [cat]"), spec("macros: [cat, cat]"),
       "spec.kprobes[0].selectors[0].macros[1]: names \"cat\" twice: remove one"},
      {spec("macros: [cat]"), spec("label: a"),
       "spec.selectorsMacros.cat: no selector uses it: remove it, or name it in macros"},
      {spec("macros: [cat]"), spec("macros: [cat], matchBinaries: [{operator: In, values: [/bin/dog]}]"),
       "spec.kprobes[0].selectors[0]: matchBinaries has 2 entries with its macros: at most 1 are possible"},
  });
  const auto policy = PolicyOf(spec("macros: [cat], matchArgs: [{index: 0, operator: Equal, values: [1]}]"));
  ASSERT_NE(policy, nullptr);
  EXPECT_EQ(policy->hooks[0].selectors[0].binaries[0].paths, std::vector<std::string>{"/bin/cat"});
  EXPECT_EQ(policy->hooks[0].selectors[0].args.size(), 1U);
  // A macro's own filters are checked against the hook that uses it.
  const auto with = [](const std::string& type) {
    return "{selectorsMacros: {m: {matchArgs: [{index: 0, operator: Prefix, values: [/a]}]}}, kprobes: [{call: f, "
           "syscall: "
           "false, args: [{index: 0, type: " +
           type + "}], selectors: [{macros: [m]}]}]}";
  };
  EXPECT_EQ(ErrorOf(with("file")), "no error");
  EXPECT_EQ(
      ErrorOf(with("int")).find("spec.selectorsMacros.m.matchArgs[0].operator: operator Prefix does not fit type int"),
      0U);
}

}  // namespace
}  // namespace sluice::policy::tracing
