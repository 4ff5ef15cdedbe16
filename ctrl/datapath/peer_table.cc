#include "ctrl/datapath/peer_table.h"

#include "bpf/lib/peer_home.h"
#include "ctrl/datapath/array_window.h"

namespace sluice::datapath {
namespace {

using policy::Tables;

constexpr std::size_t kPage = 4096;
// Some pages at a time, or all of a slot's when there are many edits: then one call is cheaper than one an edit.
constexpr std::size_t kFewPages = 4;
constexpr std::size_t kManyEdits = 200;

bool Is(const sl_peer_entry& entry, const Tables::PeerKey& key) {
  return entry.range.count != 0 && entry.ruleset == key.ruleset && entry.identity == key.identity;
}

}  // namespace

class PeerTable::Memory {
 public:
  Memory(int fd, std::uint32_t slot, std::uint32_t places, bool all)
      : begin_(std::size_t{slot} * places * sizeof(sl_peer_entry)),
        window_(fd, "peers", begin_, begin_ + places * sizeof(sl_peer_entry),
                all ? places * sizeof(sl_peer_entry) : kFewPages * kPage) {}

  // Valid until the next call.
  StatusOr<sl_peer_entry*> At(std::uint32_t place) {
    SL_ASSIGN_OR_RETURN(char* const entry, window_.At(begin_ + place * sizeof(sl_peer_entry), sizeof(sl_peer_entry)));
    return reinterpret_cast<sl_peer_entry*>(entry);
  }

 private:
  const std::size_t begin_;
  ArrayWindow window_;
};

std::uint32_t PeerTable::Home(std::uint32_t ruleset, std::uint32_t identity) const {
  return sl_peer_home(seed_, ruleset, identity, SL_PEER_HOMES(entries_));
}

Status PeerTable::Edit(std::uint32_t slot, const policy::TableEdits<Tables::PeerKey, sl_peer_value>& edits) const {
  Memory places(fd_, slot, SL_PEER_PLACES(entries_), edits.puts.size() + edits.deletes.size() > kManyEdits);
  for (const Tables::PeerKey& key : edits.deletes) SL_RETURN_IF_ERROR(Delete(places, key));
  for (const auto& [key, value] : edits.puts) SL_RETURN_IF_ERROR(Put(places, key, value));
  return OkStatus();
}

Status PeerTable::Put(Memory& places, const Tables::PeerKey& key, const sl_peer_value& value) const {
  const std::uint32_t home = Home(key.ruleset, key.identity);
  for (std::uint32_t place = home; place < home + SL_MAX_PEER_PROBES; ++place) {
    SL_ASSIGN_OR_RETURN(sl_peer_entry* const entry, places.At(place));
    if (entry->range.count != 0 && !Is(*entry, key)) continue;
    *entry = {key.ruleset, key.identity, value};
    return OkStatus();
  }
  return MakeError(absl::StatusCode::kResourceExhausted,
                   "map peers has no place within {} of where ruleset {} and identity {} belong ({} entries)",
                   SL_MAX_PEER_PROBES, key.ruleset, key.identity, entries_);
}

// Those after it move up, so that no free place comes between any of them and its home.
Status PeerTable::Delete(Memory& places, const Tables::PeerKey& key) const {
  std::uint32_t gap = Home(key.ruleset, key.identity);
  for (;; ++gap) {
    SL_ASSIGN_OR_RETURN(const sl_peer_entry* const entry, places.At(gap));
    if (Is(*entry, key)) break;
    if (entry->range.count == 0) return OkStatus();  // deleting what is not there is fine
  }
  for (std::uint32_t place = gap + 1; place < SL_PEER_PLACES(entries_); ++place) {
    SL_ASSIGN_OR_RETURN(const sl_peer_entry* const next, places.At(place));
    const sl_peer_entry entry = *next;
    if (entry.range.count == 0) break;
    if (Home(entry.ruleset, entry.identity) > gap) continue;
    SL_ASSIGN_OR_RETURN(sl_peer_entry* const to, places.At(gap));
    *to = entry;
    gap = place;
  }
  SL_ASSIGN_OR_RETURN(sl_peer_entry* const freed, places.At(gap));
  *freed = {};
  return OkStatus();
}

Status PeerTable::ForEach(std::uint32_t slot,
                          const std::function<void(const Tables::PeerKey&, const sl_peer_value&)>& visit) const {
  Memory places(fd_, slot, SL_PEER_PLACES(entries_), true);
  for (std::uint32_t place = 0; place < SL_PEER_PLACES(entries_); ++place) {
    SL_ASSIGN_OR_RETURN(const sl_peer_entry* const entry, places.At(place));
    if (entry->range.count != 0) visit({entry->ruleset, entry->identity}, entry->range);
  }
  return OkStatus();
}

}  // namespace sluice::datapath
