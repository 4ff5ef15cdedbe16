// Random but repeatable policy scenarios: small, so that rules overlap (few labels, ports and prefixes), and rich in
// difficult cases (holes in blocks, ::/0, named ports, reused addresses, host-network and finished pods, deny and
// audit, policies of the whole cluster with and without a default deny).
//   RandomPolicy random(seed);
//   auto snapshot = random.NextSnapshot();
//   Flow flow = random.NextFlow(*snapshot);
// The same seed gives the same sequence on every machine. Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "policy/network/evaluate.h"
#include "policy/network/snapshot.h"

namespace sluice::test {

struct RandomPolicyOptions {
  int workloads = 8;  // local workloads; the first ones have the lowest endpoint numbers
  int pods = 12;      // known peers
  int policies = 8;   // of all kinds
  std::uint32_t first_ifindex = 10;
  bool processes = false;  // with processes in rules and flows
};

class RandomPolicy {
 public:
  explicit RandomPolicy(std::uint64_t seed, RandomPolicyOptions options = {});

  // A new scenario with its own resources, bindings and node addresses.
  std::shared_ptr<const policy::Snapshot> NextSnapshot();
  // The same scenario with one change: a policy, a pod, a workload or a namespace comes, goes or is another.
  std::shared_ptr<const policy::Snapshot> NextChange();
  // Some of the scenario's local workloads, and sometimes a few peers that may still reach them.
  policy::Quarantine NextQuarantine();
  // A process that matches some of the rules' patterns, itself or by its ancestors. Absent: not known.
  std::optional<policy::Process> NextProcess();
  // Mostly between known addresses, on ports and in prefixes that the policies name, or just beside them.
  policy::Flow NextFlow(const policy::Snapshot& snapshot);

  const policy::ResourceMap& resources() const { return resources_; }
  const std::map<policy::ObjectName, policy::Binding>& bindings() const { return bindings_; }

 private:
  std::uint32_t Below(std::uint32_t n) { return static_cast<std::uint32_t>(engine_() % n); }
  bool Chance(std::uint32_t percent) { return Below(100) < percent; }
  template <typename T>
  const T& Pick(const std::vector<T>& from) {
    return from[Below(static_cast<std::uint32_t>(from.size()))];
  }

  policy::Labels RandomLabels();
  policy::Selector RandomSelector(bool of_namespaces);
  std::vector<policy::NamedPort> RandomNamedPorts();
  policy::Address RandomAddress();
  policy::Prefix RandomPrefix();
  policy::IpBlock RandomBlock();
  policy::Peer RandomPeer(bool of_cluster);
  policy::PortRule RandomPort();
  policy::Rule RandomRule(policy::NetworkPolicy::Api api);
  policy::ProcessMatch RandomProcesses();
  void AddNamespace(const std::string& name);
  void AddWorkload(int number);
  void AddPod(int number);
  void AddPolicy(int number);
  std::shared_ptr<const policy::Snapshot> Build() const;

  RandomPolicyOptions options_;
  std::mt19937_64 engine_;
  policy::ResourceMap resources_;
  std::map<policy::ObjectName, policy::Binding> bindings_;
  std::vector<policy::Address> node_addresses_;
  std::vector<policy::ProcessMatch> process_matches_;  // predicates of rules; few, so that one verdict can use all
};

}  // namespace sluice::test
