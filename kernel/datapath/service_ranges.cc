#include "kernel/datapath/service_ranges.h"

#include <iterator>
#include <utility>

namespace sluice::datapath {

ServiceRanges::ServiceRanges(std::uint32_t capacity) {
  if (capacity != 0) free_[0] = capacity;
}

bool ServiceRanges::Claim(std::uint32_t first, std::uint32_t count) {
  if (count == 0) return true;
  auto at = free_.upper_bound(first);
  if (at == free_.begin()) return false;
  --at;
  const auto [start, size] = *at;
  const std::uint64_t end = std::uint64_t{first} + count;
  if (end > std::uint64_t{start} + size) return false;
  free_.erase(at);
  if (first != start) free_[start] = first - start;
  if (end != std::uint64_t{start} + size)
    free_[static_cast<std::uint32_t>(end)] = static_cast<std::uint32_t>(std::uint64_t{start} + size - end);
  used_ += count;
  return true;
}

std::optional<std::uint32_t> ServiceRanges::Take(std::uint32_t count) {
  if (count == 0) return 0U;
  for (const auto& [first, size] : free_) {
    if (size < count) continue;
    const std::uint32_t taken = first;
    Claim(taken, count);
    return taken;
  }
  return std::nullopt;
}

void ServiceRanges::Drop(std::uint32_t first, std::uint32_t count) {
  if (count != 0) dropped_.emplace_back(first, count);
}

void ServiceRanges::Reuse() {
  for (const auto& [first, count] : std::exchange(dropped_, {})) Free(first, count);
}

void ServiceRanges::Free(std::uint32_t first, std::uint32_t count) {
  used_ -= count;
  auto next = free_.lower_bound(first);
  if (next != free_.begin()) {
    const auto before = std::prev(next);
    if (before->first + before->second == first) {
      first = before->first;
      count += before->second;
      free_.erase(before);
    }
  }
  if (next != free_.end() && first + count == next->first) {
    count += next->second;
    free_.erase(next);
  }
  free_[first] = count;
}

}  // namespace sluice::datapath
