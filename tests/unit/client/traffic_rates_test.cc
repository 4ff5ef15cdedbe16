#include "ctrl/sluice/traffic_rates.h"

#include <fmt/format.h>

#include "ctrl/sluice/terminal.h"
#include "tests/unit/client/messages.h"

namespace sluice::client {
namespace {

using namespace std::chrono_literals;
using test::FromJson;

constexpr TrafficRates::Clock::time_point kStart{1h};

// Sums of shop/web and its curl.
v1::TopReply Reply(std::uint64_t packets, std::uint64_t bytes, std::uint64_t drops = 0) {
  return FromJson<v1::TopReply>(fmt::format(
      R"({{"rows": [{{"namespace": "shop", "workload": "web", "sent": {{"packets": "{0}", "bytes": "{1}"}},
                      "received": {{"packets": "1", "bytes": "10"}}, "droppedPackets": "{2}", "flows": "2"}},
                    {{"namespace": "shop", "workload": "web", "binary": "/usr/bin/curl", "flows": "1",
                      "sent": {{"packets": "{0}", "bytes": "{1}"}}}}]}})",
      packets, bytes, drops));
}

std::string Shown(const std::vector<TrafficRates::Row>& rows) {
  std::string text;
  for (const auto& row : rows) text += TrafficJson(row) + "\n";
  return text;
}

TEST(TrafficRates, GrowthBetweenTwoAnswers) {
  TrafficRates rates;
  EXPECT_TRUE(rates.Update(Reply(100, 1000), kStart).empty());
  const auto rows = rates.Update(Reply(120, 3000, 5), kStart + 2s);
  EXPECT_EQ(Shown(rows),
            R"({"workload":"shop/web","packetsPerSecond":10.0,"bytesPerSecond":1000.0,"dropsPerSecond":2.5,"flows":2})"
            "\n"
            R"({"workload":"shop/web","binary":"/usr/bin/curl","packetsPerSecond":10.0,"bytesPerSecond":1000.0,)"
            R"("dropsPerSecond":0.0,"flows":1})"
            "\n");
  EXPECT_EQ(MakeTrafficTable(rows, v1::TopRequest::PROGRAM).ToString(),
            "WORKLOAD  PACKETS/S  BYTES/S  DROPS/S  FLOWS  PROGRAM\n"
            "shop/web       10.0     1000      2.5      2  (all)\n"
            "shop/web       10.0     1000      0.0      1  /usr/bin/curl\n");
}

TEST(TrafficRates, WhatIsNewCountsFromItsStart) {
  TrafficRates rates;
  rates.Update({}, kStart);
  EXPECT_EQ(rates.Update(Reply(7, 70), kStart + 1s).front().packets, 8);
}

TEST(TrafficRates, ASumThatIsLowerForAMomentIsNoTraffic) {
  TrafficRates rates;
  rates.Update(Reply(100, 1000), kStart);
  EXPECT_EQ(rates.Update(Reply(40, 400), kStart + 1s).front().packets, 0);
  EXPECT_EQ(rates.Update(Reply(101, 1010), kStart + 2s).front().packets, 1);
}

TEST(TrafficRates, ASumThatStaysLowerHasBegunAgain) {
  TrafficRates rates;
  rates.Update(Reply(100, 1000), kStart);
  for (int i = 1; i <= 3; ++i) EXPECT_EQ(rates.Update(Reply(40, 400), kStart + i * 1s).front().packets, 0);
  EXPECT_EQ(rates.Update(Reply(43, 430), kStart + 4s).front().packets, 3);
}

TEST(TrafficRates, BusiestFirstWithItsPartsBelow) {
  const auto row = [](const char* workload, const char* binary, double bytes, std::uint64_t flows) {
    TrafficRates::Row made;
    made.workload = workload;
    made.binary = binary;
    made.bytes = bytes;
    made.flows = flows;
    return made;
  };
  std::vector<TrafficRates::Row> rows = {row("a/a", "", 1, 9), row("z/z", "/bin/x", 4, 1), row("z/z", "/bin/y", 5, 1),
                                         row("z/z", "", 9, 2)};
  const auto order = [&rows] {
    std::string text;
    for (const auto& one : rows) text += one.workload + one.binary + " ";
    return text;
  };
  SortRows(TrafficSort::kBytes, &rows);
  EXPECT_EQ(order(), "z/z z/z/bin/y z/z/bin/x a/a ");
  SortRows(TrafficSort::kFlows, &rows);
  EXPECT_EQ(order(), "a/a z/z z/z/bin/x z/z/bin/y ");
}

TEST(TrafficTable, NamesAreCutToTheWidth) {
  TrafficRates::Row row;
  row.workload = "a-namespace/a-workload-of-it";
  row.peer = "another-namespace/another-workload";
  const std::string text = MakeTrafficTable({row}, v1::TopRequest::PEER, 70).ToString();
  EXPECT_EQ(text,
            "WORKLOAD          PACKETS/S  BYTES/S  DROPS/S  FLOWS  PEER\n"
            "..workload-of-it        0.0        0      0.0      0  ..other-workload\n");
}

TEST(CutFront, KeepsTheEndAndWholeCharacters) {
  EXPECT_EQ(CutFront("/usr/bin/curl", 13), "/usr/bin/curl");
  EXPECT_EQ(CutFront("/usr/bin/curl", 6), "..curl");
  EXPECT_EQ(CutFront("a\xc3\xa9z", 3), "..z");
  EXPECT_EQ(CutFront("abc", 1), ".");
}

}  // namespace
}  // namespace sluice::client
