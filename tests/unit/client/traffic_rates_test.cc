#include "ctrl/sluice/traffic_rates.h"

#include <fmt/format.h>

#include "tests/unit/client/messages.h"

namespace sluice::client {
namespace {

using namespace std::chrono_literals;

v1::Flow Flow(std::uint64_t packets, std::uint64_t bytes, v1::Flow::Verdict verdict = v1::Flow::FORWARDED,
              std::uint32_t port = 80) {
  v1::Flow flow;
  flow.set_flow_id(fmt::format("{}-{}", port, verdict));
  flow.set_verdict(verdict);
  flow.mutable_ip()->set_source("10.1.0.2");
  flow.mutable_l4()->set_destination_port(port);
  flow.mutable_source()->set_namespace_("shop");
  flow.mutable_source()->set_workload("web");
  flow.mutable_source()->mutable_process()->set_binary("/usr/bin/curl");
  flow.mutable_destination()->set_namespace_("shop");
  flow.mutable_destination()->set_workload("db");
  flow.mutable_forward()->set_packets(packets);
  flow.mutable_forward()->set_bytes(bytes);
  return flow;
}

std::string Shown(const std::vector<TrafficRates::Row>& rows) {
  std::string text;
  for (const auto& row : rows) text += TrafficJson(row) + "\n";
  return text;
}

TEST(TrafficRates, GrowthOfFlowsForBothEndsAndTheirPrograms) {
  TrafficRates rates;
  const TrafficRates::Clock::time_point start{1h};
  EXPECT_TRUE(rates.Update({Flow(100, 1000)}, start).empty());
  const auto rows = rates.Update({Flow(120, 3000), Flow(5, 300, v1::Flow::DROPPED, 81)}, start + 2s);
  EXPECT_EQ(Shown(rows),
            R"({"workload":"shop/db","packetsPerSecond":10.0,"bytesPerSecond":1000.0,"dropsPerSecond":2.5})"
            "\n"
            R"({"workload":"shop/web","packetsPerSecond":10.0,"bytesPerSecond":1000.0,"dropsPerSecond":2.5})"
            "\n"
            R"({"workload":"shop/web","binary":"/usr/bin/curl","packetsPerSecond":10.0,"bytesPerSecond":1000.0,)"
            R"("dropsPerSecond":2.5})"
            "\n");
  EXPECT_EQ(MakeTrafficTable(rows).ToString(),
            "WORKLOAD  PACKETS/S  BYTES/S  DROPS/S  PROGRAM\n"
            "shop/db        10.0     1000      2.5  (all)\n"
            "shop/web       10.0     1000      2.5  (all)\n"
            "shop/web       10.0     1000      2.5  /usr/bin/curl\n");
}

TEST(TrafficRates, FlowThatBeganAgainCountsFromItsStart) {
  TrafficRates rates;
  const TrafficRates::Clock::time_point start{1h};
  rates.Update({Flow(100, 1000)}, start);
  EXPECT_EQ(rates.Update({Flow(4, 40)}, start + 1s).front().packets, 4);
  auto later = Flow(6, 60);
  later.set_flow_id("another");
  EXPECT_EQ(rates.Update({later}, start + 2s).front().packets, 6);
}

TEST(TrafficRates, IdleFlowHasNone) {
  TrafficRates rates;
  const TrafficRates::Clock::time_point start{1h};
  auto flow = Flow(100, 1000);
  rates.Update({flow}, start);
  flow.mutable_start_time()->set_nanos(1);  // whatever it says
  EXPECT_EQ(rates.Update({flow}, start + 1s).front().packets, 0);
  EXPECT_EQ(rates.Update({}, start + 2s).size(), 0U);
  EXPECT_EQ(rates.Update({flow}, start + 3s).front().packets, 0) << "one listing missed it";
}

TEST(TrafficRates, BusiestWorkloadFirstWithItsProgramsBelow) {
  TrafficRates rates;
  const TrafficRates::Clock::time_point start{1h};
  rates.Update({}, start);
  auto busy = Flow(10, 100000, v1::Flow::FORWARDED, 82);
  busy.mutable_source()->set_workload("zeta");
  busy.clear_destination();
  const auto rows = rates.Update({Flow(1, 10), busy}, start + 1s);
  ASSERT_EQ(rows.size(), 5U);
  EXPECT_EQ(rows[0].workload, "shop/zeta");
  EXPECT_EQ(rows[0].binary, "");
  EXPECT_EQ(rows[1].workload, "shop/zeta");
  EXPECT_EQ(rows[1].binary, "/usr/bin/curl");
}

}  // namespace
}  // namespace sluice::client
