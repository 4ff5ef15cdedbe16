// Filters on the process and its workload.
#include "policy/tracing/compile_parts.h"

namespace sluice::policy::tracing {
namespace {

static_assert(SL_HOOK_FIELD_NAMESPACE_USER - SL_HOOK_FIELD_NAMESPACE_UTS == static_cast<int>(NamespaceType::kUser));
static_assert(static_cast<int>(NamespaceType::kUser) + 1 == kNamespaceTypeCount);
static_assert(SL_HOOK_FIELD_CAPABILITIES_PERMITTED - SL_HOOK_FIELD_CAPABILITIES_EFFECTIVE ==
              static_cast<int>(CapabilitySet::kPermitted));

sl_hook_field FieldOf(NamespaceType type) {
  return static_cast<sl_hook_field>(SL_HOOK_FIELD_NAMESPACE_UTS + static_cast<int>(type));
}
sl_hook_field FieldOf(CapabilitySet set) {
  return static_cast<sl_hook_field>(SL_HOOK_FIELD_CAPABILITIES_EFFECTIVE + static_cast<int>(set));
}

sl_hook_test EqualNumber(sl_hook_field field, std::uint64_t number) {
  return MakeTest(SL_HOOK_TEST_RANGE, field, number, number);
}

// 0: not known, which is a problem of `field`.
std::uint32_t HostInode(const HookParts& parts, NamespaceType type, const PolicyField& field) {
  const std::uint32_t inode = parts.options.host_namespaces[static_cast<std::size_t>(type)];
  if (inode == 0) field.Error("the number of the host's namespace is not known here, or the kernel has none");
  return inode;
}

FilterTests CompilePids(const PidFilter& filter) {
  FilterTests out{.negated = filter.negated, .tests = {}};
  const sl_hook_field of_process = filter.in_namespace ? SL_HOOK_FIELD_NAMESPACED_PID : SL_HOOK_FIELD_PID;
  for (const std::uint32_t pid : filter.pids) {
    out.tests.push_back(filter.follow_forks ? MakeTest(SL_HOOK_TEST_FORKED_FROM, of_process, pid)
                                            : EqualNumber(of_process, pid));
  }
  return out;
}

// A process is marked when it executes one of the programs, and its children with it. The mark's number counts from 0
// within the policy.
FilterTests CompileFollowed(const HookParts& parts, const BinaryFilter& filter, CompiledHook& compiled) {
  const std::size_t mark = parts.marking->size();
  CompiledHook marking{
      .point = {.kind = HookPoint::Kind::kRawTracepoint, .group = "sched", .name = "sched_process_exec"},
      .place = parts.hook.place};
  for (const std::string& path : filter.paths)
    marking.tests.push_back(TextTest(SL_HOOK_TEST_EQUAL, SL_HOOK_FIELD_PROCESS_BINARY, path, marking));
  const std::size_t last = marking.tests.size() - 1;
  for (sl_hook_test& test : marking.tests) test.filter_last = test.selector_last = static_cast<std::uint16_t>(last);
  marking.hook.test_count = static_cast<std::uint16_t>(marking.tests.size());
  marking.hook.flags = SL_HOOK_NEEDS_BINARY | SL_HOOK_NEEDS_EXECS;
  sl_hook_selector selector{};
  selector.actions = SL_HOOK_ACTION_MARK;
  selector.error = static_cast<std::int32_t>(mark);
  marking.selectors.push_back(selector);
  parts.marking->push_back(std::move(marking));
  compiled.hook.flags |= SL_HOOK_NEEDS_EXECS;
  return {.negated = filter.op == SetOperator::kNotIn,
          .tests = {MakeTest(SL_HOOK_TEST_MARKED, SL_HOOK_FIELD_PID, mark)}};
}

FilterTests CompileBinaries(const HookParts& parts, const BinaryFilter& filter, sl_hook_field of_process,
                            const PolicyField& field, CompiledHook& compiled) {
  if (filter.follow_children && of_process == SL_HOOK_FIELD_PROCESS_BINARY)
    return CompileFollowed(parts, filter, compiled);
  if (filter.follow_children) field.At("followChildren").NotYet("it for parents");
  compiled.hook.flags |= SL_HOOK_NEEDS_BINARY;
  FilterTests out;
  sl_hook_test_kind kind = SL_HOOK_TEST_EQUAL;
  switch (filter.op) {
    case SetOperator::kNotIn:
      out.negated = true;
      break;
    case SetOperator::kIn:
      break;
    case SetOperator::kNotPrefix:
      out.negated = true;
      [[fallthrough]];
    case SetOperator::kPrefix:
      kind = SL_HOOK_TEST_PREFIX;
      break;
    case SetOperator::kNotPostfix:
      out.negated = true;
      [[fallthrough]];
    case SetOperator::kPostfix:
      kind = SL_HOOK_TEST_POSTFIX;
      break;
  }
  for (const std::string& path : filter.paths) out.tests.push_back(TextTest(kind, of_process, path, compiled));
  return out;
}

FilterTests CompileNamespace(const HookParts& parts, const NamespaceFilter& filter, const PolicyField& field) {
  FilterTests out{.negated = filter.negated, .tests = {}};
  for (const std::uint32_t inode : filter.inodes) out.tests.push_back(EqualNumber(FieldOf(filter.type), inode));
  if (filter.host) {
    out.tests.push_back(EqualNumber(FieldOf(filter.type), HostInode(parts, filter.type, field.At("values"))));
  }
  return out;
}

FilterTests CompileNamespaceChange(const NamespaceChangeFilter& filter) {
  FilterTests out{.negated = filter.negated, .tests = {}};
  for (const NamespaceType type : filter.types) {
    sl_hook_test test = MakeTest(SL_HOOK_TEST_CHANGED_NAMESPACE, FieldOf(type));
    test.detail = static_cast<std::uint8_t>(type);
    out.tests.push_back(test);
  }
  return out;
}

// One filter, or with isNamespaceCapability two.
void AddCapabilities(const HookParts& parts, const CapabilityFilter& filter, sl_hook_test_kind kind,
                     const PolicyField& field, std::vector<FilterTests>& filters) {
  filters.push_back({.negated = filter.negated, .tests = {MakeTest(kind, FieldOf(filter.set), filter.mask)}});
  if (!filter.in_namespace) return;
  const PolicyField at = field.At("isNamespaceCapability");
  if (filter.negated) return at.NotYet("it together with NotIn");
  filters.push_back({.negated = true,
                     .tests = {EqualNumber(SL_HOOK_FIELD_NAMESPACE_USER, HostInode(parts, NamespaceType::kUser, at))}});
}

FilterTests CompileWorkload(const Scope& scope, std::vector<Scope>& scopes) {
  scopes.push_back(scope);
  return {.tests = {MakeTest(SL_HOOK_TEST_SCOPE, SL_HOOK_FIELD_VALUE, scopes.size() - 1)}};
}

}  // namespace

std::vector<FilterTests> CompileProcessFilters(const HookParts& parts, const HookSelector& selector,
                                               const PolicyField& field, CompiledHook& compiled,
                                               std::vector<Scope>& scopes) {
  std::vector<FilterTests> filters;
  if (!selector.namespace_changes.empty() || !selector.capability_changes.empty())
    compiled.hook.flags |= SL_HOOK_NEEDS_EXECS;
  const auto each = [&](const auto& list, std::string_view key, auto add) {
    for (std::size_t i = 0; i < list.size(); ++i) add(list[i], field.At(key, i));
  };
  each(selector.workloads, "matchWorkloads",
       [&](const Scope& scope, const PolicyField&) { filters.push_back(CompileWorkload(scope, scopes)); });
  each(selector.pids, "matchPIDs",
       [&](const PidFilter& one, const PolicyField&) { filters.push_back(CompilePids(one)); });
  each(selector.namespaces, "matchNamespaces",
       [&](const NamespaceFilter& one, const PolicyField& at) { filters.push_back(CompileNamespace(parts, one, at)); });
  each(selector.namespace_changes, "matchNamespaceChanges",
       [&](const NamespaceChangeFilter& one, const PolicyField&) { filters.push_back(CompileNamespaceChange(one)); });
  each(selector.capabilities, "matchCapabilities", [&](const CapabilityFilter& one, const PolicyField& at) {
    AddCapabilities(parts, one, SL_HOOK_TEST_MASK, at, filters);
  });
  each(selector.capability_changes, "matchCapabilityChanges", [&](const CapabilityFilter& one, const PolicyField& at) {
    AddCapabilities(parts, one, SL_HOOK_TEST_CHANGED_CAPABILITY, at, filters);
  });
  each(selector.binaries, "matchBinaries", [&](const BinaryFilter& one, const PolicyField& at) {
    filters.push_back(CompileBinaries(parts, one, SL_HOOK_FIELD_PROCESS_BINARY, at, compiled));
  });
  each(selector.parent_binaries, "matchParentBinaries", [&](const BinaryFilter& one, const PolicyField& at) {
    filters.push_back(CompileBinaries(parts, one, SL_HOOK_FIELD_PARENT_BINARY, at, compiled));
  });
  return filters;
}

}  // namespace sluice::policy::tracing
