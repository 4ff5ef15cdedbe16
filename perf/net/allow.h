// One list of addresses that may talk, in the dialects of those who forward, and as policy of the pods at both ends.
#pragma once

#include <string>

#include "tests/support/netns.h"

namespace sluice::perf {

inline constexpr char kFirstListed[] = "198.18.0.0";  // RFC 2544

// Listed number n: an address, or the /28 that many blocks on.
std::string ListedAddress(int number);
std::string ListedBlock(int number);
// The first addresses, or blocks, of the list: elements of an nftables set.
std::string ListedElements(int number, bool cidrs);

// Forwards known flows, and new ones from `allowed` (addresses, comma between) and from as many listed addresses to the
// services of perf/bpf/rotation.h (rules: to one port); nothing else. By one set, or by a rule for each, the listed
// ones first.
std::string NftForwardSet(int listed, const std::string& allowed);
std::string NftForwardRules(int listed, const std::string& allowed, int port);

struct Allow {
  const test::TestPod* sender = nullptr;
  bool local_sender = false;  // a workload of this node, which may send nowhere else
  const test::TestPod* receiver = nullptr;
  int rules = 0;                 // besides, in each direction, a listed pod each
  const char* protocol = "UDP";  // to the services of perf/bpf/rotation.h
};
// The receiver may be reached at its services by the sender and by listed pods.
std::string SluiceAllow(const Allow& allow);
std::string ListedPodYaml(int number);

}  // namespace sluice::perf
