#include "policy/tracing/parser.h"

#include "policy/resource/resource_common.h"
#include "policy/tracing/compile.h"
#include "policy/tracing/limits.h"
#include "policy/tracing/parse_parts.h"

namespace sluice::policy::tracing {
namespace {

// The lists of hooks, all of them even if one has errors.
Status ParseHooks(const Field& spec, PolicyParts& parts, TracingPolicy& policy) {
  Status first = ReadUpTo(spec, "kprobes", kMaxHooks, policy.hooks,
                          [&](const Field& item) { return ParseKprobe(item, HookKind::kKprobe, parts); });
  first.Update(ReadUpTo(spec, "fentries", kMaxHooks, policy.hooks,
                        [&](const Field& item) { return ParseKprobe(item, HookKind::kFentry, parts); }));
  first.Update(ReadUpTo(spec, "tracepoints", kMaxHooks, policy.hooks,
                        [&](const Field& item) { return ParseTracepoint(item, parts); }));
  first.Update(ReadUpTo(spec, "lsmhooks", kMaxHooks, policy.hooks,
                        [&](const Field& item) { return ParseLsmHook(item, parts); }));
  first.Update(
      ReadUpTo(spec, "uprobes", kMaxHooks, policy.hooks, [&](const Field& item) { return ParseUprobe(item, parts); }));
  first.Update(
      ReadUpTo(spec, "usdts", kMaxHooks, policy.hooks, [&](const Field& item) { return ParseUsdt(item, parts); }));
  if (!first.ok()) return first;
  if (policy.hooks.size() > kMaxHooks) {
    return spec.Error(fmt::format("{} hooks: at most {} are possible", policy.hooks.size(), kMaxHooks));
  }
  return OkStatus();
}

Status ReadMacros(const Field& spec, PolicyParts& parts) {
  const auto macros = spec.Get("selectorsMacros");
  if (!macros) return OkStatus();
  return macros->ForEachEntry([&](const std::string& name, const Field& macro) -> Status {
    SL_RETURN_IF_ERROR(
        macro.AllowOnly({"label", "matchPIDs", "matchArgs", "matchData", "matchReturnArgs", "matchBinaries",
                         "matchParentBinaries", "matchNamespaces", "matchNamespaceChanges", "matchCapabilities",
                         "matchCapabilityChanges", "matchWorkloads", "matchActions", "matchReturnActions"}));
    parts.macros.emplace(name, macro);
    return OkStatus();
  });
}

// A macro is checked where it is used, as its filters depend on the hook's arguments.
Status CheckMacrosAreUsed(const PolicyParts& parts) {
  Status first = OkStatus();
  for (const auto& [name, macro] : parts.macros) {
    if (!parts.used_macros.contains(name))
      first.Update(macro.Error("no selector uses it: remove it, or name it in macros"));
  }
  return first;
}

Status ParseScope(const Field& spec, TracingPolicy& policy) {
  SL_ASSIGN_OR_RETURN(policy.scope, ParseScopeOf(spec));
  if (policy.scope.host && !policy.name.ns.empty()) {
    return spec.Get("hostSelector")
        ->Error("a TracingPolicyNamespaced is for pods of its namespace: use a TracingPolicy");
  }
  return spec.Read("nodeSelector", policy.nodes, ParseSelector);
}

Status ParseInto(const Field& root, const ObjectName& name, Resource& resource) {
  SL_ASSIGN_OR_RETURN(resource.tracing, ParseTracingPolicy(root, name));
  return OkStatus();
}

// The node's namespaces have some number, which decides about no problem.
Status ParseAndCompile(const Field& root, const ObjectName& name, Resource& resource) {
  SL_RETURN_IF_ERROR(ParseInto(root, name, resource));
  CompileOptions options;
  options.host_namespaces.fill(1);
  Compilation compilation = Compile(resource.tracing, options);
  if (compilation.policy != nullptr) return OkStatus();
  Status first = ToStatus(root.document().origin, {compilation.problems.front()});
  for (Problem& problem : compilation.problems) root.document().problems.push_back(std::move(problem));
  return first;
}

}  // namespace

StatusOr<std::shared_ptr<const TracingPolicy>> ParseTracingPolicy(const Field& root, const ObjectName& name) {
  SL_RETURN_IF_ERROR(root.AllowOnly({"apiVersion", "kind", "metadata", "spec"}));
  const auto spec = root.Get("spec");
  if (!spec) return root.Missing("spec");
  SL_RETURN_IF_ERROR(spec->AllowOnly({"kprobes", "tracepoints", "loader", "uprobes", "lsmhooks", "usdts", "fentries",
                                      "podSelector", "containerSelector", "hostSelector", "nodeSelector", "lists",
                                      "enforcers", "options", "selectorsMacros"}));
  auto policy = std::make_shared<TracingPolicy>();
  policy->name = name;
  policy->place = spec->place();
  PolicyParts parts;
  SL_RETURN_IF_ERROR(ParseLists(*spec, parts.lists));
  SL_RETURN_IF_ERROR(ParseOptionList(*spec, *policy));
  SL_RETURN_IF_ERROR(ParseEnforcers(*spec, parts, policy->enforcer));
  parts.has_enforcer = !policy->enforcer.empty();
  SL_RETURN_IF_ERROR(ReadMacros(*spec, parts));
  SL_RETURN_IF_ERROR(ParseScope(*spec, *policy));
  SL_RETURN_IF_ERROR(spec->Read("loader", policy->loader, ParseFlag));
  SL_RETURN_IF_ERROR(ParseHooks(*spec, parts, *policy));
  SL_RETURN_IF_ERROR(CheckMacrosAreUsed(parts));
  if (policy->hooks.empty() && !policy->loader) {
    return spec->Error(
        "has no hook, and would do nothing: add kprobes, tracepoints, lsmhooks, fentries, uprobes or usdts");
  }
  policy->lists = std::move(parts.lists);
  return policy;
}

std::vector<KindParser> KindParsers(Reading reading) {
  const auto parse = reading == Reading::kParsed ? ParseInto : ParseAndCompile;
  return {{Kind::kTracingPolicy, parse}, {Kind::kTracingPolicyNamespaced, parse}};
}

}  // namespace sluice::policy::tracing
