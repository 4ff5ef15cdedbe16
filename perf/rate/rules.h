// One list of addresses in every dialect: what the peers of the suite `rate` are told, and what Sluice is.
#pragma once

#include <string>

#include "perf/rate/lane.h"

namespace sluice::perf {

inline constexpr int kListed = 10000;
inline constexpr char kFirstListed[] = "198.18.0.0";  // RFC 2544

// Listed number n: an address, or the /28 that many blocks on.
std::string ListedAddress(int number);
std::string ListedBlock(int number);

enum class NftHook { kNetdev, kPrerouting, kInput };
// Drops what the list has; with `conntrack`, unless its flow is known.
std::string NftBlock(NftHook hook, bool cidrs, bool conntrack);
// Forwards known flows, and new ones of `allowed` and of the list; nothing else.
std::string NftForward(const std::string& allowed);
std::string IpsetList();  // "ipset restore": the set "blocked"

enum class SluiceList { kPods, kAddresses, kCidrs };
// The receiver may be reached by everybody but the list: a rule for each pod, or one rule with all prefixes.
std::string SluiceBlock(const Lane& lane, SluiceList list);
// The same with one prefix around the list.
std::string SluiceBlockRange(const Lane& lane);
// The receiver may be reached at its service by the sender, and by listed pods: a rule for each. With a local sender,
// that one may likewise send to the receiver and to listed pods only.
std::string SluiceAllow(const Lane& lane);

}  // namespace sluice::perf
