// Numbers that are hashes of what they name: the same on every node and after every restart, without coordination.
// Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::policy {

// Joins fields so that two different lists of fields never give the same bytes.
//   CanonicalKey().Add("shop").Add(80).bytes()
class CanonicalKey {
 public:
  CanonicalKey& Add(std::string_view field);
  CanonicalKey& Add(std::uint64_t number);
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

std::uint64_t StableHash(std::string_view bytes);

// The numbers [first, first + count).
struct IdRange {
  std::uint32_t first = 1;
  std::uint32_t count = UINT32_MAX;
  // Where `hash` falls in the range.
  std::uint32_t At(std::uint64_t hash) const { return first + static_cast<std::uint32_t>(hash % count); }
};

// One number for each of `keys`: At(hash of the key), or the next free number if an earlier key has that one. Keys must
// be distinct, in an order that depends only on them (sorted, for example). There must be at least as many numbers as
// keys.
std::vector<std::uint32_t> AssignStableIds(const std::vector<std::string>& keys, IdRange range);
// The same, from the keys' hashes.
std::vector<std::uint32_t> AssignStableIds(const std::vector<std::uint64_t>& hashes, IdRange range);

}  // namespace sluice::policy
