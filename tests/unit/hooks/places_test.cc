#include "kernel/hooks/places.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>
#include <vector>

namespace sluice::hooks {
namespace {

using testing::HasSubstr;

TEST(Places, TakesTheFirstRangeThatFits) {
  Places places("seats", 10, 20);
  EXPECT_EQ(*places.Take(4), (Range{10, 4}));
  EXPECT_EQ(*places.Take(4), (Range{14, 4}));
  places.Release({10, 4});
  EXPECT_EQ(*places.Take(3), (Range{10, 3}));
  EXPECT_EQ(*places.Take(2), (Range{18, 2}));
  EXPECT_EQ(*places.Take(1), (Range{13, 1}));
  EXPECT_EQ(places.used(), 10U);
  EXPECT_TRUE(places.Take(0).ok()) << "nothing always fits";
}

TEST(Places, SaysWhatHasNoRoom) {
  Places places("seats", 1, 11);
  const Range first = *places.Take(5);
  const Range second = *places.Take(4);
  auto none = places.Take(2);
  EXPECT_TRUE(absl::IsResourceExhausted(none.status()));
  EXPECT_EQ(Message(none.status()), "no room for 2 more seats: 9 of 10 are in use");
  places.Release(first);
  none = places.Take(6);
  EXPECT_THAT(Message(none.status()), HasSubstr("4 of 10 are in use, and the others are not next to each other"));
  places.Release(second);
  EXPECT_EQ(*places.Take(10), (Range{1, 10}));
}

TEST(Places, GoesRoundFromAPlace) {
  Places places("points", 1, 5);
  EXPECT_EQ((*places.Take(1, 0)).first, 1U);
  EXPECT_EQ((*places.Take(1, 2)).first, 2U);
  places.Release({1, 1});
  EXPECT_EQ((*places.Take(1, 3)).first, 3U);
  EXPECT_EQ((*places.Take(1, 4)).first, 4U);
  EXPECT_EQ((*places.Take(1, 5)).first, 1U);
}

TEST(Places, NeverGivesAPlaceTwice) {
  Places places("places", 0, 200);
  std::mt19937 random(14);
  std::vector<Range> taken;
  std::set<std::uint32_t> in_use;
  for (int i = 0; i < 5000; ++i) {
    if (random() % 2 == 0 && !taken.empty()) {
      const std::size_t victim = random() % taken.size();
      for (std::uint32_t n = 0; n < taken[victim].count; ++n) in_use.erase(taken[victim].first + n);
      places.Release(taken[victim]);
      taken.erase(taken.begin() + static_cast<std::ptrdiff_t>(victim));
    } else if (const auto range = places.Take(1 + random() % 20); range.ok()) {
      for (std::uint32_t n = 0; n < range->count; ++n)
        ASSERT_TRUE(range->first + n < 200 && in_use.insert(range->first + n).second);
      taken.push_back(*range);
    }
    ASSERT_EQ(places.used(), in_use.size());
  }
  for (const Range range : taken) places.Release(range);
  EXPECT_EQ(*places.Take(200), (Range{0, 200})) << "free ranges are one again";
}

}  // namespace
}  // namespace sluice::hooks
