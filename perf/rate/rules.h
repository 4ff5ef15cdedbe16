// One list of blocked source addresses, as rules of the peers and as policy of Sluice.
#pragma once

#include <string>

#include "perf/rate/topology.h"

namespace sluice::perf {

// `listed`: the length of the list.
enum class NftHook { kNetdev, kPrerouting, kInput };
struct NftRules {
  NftHook hook = NftHook::kNetdev;
  bool cidrs = false;      // else single addresses
  bool conntrack = false;  // with a rule for known flows first
  bool v6 = false;
};
// Drops packets from the list.
std::string NftBlock(int listed, const NftRules& rules);
std::string IpsetList(int listed);  // "ipset restore": the set "blocked"

enum class SluiceList { kPods, kAddresses, kCidrs };
// Everything except the list may reach the receiver: one rule for each pod, or one rule with all prefixes.
std::string SluiceBlock(const Topology& topology, SluiceList list, int listed);
// A workload that no rule lets anybody reach.
std::string SluiceClosed(const test::TestPod& pod);
// The same as SluiceBlock with one prefix that covers the list and, behind it, more addresses than the samples have
// packets.
std::string SluiceBlockRange(const Topology& topology);

}  // namespace sluice::perf
