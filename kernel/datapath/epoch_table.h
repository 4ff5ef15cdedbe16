// Edits the maps `addresses` and `peers`: each epoch is a hash table in the kernel's memory (bpf/abi/policy.h).
//   SL_RETURN_IF_ERROR(peers.Edit(epoch, plan.peers)); Does not own the map's descriptor. For one thread at a time.
#pragma once

#include <array>
#include <functional>
#include <string>

#include "kernel/datapath/settings.h"
#include "policy/network/diff.h"

namespace sluice::datapath {

// The entry types of each map.
struct AddressEntries {
  using Key = policy::Address;
  using Value = sl_address_value;
  using Entry = sl_address_entry;
  static constexpr char kMap[] = "addresses";
  static bool IsFree(const Entry& entry) { return entry.value.identity == SL_IDENTITY_UNKNOWN; }
  static Key KeyOf(const Entry& entry) { return Key(entry.addr); }
  static Value ValueOf(const Entry& entry) { return entry.value; }
  static Entry Make(const Key& key, const Value& value) { return {key.abi(), value}; }
  static std::uint32_t Home(HashSeeds seeds, const Key& key, std::uint32_t homes);
  static std::string Name(const Key& key) { return key.ToString(); }
};

struct PeerEntries {
  using Key = policy::Tables::PeerKey;
  using Value = sl_peer_value;
  using Entry = sl_peer_entry;
  static constexpr char kMap[] = "peers";
  static bool IsFree(const Entry& entry) { return entry.range.count == 0; }
  static Key KeyOf(const Entry& entry) { return {entry.ruleset, entry.identity}; }
  static Value ValueOf(const Entry& entry) { return entry.range; }
  static Entry Make(const Key& key, const Value& value) { return {key.ruleset, key.identity, value}; }
  static std::uint32_t Home(HashSeeds seeds, const Key& key, std::uint32_t homes);
  static std::string Name(const Key& key);
};

// `Entries`: one of the above.
template <typename Entries>
class EpochTable {
 public:
  using Key = typename Entries::Key;
  using Value = typename Entries::Value;

  EpochTable() = default;
  // `entries`: the most that an epoch holds. `seeds`: must be those of the existing entries.
  EpochTable(int map_fd, std::uint32_t entries, HashSeeds seeds);

  // Edits an epoch that is not in force. After an error, some edits are made.
  Status Edit(std::uint32_t epoch, const policy::TableEdits<Key, Value>& edits) const;
  Status ForEach(std::uint32_t epoch, const std::function<void(const Key&, const Value&)>& visit) const;

  // Frees all slots of an epoch that is not in force.
  Status Erase(std::uint32_t epoch) const;
  // Whether an epoch has exactly these entries.
  StatusOr<bool> Holds(std::uint32_t epoch, const policy::FlatMap<Key, Value>& expected) const;

  std::uint64_t capacity() const { return std::uint64_t{entries_} * SL_EPOCHS; }

 private:
  class Memory;
  Status Put(Memory& slots, const Key& key, const Value& value) const;
  Status Delete(Memory& slots, const Key& key) const;
  std::uint32_t Home(const Key& key) const { return Entries::Home(seeds_, key, SL_EPOCH_STARTS(entries_)); }

  int fd_ = -1;
  std::uint32_t entries_ = 0;
  std::array<__u64, SL_HASH_SEEDS> seeds_{};
};

using AddressTable = EpochTable<AddressEntries>;
using PeerTable = EpochTable<PeerEntries>;

}  // namespace sluice::datapath
