#include "ctrl/api/program_links.h"

#include <algorithm>
#include <set>

#include "policy/network/glob.h"
#include "telemetry/event/text.h"

namespace sluice::api {
namespace {

using node::ProcessRoot;
using policy::Direction;

constexpr int kMaxLookUps = 4096;  // of one change

bool HasProcesses(const policy::NetworkPolicy& policy) {
  const auto has = [](const policy::Rule& rule) { return rule.processes.has_value(); };
  return std::any_of(policy.ingress.begin(), policy.ingress.end(), has) ||
         std::any_of(policy.egress.begin(), policy.egress.end(), has);
}

}  // namespace

std::optional<std::string> FindTarget(const policy::ObjectName& workload, const std::string& pattern,
                                      const FindProgram& find) {
  const std::size_t wildcard = pattern.find_first_of("*?");
  const std::size_t fixed = wildcard == std::string::npos ? pattern.size() : pattern.rfind('/', wildcard);
  if (!pattern.starts_with('/') || fixed == 0 || fixed == std::string::npos) return std::nullopt;
  std::optional<std::string> target;
  for (const ProcessRoot::File& file : find(workload, pattern.substr(0, fixed))) {
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
      ref.set_kind(policy::KindName(policy::Kind::kSluiceNetworkPolicy));
      ref.set_api_version(policy::KindApiVersion(policy::Kind::kSluiceNetworkPolicy));
      ref.set_namespace_(policy.name.ns);
      ref.set_name(policy.name.name);
      ref.set_rule(fmt::format("{}[{}]", direction == Direction::kEgress ? "egress" : "ingress", i));
      ref.set_direction(direction == Direction::kEgress ? v1::Flow::EGRESS : v1::Flow::INGRESS);
    }
  }
}

void AddLinksOfChange(const reconcile::View& view, const std::vector<policy::Resource>& changed,
                      const FindProgram& find, ProgramLinks* links) {
  std::set<policy::ResourceId> ids;
  for (const policy::Resource& resource : changed) ids.insert(resource.id);
  int look_ups = 0;
  const FindProgram bounded = [&](const policy::ObjectName& workload, const std::string& path) {
    return ++look_ups > kMaxLookUps ? std::vector<ProcessRoot::File>() : find(workload, path);
  };
  for (const auto& [id, resource] : view.resources.of(policy::Kind::kSluiceNetworkPolicy)) {
    if (!HasProcesses(*resource.policy)) continue;
    const bool is_changed = ids.contains(id);
    for (const policy::Endpoint& endpoint : view.compiled.snapshot->endpoints) {
      if (endpoint.ifindex == 0 || endpoint.name.ns != id.name.ns) continue;
      if (!is_changed && !ids.contains({policy::Kind::kWorkload, endpoint.name})) continue;
      if (!resource.policy->pod_selector.Matches(endpoint.labels)) continue;
      for (const Direction direction : {Direction::kIngress, Direction::kEgress}) {
        AddLinks(*resource.policy, direction, endpoint.name, bounded, links);
      }
    }
  }
}

}  // namespace sluice::api
