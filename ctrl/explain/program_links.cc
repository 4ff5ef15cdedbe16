#include "ctrl/explain/program_links.h"

#include "policy/network/glob.h"
#include "telemetry/event/text.h"

namespace sluice::explain {

using policy::Direction;

std::optional<std::string> FindTarget(const policy::ObjectName& workload, const std::string& pattern,
                                      const FindProgram& find) {
  const std::size_t wildcard = pattern.find_first_of("*?");
  const std::size_t fixed = wildcard == std::string::npos ? pattern.size() : pattern.rfind('/', wildcard);
  if (!pattern.starts_with('/') || fixed == 0 || fixed == std::string::npos) return std::nullopt;
  std::optional<std::string> target;
  for (const ProgramFile& file : find(workload, pattern.substr(0, fixed))) {
    const std::string named = file.path + pattern.substr(fixed);
    if (file.is_script || policy::GlobMatches(pattern, named)) return std::nullopt;
    if (!target) target = named;
  }
  return target;
}

v1::ProgramLink& AddLink(const policy::ObjectName& workload, const std::string& path, const std::string& target,
                         ProgramLinks* links) {
  v1::ProgramLink& link = *links->Add();
  link.set_workload(workload.ToString());
  link.set_path(path);
  link.set_target(telemetry::ToUtf8(target));
  return link;
}

void AddLinks(const policy::NetworkPolicy& policy, Direction direction, const policy::ObjectName& workload,
              const FindProgram& find, ProgramLinks* links) {
  const auto& rules = policy.rules(direction);
  for (std::size_t i = 0; i < rules.size(); ++i) {
    if (!rules[i].processes) continue;
    std::vector<std::string> patterns = rules[i].processes->binaries;
    patterns.insert(patterns.end(), rules[i].processes->ancestors.begin(), rules[i].processes->ancestors.end());
    for (const std::string& pattern : patterns) {
      const auto target = FindTarget(workload, pattern, find);
      if (!target) continue;
      v1::PolicyRef& ref = *AddLink(workload, pattern, *target, links).mutable_policy();
      ref.set_kind(policy::KindName(policy::KindOf(policy.api)));
      ref.set_api_version(policy::KindApiVersion(policy::KindOf(policy.api)));
      ref.set_namespace_(policy.name.ns);
      ref.set_name(policy.name.name);
      ref.set_rule(fmt::format("{}[{}]", direction == Direction::kEgress ? "egress" : "ingress", i));
      ref.set_direction(direction == Direction::kEgress ? v1::Flow::EGRESS : v1::Flow::INGRESS);
    }
  }
}

}  // namespace sluice::explain
