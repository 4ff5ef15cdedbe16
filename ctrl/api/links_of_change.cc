#include "ctrl/api/links_of_change.h"

#include <algorithm>
#include <set>

#include "policy/network/evaluate.h"

namespace sluice::api {
namespace {

using policy::Direction;

constexpr int kMaxLookUps = 4096;  // of one change

bool HasProcesses(const policy::NetworkPolicy& policy) {
  const auto has = [](const policy::Rule& rule) { return rule.processes.has_value(); };
  return std::any_of(policy.ingress.begin(), policy.ingress.end(), has) ||
         std::any_of(policy.egress.begin(), policy.egress.end(), has);
}

}  // namespace

void AddLinksOfChange(const reconcile::View& view, const std::vector<policy::Resource>& changed,
                      const explain::FindProgram& find, explain::ProgramLinks* links) {
  std::set<policy::ResourceId> ids;
  for (const policy::Resource& resource : changed) ids.insert(resource.id);
  int look_ups = 0;
  const explain::FindProgram bounded = [&](const policy::ObjectName& workload, const std::string& path) {
    return ++look_ups > kMaxLookUps ? std::vector<explain::ProgramFile>() : find(workload, path);
  };
  for (const auto& policy : view.compiled.snapshot->policies) {
    if (!HasProcesses(*policy)) continue;
    const bool is_changed = ids.contains({policy::KindOf(policy->api), policy->name});
    for (const policy::Endpoint& endpoint : view.compiled.snapshot->endpoints) {
      if (endpoint.ifindex == 0) continue;
      if (!is_changed && !ids.contains({policy::Kind::kWorkload, endpoint.name})) continue;
      if (!policy::Selects(*policy, endpoint)) continue;
      for (const Direction direction : {Direction::kIngress, Direction::kEgress}) {
        explain::AddLinks(*policy, direction, endpoint.name, bounded, links);
      }
    }
  }
}

}  // namespace sluice::api
