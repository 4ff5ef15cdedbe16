#include "policy/network/stable_id.h"

#include <bit>

namespace sluice::policy {
namespace {

// Places in a range that are taken: a hash table with open addressing, at most half full. The places are hashes
// already.
class TakenPlaces {
 public:
  explicit TakenPlaces(std::size_t most) : slots_(std::bit_ceil(2 * most + 1)), mask_(slots_.size() - 1) {}

  // False: it was taken.
  bool Take(std::uint32_t place) {
    std::size_t slot = place & mask_;
    for (; slots_[slot] != 0; slot = (slot + 1) & mask_) {
      if (slots_[slot] == place + 1) return false;
    }
    slots_[slot] = place + 1;
    return true;
  }

 private:
  std::vector<std::uint32_t> slots_;  // the place + 1; 0: free
  const std::size_t mask_;
};

}  // namespace

CanonicalKey& CanonicalKey::Add(std::string_view field) {
  bytes_ += std::to_string(field.size());
  bytes_ += ':';
  bytes_ += field;
  return *this;
}

CanonicalKey& CanonicalKey::Add(std::uint64_t number) {
  bytes_ += std::to_string(number);
  bytes_ += ';';
  return *this;
}

std::uint64_t StableHash(std::string_view bytes) {
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a, 64 bits
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  // FNV mixes its last bytes poorly; this finalizer (MurmurHash3's) makes every bit depend on every byte.
  hash = (hash ^ (hash >> 33U)) * 0xff51afd7ed558ccd;
  hash = (hash ^ (hash >> 33U)) * 0xc4ceb9fe1a85ec53;
  return hash ^ (hash >> 33U);
}

std::vector<std::uint32_t> AssignStableIds(const std::vector<std::string>& keys, IdRange range) {
  std::vector<std::uint64_t> hashes;
  hashes.reserve(keys.size());
  for (const std::string& key : keys) hashes.push_back(StableHash(key));
  return AssignStableIds(hashes, range);
}

std::vector<std::uint32_t> AssignStableIds(const std::vector<std::uint64_t>& hashes, IdRange range) {
  std::vector<std::uint32_t> ids;
  ids.reserve(hashes.size());
  TakenPlaces taken(hashes.size());
  for (std::uint64_t hash : hashes) {
    while (!taken.Take(range.At(hash) - range.first)) hash = hash % range.count + 1;
    ids.push_back(range.At(hash));
  }
  return ids;
}

}  // namespace sluice::policy
