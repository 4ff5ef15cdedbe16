#include "ctrl/explain/world_address.h"

#include <algorithm>
#include <optional>

namespace sluice::explain {
namespace {

using policy::Address;
using policy::Prefix;

void AddBlocks(const std::vector<policy::Rule>& rules, std::vector<Prefix>& out) {
  for (const policy::Rule& rule : rules) {
    for (const policy::Peer& peer : rule.peers) {
      if (!peer.ip_block) continue;
      if (peer.ip_block->cidr.length() != 0) out.push_back(peer.ip_block->cidr);
      out.insert(out.end(), peer.ip_block->except.begin(), peer.ip_block->except.end());
    }
  }
}

// All prefixes and addresses in use, sorted by first address.
std::vector<Prefix> Taken(const policy::Snapshot& snapshot) {
  std::vector<Prefix> taken;
  for (const auto& policy : snapshot.policies) {
    AddBlocks(policy->ingress, taken);
    AddBlocks(policy->egress, taken);
  }
  for (const auto& [address, endpoint] : snapshot.by_address) taken.push_back(Prefix::Host(address));
  for (const Address& address : snapshot.node_addresses) taken.push_back(Prefix::Host(address));
  std::sort(taken.begin(), taken.end(), [](const Prefix& a, const Prefix& b) { return a.address() < b.address(); });
  return taken;
}

// The first address after `prefix`; after the last prefix, address 0.
Address Behind(const Prefix& prefix) {
  std::array<std::uint8_t, 16> bytes = prefix.address().bytes();
  for (int bit = prefix.mapped_length(); bit < 128; ++bit) {
    bytes[bit / 8] |= static_cast<std::uint8_t>(0x80U >> bit % 8);
  }
  for (auto byte = bytes.rbegin(); byte != bytes.rend() && ++*byte == 0; ++byte) {
  }
  return Address(bytes);
}

// The first one from `start` on that is not taken.
std::optional<Address> FirstFree(const std::vector<Prefix>& taken, const Address& start) {
  Address free = start;
  for (const Prefix& prefix : taken) {
    if (prefix.Contains(free)) free = Behind(prefix);
  }
  const bool is_in_family = free >= start && free.is_v4() == start.is_v4();
  return is_in_family ? std::optional(free) : std::nullopt;
}

}  // namespace

std::vector<Address> WorldAddresses(const policy::Snapshot& snapshot) {
  const std::vector<Prefix> taken = Taken(snapshot);
  std::vector<Address> found;
  // Documentation addresses (RFC 5737 and 3849), which no host has; else any.
  for (const auto& starts : {std::pair{"192.0.2.1", "1.0.0.1"}, {"2001:db8::1", "2000::1"}}) {
    auto address = FirstFree(taken, *Address::Parse(starts.first));
    if (!address) address = FirstFree(taken, *Address::Parse(starts.second));
    if (address) found.push_back(*address);
  }
  return found;
}

}  // namespace sluice::explain
