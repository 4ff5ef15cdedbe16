#include "kernel/datapath/epoch_table.h"

#include <algorithm>
#include <cstring>

#include "bpf/lib/probe_start.h"
#include "kernel/datapath/array_window.h"

namespace sluice::datapath {
namespace {

// Map a few bytes at a time, or for many edits the whole epoch: then one call is cheaper than one for each edit.
constexpr std::size_t kFewBytes = 16384;
constexpr std::size_t kAll = ~std::size_t{0};
// For passes in memory order: the calls cost little compared with the pass, and the mapped part counts in RSS.
constexpr std::size_t kManyBytes = 1 << 20;
constexpr std::size_t kManyEdits = 200;
constexpr std::uint32_t kBlock = 8192;  // entries

}  // namespace

std::uint32_t AddressEntries::Home(HashSeeds seeds, const Key& key, std::uint32_t homes) {
  const sl_addr addr = key.abi();
  return sl_address_start(seeds.data(), &addr, homes);
}

std::uint32_t PeerEntries::Home(HashSeeds seeds, const Key& key, std::uint32_t homes) {
  return sl_peer_start(seeds.data(), key.ruleset, key.identity, homes);
}

std::string PeerEntries::Name(const Key& key) {
  return fmt::format("ruleset {} and identity {}", key.ruleset, key.identity);
}

template <typename Entries>
class EpochTable<Entries>::Memory {
 public:
  using Entry = typename Entries::Entry;

  // About `window` bytes at a time.
  Memory(int fd, std::uint32_t epoch, std::uint32_t slots, std::size_t window)
      : begin_(std::size_t{epoch} * slots * sizeof(Entry)),
        window_(fd, Entries::kMap, begin_, begin_ + slots * sizeof(Entry), std::min(window, slots * sizeof(Entry))) {}

  // Valid until the next call.
  StatusOr<Entry*> At(std::uint32_t slot) {
    SL_ASSIGN_OR_RETURN(char* const entry, window_.At(begin_ + slot * sizeof(Entry), sizeof(Entry)));
    return reinterpret_cast<Entry*>(entry);
  }
  // `count` entries from `slot` on. Valid until the next call.
  StatusOr<const Entry*> Block(std::uint32_t slot, std::uint32_t count) {
    SL_ASSIGN_OR_RETURN(char* const entries, window_.At(begin_ + slot * sizeof(Entry), count * sizeof(Entry)));
    return reinterpret_cast<const Entry*>(entries);
  }

 private:
  const std::size_t begin_;
  ArrayWindow window_;
};

template <typename Entries>
EpochTable<Entries>::EpochTable(int map_fd, std::uint32_t entries, HashSeeds seeds) : fd_(map_fd), entries_(entries) {
  std::copy(seeds.begin(), seeds.end(), seeds_.begin());
}

template <typename Entries>
Status EpochTable<Entries>::Edit(std::uint32_t epoch, const policy::TableEdits<Key, Value>& edits) const {
  Memory slots(fd_, epoch, SL_EPOCH_SLOTS(entries_),
               edits.puts.size() + edits.deletes.size() > kManyEdits ? kAll : kFewBytes);
  for (const Key& key : edits.deletes) SL_RETURN_IF_ERROR(Delete(slots, key));
  for (const auto& [key, value] : edits.puts) SL_RETURN_IF_ERROR(Put(slots, key, value));
  return OkStatus();
}

template <typename Entries>
Status EpochTable<Entries>::Put(Memory& slots, const Key& key, const Value& value) const {
  const std::uint32_t home = Home(key);
  for (std::uint32_t slot = home; slot < home + SL_MAX_PROBES; ++slot) {
    SL_ASSIGN_OR_RETURN(auto* const entry, slots.At(slot));
    if (!Entries::IsFree(*entry) && Entries::KeyOf(*entry) != key) continue;
    *entry = Entries::Make(key, value);
    return OkStatus();
  }
  return MakeError(absl::StatusCode::kResourceExhausted,
                   "map {} has no free slot among the first {} for {} ({} entries)", Entries::kMap, SL_MAX_PROBES,
                   Entries::Name(key), entries_);
}

// Moves later entries up, so that no free slot is between an entry and its first slot.
template <typename Entries>
Status EpochTable<Entries>::Delete(Memory& slots, const Key& key) const {
  std::uint32_t gap = Home(key);
  for (;; ++gap) {
    SL_ASSIGN_OR_RETURN(const auto* const entry, slots.At(gap));
    if (Entries::IsFree(*entry)) return OkStatus();  // OK: there is no such entry
    if (Entries::KeyOf(*entry) == key) break;
  }
  for (std::uint32_t slot = gap + 1; slot < SL_EPOCH_SLOTS(entries_); ++slot) {
    SL_ASSIGN_OR_RETURN(const auto* const next, slots.At(slot));
    const typename Entries::Entry entry = *next;
    if (Entries::IsFree(entry)) break;
    if (Home(Entries::KeyOf(entry)) > gap) continue;
    SL_ASSIGN_OR_RETURN(auto* const to, slots.At(gap));
    *to = entry;
    gap = slot;
  }
  SL_ASSIGN_OR_RETURN(auto* const freed, slots.At(gap));
  *freed = {};
  return OkStatus();
}

template <typename Entries>
Status EpochTable<Entries>::ForEach(std::uint32_t epoch,
                                    const std::function<void(const Key&, const Value&)>& visit) const {
  Memory slots(fd_, epoch, SL_EPOCH_SLOTS(entries_), kAll);
  for (std::uint32_t slot = 0; slot < SL_EPOCH_SLOTS(entries_); ++slot) {
    SL_ASSIGN_OR_RETURN(const auto* const entry, slots.At(slot));
    if (!Entries::IsFree(*entry)) visit(Entries::KeyOf(*entry), Entries::ValueOf(*entry));
  }
  return OkStatus();
}

template <typename Entries>
Status EpochTable<Entries>::Erase(std::uint32_t epoch) const {
  Memory slots(fd_, epoch, SL_EPOCH_SLOTS(entries_), kManyBytes);
  for (std::uint32_t slot = 0; slot < SL_EPOCH_SLOTS(entries_); ++slot) {
    SL_ASSIGN_OR_RETURN(auto* const entry, slots.At(slot));
    *entry = {};
  }
  return OkStatus();
}

// Each expected entry must be there once, without a free slot between its first slot and it, so that a look-up finds
// it; and no other entry. In memory order.
template <typename Entries>
StatusOr<bool> EpochTable<Entries>::Holds(std::uint32_t epoch, const policy::FlatMap<Key, Value>& expected) const {
  Memory slots(fd_, epoch, SL_EPOCH_SLOTS(entries_), kManyBytes);
  std::vector<bool> found(expected.size());
  std::size_t count = 0;
  std::uint32_t after_free = 0;  // the first slot after the last free one
  const typename Entries::Entry* block = nullptr;
  for (std::uint32_t slot = 0; slot < SL_EPOCH_SLOTS(entries_); ++slot) {
    if (slot % kBlock == 0) {
      SL_ASSIGN_OR_RETURN(block, slots.Block(slot, std::min(kBlock, SL_EPOCH_SLOTS(entries_) - slot)));
    }
    const auto* const entry = &block[slot % kBlock];
    if (Entries::IsFree(*entry)) {
      after_free = slot + 1;
      continue;
    }
    const Key key = Entries::KeyOf(*entry);
    const auto at = expected.find(key);
    if (at == expected.end() || found[at - expected.begin()]) return false;
    const Value value = Entries::ValueOf(*entry);
    if (std::memcmp(&value, &at->second, sizeof(Value)) != 0) return false;
    const std::uint32_t home = Home(key);
    if (home < after_free || home > slot) return false;
    found[at - expected.begin()] = true;
    ++count;
  }
  return count == expected.size();
}

template class EpochTable<AddressEntries>;
template class EpochTable<PeerEntries>;

}  // namespace sluice::datapath
