#include "telemetry/event/export_shares.h"

#include <gtest/gtest.h>

namespace sluice::telemetry {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kNsInASecond = 1'000'000'000;
const policy::ObjectName kFlood{"shop", "flood"}, kQuiet{"shop", "quiet"};

std::uint64_t Write(ExportShares& shares, const policy::ObjectName& owner, std::uint64_t now_ns, int times) {
  std::uint64_t written = 0;
  for (int i = 0; i < times; i++) written += shares.Take(owner, 1, now_ns) ? 1 : 0;
  return written;
}

TEST(ExportShares, WhoFloodsLeavesHalfToOthers) {
  ExportShares shares(16000, 600s);
  EXPECT_EQ(Write(shares, kFlood, kNsInASecond, 100000), 8000U);
  EXPECT_EQ(Write(shares, kQuiet, kNsInASecond, 1000), 1000U);
  EXPECT_EQ(Write(shares, kQuiet, kNsInASecond, 1000), 0U) << "its own share";
}

TEST(ExportShares, TimeGivesEachItsShareAgain) {
  ExportShares shares(16000, 600s);
  Write(shares, kFlood, kNsInASecond, 100000);
  EXPECT_EQ(Write(shares, kFlood, 61 * kNsInASecond, 10000), 800U) << "a tenth of the span: a tenth of the half";
  EXPECT_EQ(Write(shares, kFlood, 601 * kNsInASecond + 60 * kNsInASecond, 100000), 8000U);
}

TEST(ExportShares, ManyThatFloodHaveASixteenthEach) {
  ExportShares shares(16000, 600s);
  Write(shares, kFlood, kNsInASecond, 100000);
  for (int i = 0; i < 8; i++) EXPECT_EQ(Write(shares, {"shop", std::to_string(i)}, kNsInASecond, 100000), 1000U);
}

TEST(ExportShares, WithoutASpanThereAreNone) {
  ExportShares shares(16, 0s);
  EXPECT_EQ(Write(shares, kFlood, kNsInASecond, 1000), 1000U);
}

TEST(ExportShares, WhoIsGoneIsForgotten) {
  ExportShares shares(16000, 600s);
  for (int i = 0; i < 20000; i++)
    EXPECT_TRUE(shares.Take({"shop", std::to_string(i)}, 1, (1 + i) * 700 * kNsInASecond));
}

}  // namespace
}  // namespace sluice::telemetry
