// One list of addresses that may talk, in the dialects of those who forward, and as policy of the pods at both ends.
#pragma once

#include <string>

#include "testbed/netns.h"

namespace sluice::perf {

inline constexpr char kFirstListed[] = "198.18.0.0";  // RFC 2544
inline constexpr std::uint32_t kListedBlockSize = 16;

// Listed number n: an address, or a block of 16 addresses, and its eighth.
std::string ListedAddress(int number, bool v6 = false);
std::string ListedBlock(int number, bool v6 = false);
std::string InListedBlock(int number, bool v6 = false);
// The first addresses, or blocks, of the list: elements of an nftables set.
std::string ListedElements(int number, bool cidrs, bool v6 = false);

// Forwards known flows, and new ones from `allowed` (addresses, comma between) and from as many listed addresses to the
// services of perf/bpf/rotation.h (rules: to one port); nothing else. By one set, or by a rule for each, the listed
// ones first.
struct ForwardSet {
  int listed = 0;
  std::string allowed;
  bool v6 = false;
  bool conntrack = true;  // else known flows are not, and only what goes that way is forwarded
};
std::string NftForwardSet(const ForwardSet& set);
std::string NftForwardRules(int listed, const std::string& allowed, int port);

struct Allow {
  const test::TestPod* sender = nullptr;
  bool local_sender = false;  // a workload of this node, which may send nowhere else
  const test::TestPod* receiver = nullptr;
  int rules = 0;                 // besides, in each direction, a listed pod each
  const char* protocol = "UDP";  // to the services of perf/bpf/rotation.h
  int first_service = 0;         // not to those before
  bool v6 = false;               // listed pods, and a sender that is no workload
};
// The receiver may be reached at its services by the sender and by listed pods.
std::string SluiceAllow(const Allow& allow);
std::string ListedPodYaml(int number, bool v6 = false);

}  // namespace sluice::perf
