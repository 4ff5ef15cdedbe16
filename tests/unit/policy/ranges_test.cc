#include "policy/network/ranges.h"

#include <gtest/gtest.h>

#include <random>

namespace sluice::policy {
namespace {

std::vector<bool> Bits(const RangeSet& set, std::size_t size) {
  std::vector<bool> bits(size);
  for (const Range& range : set) {
    for (std::uint32_t i = range.begin; i < range.end; i++) bits[i] = true;
  }
  return bits;
}

void ExpectNormal(const RangeSet& set) {
  for (std::size_t i = 0; i < set.size(); i++) {
    EXPECT_LT(set[i].begin, set[i].end);
    if (i > 0) {
      EXPECT_LT(set[i - 1].end, set[i].begin);
    }
  }
}

TEST(Ranges, NormalisedJoinsAndDropsEmpty) {
  EXPECT_EQ(Normalised({{5, 7}, {1, 3}, {3, 4}, {6, 9}, {20, 20}}), (RangeSet{{1, 4}, {5, 9}}));
  EXPECT_EQ(FromNumbers({4, 2, 3, 9, 2}), (RangeSet{{2, 5}, {9, 10}}));
}

TEST(Ranges, AgreeWithBitsOnRandomSets) {
  constexpr std::uint32_t kEnd = 64;
  std::mt19937 random(1);  // a fixed seed
  for (int round = 0; round < 2000; round++) {
    std::vector<RangeSet> sets;
    for (int s = 0; s < 5; s++) {
      std::vector<Range> ranges;
      for (int r = random() % 6; r > 0; r--) {
        const std::uint32_t begin = random() % kEnd;
        ranges.push_back({begin, begin + static_cast<std::uint32_t>(random()) % (kEnd - begin + 1)});
      }
      sets.push_back(Normalised(std::move(ranges)));
      ExpectNormal(sets.back());
    }
    const RangeSet difference = Difference(sets[0], sets[1]);
    ExpectNormal(difference);
    std::vector<const RangeSet*> pointers;
    for (const RangeSet& set : sets) pointers.push_back(&set);
    std::uint32_t next = 0;
    ForEachSegment(kEnd, pointers, [&](Range segment, const std::vector<std::uint32_t>& holders) {
      ASSERT_EQ(segment.begin, next) << "round " << round;
      ASSERT_LT(segment.begin, segment.end);
      next = segment.end;
      for (std::uint32_t s = 0; s < sets.size(); s++) {
        const std::vector<bool> bits = Bits(sets[s], kEnd);
        const bool holds = std::find(holders.begin(), holders.end(), s) != holders.end();
        for (std::uint32_t i = segment.begin; i < segment.end; i++) ASSERT_EQ(bits[i], holds) << "round " << round;
      }
    });
    ASSERT_EQ(next, kEnd);
    const std::vector<bool> a = Bits(sets[0], kEnd), b = Bits(sets[1], kEnd), d = Bits(difference, kEnd);
    for (std::uint32_t i = 0; i < kEnd; i++) ASSERT_EQ(d[i], a[i] && !b[i]) << "round " << round;
  }
}

}  // namespace
}  // namespace sluice::policy
