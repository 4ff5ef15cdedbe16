#include "ctrl/api/refusal_rate.h"

#include <gtest/gtest.h>

namespace sluice::api {
namespace {

using std::chrono::seconds;

const RefusalRate::Clock::time_point kStart = RefusalRate::Clock::time_point() + std::chrono::hours(1);

TEST(RefusalRate, EachShareOnceInTenSecondsWithTheCountOfTheOthers) {
  RefusalRate rate;
  EXPECT_EQ(rate.Admit("uid 1", kStart), 0U);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(rate.Admit("uid 1", kStart + seconds(9)), std::nullopt);
  EXPECT_EQ(rate.Admit("uid 2", kStart + seconds(9)), 0U) << "one user does not hide another one's";
  EXPECT_EQ(rate.Admit("uid 1", kStart + seconds(10)), 1000U);
  EXPECT_EQ(rate.Admit("uid 1", kStart + seconds(11)), std::nullopt);
  EXPECT_EQ(rate.Admit("uid 1", kStart + seconds(20)), 1U);
}

TEST(RefusalRate, ManySharesAreBounded) {
  RefusalRate rate;
  std::size_t reported = 0;
  for (int i = 0; i < 10000; ++i) reported += rate.Admit("host " + std::to_string(i), kStart).has_value();
  EXPECT_EQ(reported, RefusalRate::kMaxShares);
  EXPECT_EQ(rate.Admit("host 9999", kStart + seconds(9)), std::nullopt);
  EXPECT_EQ(rate.Admit("host 9999", kStart + RefusalRate::kInterval), 0U);
}

}  // namespace
}  // namespace sluice::api
