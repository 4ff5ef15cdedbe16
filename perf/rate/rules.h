// One list of addresses that may not come in: what the peers of the suite `rate` are told, and what Sluice is.
#pragma once

#include <string>

#include "perf/rate/topology.h"

namespace sluice::perf {

// `listed`: how long the list is.
enum class NftHook { kNetdev, kPrerouting, kInput };
struct NftRules {
  NftHook hook = NftHook::kNetdev;
  bool cidrs = false;      // else addresses
  bool conntrack = false;  // known flows first
  bool v6 = false;
};
// Drops what the list has.
std::string NftBlock(int listed, const NftRules& rules);
std::string IpsetList(int listed);  // "ipset restore": the set "blocked"

enum class SluiceList { kPods, kAddresses, kCidrs };
// The receiver may be reached by everybody but the list: a rule for each pod, or one rule with all prefixes.
std::string SluiceBlock(const Topology& topology, SluiceList list, int listed);
// The same with one prefix around the list, and more addresses behind it than samples have packets.
std::string SluiceBlockRange(const Topology& topology);

}  // namespace sluice::perf
