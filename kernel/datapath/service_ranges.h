// Which ranges of the table of backends are in use. For one thread at a time. Touches no map.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

namespace sluice::datapath {

class ServiceRanges {
 public:
  explicit ServiceRanges(std::uint32_t capacity);

  // Marks a range as used; false: a part of it is used already, or does not exist.
  bool Claim(std::uint32_t first, std::uint32_t count);
  // The first range that is large enough. Nothing: there is none.
  std::optional<std::uint32_t> Take(std::uint32_t count);
  // The range is no longer named by a Service, but a program may still read it. It is used again after Reuse.
  void Drop(std::uint32_t first, std::uint32_t count);
  // To call once no program reads what was dropped.
  void Reuse();

  bool has_dropped() const { return !dropped_.empty(); }
  std::uint32_t used() const { return used_; }  // with what was dropped

 private:
  void Free(std::uint32_t first, std::uint32_t count);

  std::map<std::uint32_t, std::uint32_t> free_;  // first -> count; no two touch
  std::vector<std::pair<std::uint32_t, std::uint32_t>> dropped_;
  std::uint32_t used_ = 0;
};

}  // namespace sluice::datapath
