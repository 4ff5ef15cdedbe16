// Sets of numbers as sorted ranges, and a sweep over many of them at once. Used for identities and service numbers, so
// that a result is computed once for a whole range. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace sluice::policy {

struct Range {
  std::uint32_t begin = 0;
  std::uint32_t end = 0;  // not included
  std::uint32_t size() const { return end - begin; }
  auto operator<=>(const Range&) const = default;
};

using RangeSet = std::vector<Range>;  // normalised: sorted, none empty, no two that touch

RangeSet Normalised(std::vector<Range> ranges);
RangeSet FromNumbers(std::vector<std::uint32_t> numbers);
RangeSet Difference(const RangeSet& from, const RangeSet& without);

// Cuts [0, end) where membership in any of `sets` changes and calls `visit` for each piece in order, with the indices
// of the sets that hold it, ascending. No piece is left out; `sets` must lie within [0, end).
using SegmentVisitor = std::function<void(Range segment, const std::vector<std::uint32_t>& holders)>;
void ForEachSegment(std::uint32_t end, const std::vector<const RangeSet*>& sets, const SegmentVisitor& visit);

}  // namespace sluice::policy
