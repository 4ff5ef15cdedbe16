// Numbers of workloads as Hubble's clients expect them: one for all pods with the same labels, the same on every node
// and after every start. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace sluice::telemetry {

// Reserved ones, which clients print as words.
inline constexpr std::uint32_t kHubbleUnknown = 0;
inline constexpr std::uint32_t kHubbleHost = 1;
inline constexpr std::uint32_t kHubbleWorld = 2;

// By key.
using SortedLabels = std::vector<std::pair<std::string, std::string>>;

// A hash of the namespace and of the labels that all pods of a workload share: not of those that a controller writes
// into each pod or for each revision. At least 2^31: Cilium gives a meaning to ranges below. Two of 1,000 different
// label sets have the same number with a probability of one in 4,000.
std::uint32_t HubbleIdentity(const std::string& ns, const SortedLabels& labels);

}  // namespace sluice::telemetry
