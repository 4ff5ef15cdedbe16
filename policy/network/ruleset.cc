#include "policy/network/ruleset.h"

#include <algorithm>

#include "bpf/abi/policy.h"
#include "policy/network/stable_id.h"

namespace sluice::policy {
namespace {

// The `ports` whose name an ingress rule uses, sorted.
std::vector<NamedPort> NamedIn(const std::vector<const NetworkPolicy*>& policies, std::vector<NamedPort> ports) {
  std::vector<std::string> names;
  for (const NetworkPolicy* policy : policies) {
    for (const Rule& rule : policy->ingress) {
      for (const PortRule& port : rule.ports) names.push_back(port.port_name);
    }
  }
  std::sort(names.begin(), names.end());
  std::erase_if(ports, [&](const NamedPort& p) { return !std::binary_search(names.begin(), names.end(), p.name); });
  std::sort(ports.begin(), ports.end());
  ports.erase(std::unique(ports.begin(), ports.end()), ports.end());
  return ports;
}

// The key has policies' names, not their content: editing a policy keeps its rulesets' numbers and changes only their
// entries.
std::string KeyOf(const Ruleset& ruleset) {
  CanonicalKey key;
  key.Add(ruleset.direction == Direction::kIngress ? "ingress" : "egress").Add(ruleset.policies.size());
  for (const NetworkPolicy* policy : ruleset.policies) {
    key.Add(static_cast<std::uint64_t>(policy->api)).Add(policy->name.ns).Add(policy->name.name);
    if (policy->IsKubeArmor()) key.Add(policy->blocks_unlisted);
  }
  for (const NamedPort& port : ruleset.ports) key.Add(port.name).Add(port.port).Add(port.protocol);
  return key.bytes();
}

}  // namespace

Selections Select(const Snapshot& snapshot, const Selections& known) {
  std::unordered_map<std::string_view, std::vector<std::uint32_t>> locals;  // by namespace
  for (const std::uint32_t i : snapshot.population->locals) locals[snapshot.endpoints[i].name.ns].push_back(i);
  const auto add = [&](const NetworkPolicy& policy, const std::vector<std::uint32_t>& candidates,
                       std::vector<std::uint32_t>& selected) {
    std::copy_if(candidates.begin(), candidates.end(), std::back_inserter(selected),
                 [&](std::uint32_t i) { return policy.pod_selector.Matches(snapshot.endpoints[i].labels); });
  };
  Selections selections;
  for (const auto& policy : snapshot.policies) {
    std::vector<std::uint32_t>& selected = selections[policy.get()];
    if (const auto before = known.find(policy.get()); before != known.end()) {
      selected = before->second;
    } else if (policy->namespace_selector) {  // 53
      for (const auto& [ns, candidates] : locals) {
        if (policy->namespace_selector->Matches(*snapshot.namespaces.at(std::string(ns))))
          add(*policy, candidates, selected);
      }
    } else if (const auto found = locals.find(policy->name.ns); found != locals.end()) {
      add(*policy, found->second, selected);
    }
  }
  return selections;
}

RulesetTable::RulesetTable(const Snapshot& snapshot, const Selections& selections) {
  std::map<std::pair<std::uint32_t, Direction>, Ruleset> by_user;
  for (const auto& policy : snapshot.policies) {
    for (const std::uint32_t user : selections.at(policy.get())) {
      for (const Direction direction : {Direction::kIngress, Direction::kEgress}) {
        if (policy->AppliesTo(direction)) by_user[{user, direction}].policies.push_back(policy.get());
      }
    }
  }
  struct Entry {
    Ruleset ruleset;
    std::vector<const Endpoint*> users;
  };
  std::map<std::string, Entry> by_key;
  for (auto& [user_direction, ruleset] : by_user) {
    const auto& [user, direction] = user_direction;
    const Endpoint& endpoint = snapshot.endpoints[user];
    ruleset.direction = direction;
    if (direction == Direction::kIngress) ruleset.ports = NamedIn(ruleset.policies, endpoint.ports);
    std::string key = KeyOf(ruleset);
    by_key.try_emplace(std::move(key), Entry{std::move(ruleset), {}}).first->second.users.push_back(&endpoint);
  }

  std::vector<std::string> keys;
  for (const auto& [key, entry] : by_key) keys.push_back(key);
  const std::vector<std::uint32_t> ids = AssignStableIds(keys, {});
  for (auto& [key, entry] : by_key) {
    entry.ruleset.id = ids[rulesets_.size()];
    entry.ruleset.workloads = entry.users.size();
    for (const Endpoint* user : entry.users)
      by_end_.emplace(std::pair{user, entry.ruleset.direction}, entry.ruleset.id);
    rulesets_.push_back(std::move(entry.ruleset));
  }
}

std::uint32_t RulesetTable::Of(const Endpoint& endpoint, Direction direction) const {
  const auto found = by_end_.find({&endpoint, direction});
  return found == by_end_.end() ? SL_RULESET_NONE : found->second;
}

}  // namespace sluice::policy
