#include "kernel/hooks/places.h"

#include <algorithm>
#include <iterator>

namespace sluice::hooks {

StatusOr<Range> Places::Take(std::uint32_t count, std::uint32_t from) {
  if (count == 0) return Range{};
  const auto fits = [count](const Free::value_type& free) { return free.second >= count; };
  auto found = std::find_if(free_.lower_bound(from), free_.end(), fits);
  if (found == free_.end()) found = std::find_if(free_.begin(), free_.end(), fits);
  if (found != free_.end()) return TakeFrom(found, count);
  return MakeError(absl::StatusCode::kResourceExhausted, "no room for {} more {}: {} of {} are in use{}", count, what_,
                   used_, capacity_, capacity_ - used_ >= count ? ", and the others are not next to each other" : "");
}

Range Places::TakeFrom(Free::iterator free, std::uint32_t count) {
  const Range taken{(*free).first, count};
  const std::uint32_t rest = (*free).second - count;
  free_.erase(free);
  if (rest != 0) free_.emplace(taken.first + count, rest);
  used_ += count;
  return taken;
}

void Places::Release(Range range) {
  if (range.count == 0) return;
  used_ -= range.count;
  const auto next = free_.lower_bound(range.first);
  if (next != free_.end() && range.first + range.count == (*next).first) {
    range.count += (*next).second;
    free_.erase(next);
  }
  const auto after = free_.lower_bound(range.first);
  if (after != free_.begin()) {
    const auto before = std::prev(after);
    if ((*before).first + (*before).second == range.first) {
      (*before).second += range.count;
      return;
    }
  }
  free_.emplace(range.first, range.count);
}

}  // namespace sluice::hooks
