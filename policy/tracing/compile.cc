#include "policy/tracing/compile.h"

#include <algorithm>
#include <map>
#include <optional>

#include "policy/tracing/compile_parts.h"

namespace sluice::policy::tracing {
namespace {

bool Overrides(const CompiledHook& hook) {
  return std::any_of(hook.selectors.begin(), hook.selectors.end(),
                     [](const sl_hook_selector& one) { return (one.actions & SL_HOOK_ACTION_OVERRIDE) != 0; });
}

// A hook for each of its points.
void CompileHook(const HookParts& parts, std::size_t source, const PolicyField& field, CompiledPolicy& compiled) {
  CompiledHook hook{.place = parts.hook.place, .source = source};
  if (const auto* target = std::get_if<FunctionTarget>(&parts.hook.target)) {
    hook.ignore_missing = target->ignore_missing;
  }
  CompileArguments(parts, field, hook);
  CompileSelectors(parts, field, hook, compiled.scopes);
  const bool overrides = Overrides(hook);
  for (const HookPoint& point : parts.points) {
    const std::optional<HookPoint> where = overrides ? DenyingPoint(point) : point;
    if (!where) return field.At("selectors").NotYet("Override of tracepoints and programs");
    hook.point = *where;
    compiled.hooks.push_back(hook);
  }
}

// The record of a tracepoint. Nothing: problems say why it is not known.
std::optional<std::vector<TracepointField>> FieldsOf(const HookPoint& point, const CompileOptions& options,
                                                     const PolicyField& field) {
  if (options.formats == nullptr) {
    field.At("args").NotYet(
        fmt::format("the fields of tracepoint {}/{}, without the kernel's formats,", point.group, point.name));
    return std::nullopt;
  }
  auto fields = options.formats->FieldsOf(point.group, point.name);
  if (fields.ok()) return *std::move(fields);
  field.Error(Message(fields.status()));
  return std::nullopt;
}

// uprobes and usdts: each place has arguments of its own.
void CompileInProgram(const TracingPolicy& policy, std::size_t source, const CompileOptions& options,
                      const PolicyField& field, std::vector<CompiledHook>& marking, CompiledPolicy& compiled) {
  const Hook& hook = policy.hooks[source];
  for (ProgramPlace& place : PlacesInProgram(hook, options, field)) {
    CompileHook({.policy = policy,
                 .hook = hook,
                 .options = options,
                 .points = {std::move(place.point)},
                 .fields = {},
                 .marking = &marking,
                 .probe_arguments = std::move(place.arguments)},
                source, field, compiled);
  }
}

void CompileOne(const TracingPolicy& policy, std::size_t source, const CompileOptions& options,
                const PolicyField& field, std::vector<CompiledHook>& marking, CompiledPolicy& compiled) {
  const Hook& hook = policy.hooks[source];
  if (hook.kind == HookKind::kUprobe || hook.kind == HookKind::kUsdt)
    return CompileInProgram(policy, source, options, field, marking, compiled);
  HookParts parts{.policy = policy, .hook = hook, .options = options, .points = PointsOf(policy, hook, options, field)};
  if (parts.points.empty()) return;
  parts.marking = &marking;
  if (parts.points.front().kind == HookPoint::Kind::kTracepoint) {
    auto fields = FieldsOf(parts.points.front(), options, field);
    if (!fields) return;
    parts.fields = *std::move(fields);
  }
  CompileHook(parts, source, field, compiled);
}

// `loader`: a hook where files become code of a process, which are programs and libraries.
void WithLoader(const TracingPolicy& written, std::shared_ptr<const TracingPolicy>* policy) {
  constexpr std::uint64_t kExecutable = 4;  // PROT_EXEC
  Hook hook{
      .kind = HookKind::kKprobe, .place = written.place, .target = FunctionTarget{.function = "security_mmap_file"}};
  hook.message = "loader";
  hook.args = {{.index = 0, .type = ArgType::kFile}, {.index = 1, .type = ArgType::kUint64, .label = "prot"}};
  HookSelector& selector = hook.selectors.emplace_back();
  ArgumentFilter executable{.argument = 1, .second = {}, .op = Operator::kMask, .values = {}};
  executable.values.numbers.push_back({kExecutable, kExecutable});
  ArgumentFilter of_file{.argument = 0, .second = {}, .op = Operator::kPrefix, .values = {}};
  of_file.values.texts.emplace_back("/");
  selector.args = {std::move(executable), std::move(of_file)};
  auto with_hook = std::make_shared<TracingPolicy>(written);
  with_hook->hooks.push_back(std::move(hook));
  *policy = std::move(with_hook);
}

}  // namespace

Compilation Compile(const std::shared_ptr<const TracingPolicy>& written, const CompileOptions& options) {
  std::shared_ptr<const TracingPolicy> policy = written;
  Compilation result;
  if (written->loader) WithLoader(*written, &policy);
  const PolicyField spec(*policy, result.problems);
  auto compiled = std::make_shared<CompiledPolicy>();
  compiled->policy = policy;
  compiled->scopes.push_back(policy->scope);
  std::vector<CompiledHook> marking;
  std::map<std::string_view, std::size_t> counts;
  for (std::size_t i = 0; i < policy->hooks.size(); ++i) {
    const Hook& hook = policy->hooks[i];
    const std::string_view list = FieldOf(hook.kind);
    const PolicyField field = spec.At(list, counts[list]++).From(hook.place);
    CompileOne(*policy, i, options, field, marking, *compiled);
  }
  CompileEnforcer(*policy, options, spec, *compiled);
  compiled->hooks.insert(compiled->hooks.end(), marking.begin(), marking.end());
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
