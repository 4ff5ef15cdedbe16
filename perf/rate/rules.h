// One list of addresses that may not come in: what the peers of the suite `rate` are told, and what Sluice is.
#pragma once

#include <string>

#include "perf/rate/lane.h"

namespace sluice::perf {

inline constexpr int kListed = 10000;

enum class NftHook { kNetdev, kPrerouting, kInput };
// Drops what the list has; with `conntrack`, unless its flow is known.
std::string NftBlock(NftHook hook, bool cidrs, bool conntrack);
std::string IpsetList();  // "ipset restore": the set "blocked"

enum class SluiceList { kPods, kAddresses, kCidrs };
// The receiver may be reached by everybody but the list: a rule for each pod, or one rule with all prefixes.
std::string SluiceBlock(const Lane& lane, SluiceList list);
// The same with one prefix around the list.
std::string SluiceBlockRange(const Lane& lane);

}  // namespace sluice::perf
