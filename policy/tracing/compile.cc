#include "policy/tracing/compile.h"

#include <map>

#include "policy/tracing/compile_parts.h"

namespace sluice::policy::tracing {
namespace {

// The field of spec that has hooks of the kind.
std::string_view ListOf(HookKind kind) {
  switch (kind) {
    case HookKind::kKprobe:
      return "kprobes";
    case HookKind::kTracepoint:
    case HookKind::kRawTracepoint:
      return "tracepoints";
    case HookKind::kLsm:
      return "lsmhooks";
    case HookKind::kFentry:
      return "fentries";
    case HookKind::kUprobe:
      return "uprobes";
    case HookKind::kUsdt:
      return "usdts";
  }
  return "";
}

void RefusePolicyFields(const TracingPolicy& policy, const PolicyField& spec) {
  if (policy.loader) spec.At("loader").NotYet();
  if (!policy.enforcer.empty()) spec.At("enforcers").NotYet();
  if (policy.nodes) spec.At("nodeSelector").NotYet();
}

// A hook for each of its points.
void CompileHook(const HookParts& parts, std::size_t source, const PolicyField& field, CompiledPolicy& compiled) {
  CompiledHook hook{.place = parts.hook.place, .source = source};
  if (const auto* target = std::get_if<FunctionTarget>(&parts.hook.target)) {
    hook.ignore_missing = target->ignore_missing;
  }
  CompileArguments(parts, field, hook);
  CompileSelectors(parts, field, hook, compiled.scopes);
  for (const HookPoint& point : parts.points) {
    hook.point = point;
    compiled.hooks.push_back(hook);
  }
}

}  // namespace

Compilation Compile(const std::shared_ptr<const TracingPolicy>& policy, const CompileOptions& options) {
  Compilation result;
  const PolicyField spec(*policy, result.problems);
  auto compiled = std::make_shared<CompiledPolicy>();
  compiled->policy = policy;
  compiled->scopes.push_back(policy->scope);
  RefusePolicyFields(*policy, spec);
  std::map<std::string_view, std::size_t> counts;
  for (std::size_t i = 0; i < policy->hooks.size(); ++i) {
    const Hook& hook = policy->hooks[i];
    const std::string_view list = ListOf(hook.kind);
    const PolicyField field = spec.At(list, counts[list]++).From(hook.place);
    std::vector<HookPoint> points = PointsOf(*policy, hook, field);
    if (points.empty()) continue;
    CompileHook({.policy = *policy, .hook = hook, .options = options, .points = std::move(points)}, i, field,
                *compiled);
  }
  if (result.problems.empty()) result.policy = std::move(compiled);
  return result;
}

PolicyField PolicyField::At(std::string_view key) const {
  PolicyField child = *this;
  child.path_ += fmt::format(".{}", key);
  return child;
}

PolicyField PolicyField::At(std::string_view key, std::size_t index) const {
  PolicyField child = *this;
  child.path_ += fmt::format(".{}[{}]", key, index);
  return child;
}

PolicyField PolicyField::From(const Place& place) const {
  PolicyField moved = *this;
  moved.place_ = place;
  return moved;
}

void PolicyField::Error(std::string_view what) const {
  const char* const kind = policy_->name.ns.empty() ? "TracingPolicy" : "TracingPolicyNamespaced";
  problems_->push_back({.place = place_,
                        .subject = fmt::format("{} {}", kind, policy_->name.ToString()),
                        .object = fmt::format("{}/{}", kind, policy_->name.name),
                        .what = fmt::format("{}: {}", path_, what)});
}

void PolicyField::NotYet(std::string_view what) const { Error(fmt::format("Sluice does not enforce {} yet", what)); }

}  // namespace sluice::policy::tracing
