// What the API server of a benchmark has: pods of many Deployments on many nodes, Services with their EndpointSlices,
// and policies. Objects have the size that they have in clusters.
#pragma once

#include <cstdint>
#include <string>

#include "perf/kube/api_server.h"

namespace sluice::perf {

struct ClusterSizes {
  int pods;
  int services;
  int policies;
};
inline constexpr ClusterSizes kFullCluster = {10000, 2000, 500};
inline constexpr ClusterSizes kBriefCluster = {60, 10, 6};

inline constexpr char kNodeName[] = "node-0";
inline constexpr char kNamespace[] = "bench-0";  // of the pods on this node

// Pods that test nodes have.
inline constexpr char kClient[] = "client", kServer[] = "server";

// Everything but the pods of this node.
void Fill(const ClusterSizes& sizes, ApiServer& api);
// A pod on this node, in kNamespace. Its uid is "uid-NAME". Only pods with app=friend may reach those with app=server.
void PutLocalPod(const std::string& name, const std::string& app, const std::string& ip, ApiServer& api);

// Gives a pod elsewhere another label app. `number`: less than the pods that Fill made.
void ChangePod(int number, ApiServer& api);

}  // namespace sluice::perf
