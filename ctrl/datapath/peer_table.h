// The map `peers` as the agent edits it: in each slot a hash table in memory of the kernel's (bpf/abi/policy.h).
//   SL_RETURN_IF_ERROR(peers.Edit(slot, plan.peers));
// Does not own the map's descriptor. For one thread.
#pragma once

#include <functional>

#include "policy/diff.h"

namespace sluice::datapath {

class PeerTable {
 public:
  PeerTable() = default;
  // `entries`: the most that a slot holds. `seed`: of the places of what is there already.
  PeerTable(int map_fd, std::uint32_t entries, std::uint32_t seed) : fd_(map_fd), entries_(entries), seed_(seed) {}

  // Of a slot that is not in force. After an error some edits are made.
  Status Edit(std::uint32_t slot, const policy::TableEdits<policy::Tables::PeerKey, sl_peer_value>& edits) const;
  Status ForEach(std::uint32_t slot,
                 const std::function<void(const policy::Tables::PeerKey&, const sl_peer_value&)>& visit) const;

 private:
  class Memory;
  Status Put(Memory& places, const policy::Tables::PeerKey& key, const sl_peer_value& value) const;
  Status Delete(Memory& places, const policy::Tables::PeerKey& key) const;
  std::uint32_t Home(std::uint32_t ruleset, std::uint32_t identity) const;

  int fd_ = -1;
  std::uint32_t entries_ = 0;
  std::uint32_t seed_ = 0;
};

}  // namespace sluice::datapath
