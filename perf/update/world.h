// The resources in force while updates are measured: 10,000 workloads in one namespace, 100 of them local, and 1,000
// policies, ten for each local workload. YAML, as a user would apply it.
#pragma once

#include <string>

namespace sluice::perf {

struct UpdateSizes {
  int local;
  int remote;
  int policies;
};
inline constexpr UpdateSizes kFullUpdate = {100, 9900, 1000};
inline constexpr UpdateSizes kBriefUpdate = {5, 95, 20};

// The observed packet: TCP from kPeer to kPod, port kProbePort. All policies are about other ports, except the one
// named `probe`, and others where stated.
inline constexpr char kPod[] = "10.0.0.1", kPeer[] = "10.1.0.0", kNewPod[] = "10.0.200.1";
inline constexpr int kProbePort = 5000;

std::string LocalInterface(int number);  // host end of local workload `number`'s veth; 0 is kPod's
inline constexpr char kNewInterface[] = "new";

// `wave` is the value of a label of every workload.
std::string WorkloadsYaml(const UpdateSizes& sizes, int wave);
std::string NewWorkloadYaml();
std::string NamespaceYaml(const std::string& tier);
// All policies but `probe`; every one allows `port`.
std::string PoliciesYaml(const UpdateSizes& sizes, int port);
// `from` is the rule's peer as a YAML flow mapping; empty: no rule.
std::string ProbeYaml(const std::string& from);

}  // namespace sluice::perf
