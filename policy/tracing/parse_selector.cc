// Selectors of hooks, with the macros that they name.
#include <algorithm>

#include "policy/tracing/limits.h"
#include "policy/tracing/parse_parts.h"

namespace sluice::policy::tracing {
namespace {

// Appends the filters and actions of one map: a selector, or a macro that it names.
Status AddFilters(const Field& field, const Hook& hook, const PolicyParts& policy, HookSelector& selector) {
  const auto arguments_in = [&](ArgumentPlace place) {
    return [&hook, &policy, place](const Field& item) { return ParseArgumentFilter(item, hook, place, policy); };
  };
  const auto action = [&](const Field& item) { return ParseHookAction(item, hook, policy); };
  const auto return_action = [&](const Field& item) { return ParseReturnAction(item, hook, policy); };
  for (const std::string_view key : {"matchReturnArgs", "matchReturnActions"}) {
    const auto of_return = field.Get(key);
    if (of_return && !(hook.returns && hook.return_arg)) {
      return of_return->Error("needs \"return: true\" and returnArg at the hook");
    }
  }
  SL_RETURN_IF_ERROR(ReadUpTo(field, "matchPIDs", kMaxPidFilters, selector.pids, ParsePidFilter));
  SL_RETURN_IF_ERROR(
      ReadUpTo(field, "matchArgs", kMaxArgumentFilters, selector.args, arguments_in(ArgumentPlace::kArgs)));
  SL_RETURN_IF_ERROR(
      ReadUpTo(field, "matchData", kMaxArgumentFilters, selector.data, arguments_in(ArgumentPlace::kData)));
  SL_RETURN_IF_ERROR(ReadUpTo(field, "matchReturnArgs", kMaxReturnFilters, selector.return_args,
                              arguments_in(ArgumentPlace::kReturn)));
  SL_RETURN_IF_ERROR(ReadUpTo(field, "matchBinaries", kMaxBinaryFilters, selector.binaries, ParseBinaryFilter));
  SL_RETURN_IF_ERROR(
      ReadUpTo(field, "matchParentBinaries", kMaxBinaryFilters, selector.parent_binaries, ParseBinaryFilter));
  SL_RETURN_IF_ERROR(
      ReadUpTo(field, "matchNamespaces", kMaxNamespaceFilters, selector.namespaces, ParseNamespaceFilter));
  SL_RETURN_IF_ERROR(ReadUpTo(field, "matchNamespaceChanges", kMaxNamespaceChanges, selector.namespace_changes,
                              ParseNamespaceChangeFilter));
  SL_RETURN_IF_ERROR(
      ReadUpTo(field, "matchCapabilities", kMaxCapabilityFilters, selector.capabilities, ParseCapabilityFilter));
  SL_RETURN_IF_ERROR(ReadUpTo(field, "matchCapabilityChanges", kMaxCapabilityFilters, selector.capability_changes,
                              ParseCapabilityFilter));
  SL_RETURN_IF_ERROR(ReadUpTo(
      field, "matchWorkloads", kMaxWorkloadFilters, selector.workloads, [](const Field& item) -> StatusOr<Scope> {
        SL_RETURN_IF_ERROR(item.AllowOnly({"podSelector", "containerSelector", "hostSelector"}));
        return ParseScopeOf(item);
      }));
  SL_RETURN_IF_ERROR(ReadUpTo(field, "matchActions", kMaxActions, selector.actions, action));
  return ReadUpTo(field, "matchReturnActions", kMaxActions, selector.return_actions, return_action);
}

Status AddMacros(const Field& field, const Hook& hook, PolicyParts& policy, HookSelector& selector) {
  std::vector<std::string> names;
  return ReadUpTo(field, "macros", kMaxMacros, names, [&](const Field& item) -> StatusOr<std::string> {
    SL_ASSIGN_OR_RETURN(const std::string name, item.String());
    const auto macro = policy.macros.find(name);
    if (macro == policy.macros.end()) {
      return item.Error(fmt::format("spec.selectorsMacros has no {}: add it, or correct the name", Quoted(name)));
    }
    if (std::find(names.begin(), names.end(), name) != names.end()) {
      return item.Error(fmt::format("names {} twice: remove one", Quoted(name)));
    }
    policy.used_macros.insert(name);
    SL_RETURN_IF_ERROR(AddFilters(macro->second, hook, policy, selector));
    return name;
  });
}

// The limits of a selector with its macros.
Status CheckSums(const Field& field, const HookSelector& selector) {
  struct Sum {
    std::string_view what;
    std::size_t count;
    std::size_t limit;
  };
  for (const Sum& sum :
       {Sum{"matchArgs and matchData", selector.args.size() + selector.data.size(), kMaxArgumentFilters},
        Sum{"matchReturnArgs", selector.return_args.size(), kMaxReturnFilters},
        Sum{"matchPIDs", selector.pids.size(), kMaxPidFilters},
        Sum{"matchBinaries", selector.binaries.size(), kMaxBinaryFilters},
        Sum{"matchParentBinaries", selector.parent_binaries.size(), kMaxBinaryFilters},
        Sum{"matchNamespaces", selector.namespaces.size(), kMaxNamespaceFilters},
        Sum{"matchNamespaceChanges", selector.namespace_changes.size(), kMaxNamespaceChanges},
        Sum{"matchCapabilities", selector.capabilities.size(), kMaxCapabilityFilters},
        Sum{"matchCapabilityChanges", selector.capability_changes.size(), kMaxCapabilityFilters},
        Sum{"matchWorkloads", selector.workloads.size(), kMaxWorkloadFilters},
        Sum{"matchActions", selector.actions.size(), kMaxActions},
        Sum{"matchReturnActions", selector.return_actions.size(), kMaxActions}}) {
    if (sum.count <= sum.limit) continue;
    return field.Error(
        fmt::format("{} has {} entries with its macros: at most {} are possible", sum.what, sum.count, sum.limit));
  }
  return OkStatus();
}

}  // namespace

StatusOr<HookSelector> ParseHookSelector(const Field& field, const Hook& hook, PolicyParts& policy) {
  SL_RETURN_IF_ERROR(
      field.AllowOnly({"label", "macros", "matchPIDs", "matchArgs", "matchData", "matchReturnArgs", "matchBinaries",
                       "matchParentBinaries", "matchNamespaces", "matchNamespaceChanges", "matchCapabilities",
                       "matchCapabilityChanges", "matchWorkloads", "matchActions", "matchReturnActions"}));
  HookSelector selector;
  SL_RETURN_IF_ERROR(field.Read("label", selector.label, ParseLabel));
  SL_RETURN_IF_ERROR(AddFilters(field, hook, policy, selector));
  SL_RETURN_IF_ERROR(AddMacros(field, hook, policy, selector));
  SL_RETURN_IF_ERROR(CheckSums(field, selector));
  return selector;
}

}  // namespace sluice::policy::tracing
