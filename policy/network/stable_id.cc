#include "policy/network/stable_id.h"

#include <unordered_set>

namespace sluice::policy {

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
  std::unordered_set<std::uint32_t> taken;
  taken.reserve(hashes.size());
  for (std::uint64_t hash : hashes) {
    while (!taken.insert(range.At(hash)).second) hash = hash % range.count + 1;
    ids.push_back(range.At(hash));
  }
  return ids;
}

}  // namespace sluice::policy
