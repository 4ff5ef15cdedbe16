#include "policy/network/ranges.h"

#include <algorithm>

namespace sluice::policy {

RangeSet Normalised(std::vector<Range> ranges) {
  std::sort(ranges.begin(), ranges.end());
  RangeSet out;
  for (const Range& range : ranges) {
    if (range.begin >= range.end) continue;
    if (!out.empty() && range.begin <= out.back().end) {
      out.back().end = std::max(out.back().end, range.end);
    } else {
      out.push_back(range);
    }
  }
  return out;
}

RangeSet FromNumbers(std::vector<std::uint32_t> numbers) {
  std::sort(numbers.begin(), numbers.end());
  RangeSet out;
  for (const std::uint32_t number : numbers) {
    if (!out.empty() && number <= out.back().end) {
      out.back().end = std::max(out.back().end, number + 1);
    } else {
      out.push_back({number, number + 1});
    }
  }
  return out;
}

RangeSet Difference(const RangeSet& from, const RangeSet& without) {
  RangeSet out;
  auto hole = without.begin();
  for (Range rest : from) {
    while (hole != without.end() && hole->end <= rest.begin) ++hole;
    for (auto it = hole; it != without.end() && it->begin < rest.end; ++it) {
      if (it->begin > rest.begin) out.push_back({rest.begin, it->begin});
      rest.begin = std::min(rest.end, it->end);
    }
    if (rest.begin < rest.end) out.push_back(rest);
  }
  return out;
}

void ForEachSegment(std::uint32_t end, const std::vector<const RangeSet*>& sets, const SegmentVisitor& visit) {
  struct Edge {
    std::uint32_t at;
    std::uint32_t set;
    bool opens;
  };
  std::vector<Edge> edges;
  for (std::uint32_t i = 0; i < sets.size(); i++) {
    for (const Range& range : *sets[i]) {
      edges.push_back({range.begin, i, true});
      edges.push_back({range.end, i, false});
    }
  }
  std::sort(edges.begin(), edges.end(), [](const Edge& a, const Edge& b) { return a.at < b.at; });

  std::vector<std::uint32_t> holders;
  std::uint32_t begin = 0;
  for (const Edge& edge : edges) {
    if (edge.at > begin) {
      visit({begin, edge.at}, holders);
      begin = edge.at;
    }
    const auto at = std::lower_bound(holders.begin(), holders.end(), edge.set);
    if (edge.opens) {
      holders.insert(at, edge.set);
    } else {
      holders.erase(at);
    }
  }
  if (begin < end) visit({begin, end}, holders);
}

}  // namespace sluice::policy
