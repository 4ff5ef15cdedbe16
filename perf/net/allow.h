// One list of allowed addresses, in the syntax of each forwarder, and as policy of the pods at both ends.
#pragma once

#include <string>

#include "testbed/netns.h"

namespace sluice::perf {

inline constexpr char kFirstListed[] = "198.18.0.0";  // RFC 2544
inline constexpr std::uint32_t kListedBlockSize = 16;

// Number n of the list: an address, or a block of 16 addresses and the eighth address in it.
std::string ListedAddress(int number, bool v6 = false);
std::string ListedBlock(int number, bool v6 = false);
std::string InListedBlock(int number, bool v6 = false);
// The first addresses or blocks of the list, as elements of an nftables set.
std::string ListedElements(int number, bool cidrs, bool v6 = false);

// Forwards known flows and new flows to the services of perf/bpf/rotation.h (rules: to one port), and nothing else. New
// flows are allowed from `allowed` (addresses separated by commas) and from the listed addresses. Uses one set, or one
// rule for each address with the listed ones first.
struct ForwardSet {
  int listed = 0;
  std::string allowed;
  bool v6 = false;
  bool conntrack = true;  // false: known flows have no rule, and only packets in the allowed direction are forwarded
};
std::string NftForwardSet(const ForwardSet& set);
std::string NftForwardRules(int listed, const std::string& allowed, int port);

struct Allow {
  const test::TestPod* sender = nullptr;
  bool local_sender = false;  // a workload of this node that may only send to the receiver
  const test::TestPod* receiver = nullptr;
  int rules = 0;                 // extra rules in each direction, one listed pod each
  const char* protocol = "UDP";  // to the services of perf/bpf/rotation.h
  int first_service = 0;         // lower services are not allowed
  bool v6 = false;               // for listed pods, and for a sender that is no workload
};
// The sender and the listed pods may reach the receiver at its services.
std::string SluiceAllow(const Allow& allow);
std::string ListedPodYaml(int number, bool v6 = false);

}  // namespace sluice::perf
