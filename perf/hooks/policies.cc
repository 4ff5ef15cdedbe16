#include "perf/hooks/policies.h"

#include "policy/tracing/compile.h"
#include "policy/tracing/parser.h"

namespace sluice::perf {

HookPolicy PolicyOf(const std::string& name, const OneHook& hook) {
  static constexpr char kSpec[] = R"(spec:
  kprobes:
  - call: "{}"
    syscall: {}
    args:
    - index: {}
      type: "{}"
    selectors:
    - matchArgs:
      - index: {}
        operator: "{}"
        values:
        - "{}"
)";
  return {name, fmt::format(kSpec, hook.function, hook.is_call, hook.argument, hook.type, hook.argument,
                            hook.comparison, hook.value)};
}

StatusOr<hooks::CompiledPolicyPtr> CompileHookPolicy(const HookPolicy& policy) {
  namespace tracing = policy::tracing;
  StatusOr<std::shared_ptr<const tracing::TracingPolicy>> parsed = InvalidError("{}: no document", policy.name);
  const auto error = policy::ParseYaml(policy.spec, [&](const policy::YamlNode& root, int /*number*/) {
    const policy::Document document{.origin = policy.name};
    parsed = tracing::ParseTracingPolicy(policy::Field(document, root), {.ns = "", .name = policy.name});
  });
  if (error) return InvalidError("{}: {}", policy.name, error->what);
  SL_RETURN_IF_ERROR(parsed.status());
  const tracing::Compilation compiled = tracing::Compile(*parsed);
  if (compiled.policy == nullptr) return InvalidError("{}", compiled.problems.front().ToString(policy.name));
  return compiled.policy;
}

}  // namespace sluice::perf
