#include "telemetry/telemetry.h"

#include "tests/unit/telemetry/http_get.h"
#include "tests/unit/telemetry/scene.h"

namespace sluice::telemetry {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class TelemetryTest : public ::testing::Test {
 protected:
  TelemetryOptions Options(const std::string& address = "127.0.0.1:0") {
    return {.node = "node-1",
            .version = "1",
            .metrics_address = address,
            .collector = {.poll_interval = 1ms, .sweep_interval = 1ms},
            .clock = scene_.clock.reader()};
  }
  TelemetrySources Sources() {
    return {.datapath = &scene_.datapath,
            .policy = scene_.policy(),
            .revision = [] { return std::uint64_t{1}; },
            .unbound_workloads = [] { return std::size_t{0}; },
            .closed = [this] { return closed_; },
            .quarantined_workloads = [] { return std::size_t{0}; },
            .ready = [this] { return ready_.load(); },
            .holding = [this] { return holding_; },
            .send_flow_events = [this](bool on) { switched_.push_back(on); }};
  }

  Scene scene_;
  std::atomic<bool> ready_ = false;
  std::string holding_;
  std::vector<std::string> closed_;
  std::vector<bool> switched_;
};

TEST_F(TelemetryTest, ServesMetricsAndHealth) {
  Telemetry telemetry(Options(), Sources());
  ASSERT_TRUE(telemetry.Start().ok());
  EXPECT_EQ(HttpGet(telemetry.metrics_port(), "/healthz").code, 200);
  EXPECT_EQ(HttpGet(telemetry.metrics_port(), "/readyz").code, 503);
  EXPECT_EQ(HttpGet(telemetry.metrics_port(), "/metrics").code, 503);
  ready_ = true;
  EXPECT_EQ(HttpGet(telemetry.metrics_port(), "/readyz").code, 200);
  const HttpAnswer metrics = HttpGet(telemetry.metrics_port(), "/metrics");
  EXPECT_EQ(metrics.code, 200);
  EXPECT_THAT(metrics.headers, HasSubstr("text/plain; version=0.0.4"));
  EXPECT_THAT(metrics.body, HasSubstr("sluice_policy_revision 1\n"));
}

TEST_F(TelemetryTest, WhatIsClosedIsSaidAndIsNoReasonToBeTakenOutOfService) {
  Telemetry telemetry(Options(), Sources());
  ready_ = true;
  closed_ = {"shop/db-0: no interface v-db"};
  ASSERT_TRUE(telemetry.Start().ok());
  const HttpAnswer one = HttpGet(telemetry.metrics_port(), "/readyz");
  EXPECT_EQ(one.code, 200);
  EXPECT_EQ(one.body, "ready\nclosed: shop/db-0: no interface v-db\n");
  closed_.assign(25, "a/b: x");
  EXPECT_THAT(HttpGet(telemetry.metrics_port(), "/readyz").body, ::testing::EndsWith("\nand 5 more are closed\n"));
}

TEST_F(TelemetryTest, WhileItHoldsItSaysWhyAndCounts) {
  Telemetry telemetry(Options(), Sources());
  ready_ = true;
  holding_ = "the saved state is damaged";
  ASSERT_TRUE(telemetry.Start().ok());
  const HttpAnswer ready = HttpGet(telemetry.metrics_port(), "/readyz");
  EXPECT_EQ(ready.code, 503);
  EXPECT_EQ(ready.body, "holding: the saved state is damaged\n");
  const HttpAnswer metrics = HttpGet(telemetry.metrics_port(), "/metrics");
  EXPECT_EQ(metrics.code, 200);
  EXPECT_THAT(metrics.body, HasSubstr("sluice_ready 0\n"));
  EXPECT_THAT(metrics.body, HasSubstr("sluice_holding 1\n"));
}

TEST_F(TelemetryTest, WhatOthersChangedIsCountedAndWhatCannotBePutBackIsNotReady) {
  Telemetry telemetry(Options(), Sources());
  ASSERT_TRUE(telemetry.Start().ok());
  ready_ = true;
  datapath::Integrity integrity{.repairs = {3}, .problem = "tc_to_pod at veth0: no such device"};
  scene_.datapath.SetIntegrity(integrity);
  const HttpAnswer damaged = HttpGet(telemetry.metrics_port(), "/readyz");
  EXPECT_EQ(damaged.code, 503);
  EXPECT_EQ(damaged.body, "enforcement is damaged: tc_to_pod at veth0: no such device\n");
  std::string metrics = HttpGet(telemetry.metrics_port(), "/metrics").body;
  EXPECT_THAT(metrics, HasSubstr("sluice_ready 0\n"));
  EXPECT_THAT(metrics, HasSubstr("sluice_repairs_total{what=\"attachment\"} 3\n"));
  integrity.problem.clear();
  scene_.datapath.SetIntegrity(integrity);
  EXPECT_EQ(HttpGet(telemetry.metrics_port(), "/readyz").code, 200);
  metrics = HttpGet(telemetry.metrics_port(), "/metrics").body;
  EXPECT_THAT(metrics, HasSubstr("sluice_ready 1\n"));
}

TEST_F(TelemetryTest, FlowEventsAreSentOnlyWhileSomebodyFollows) {
  Telemetry telemetry(Options(), Sources());
  ASSERT_TRUE(telemetry.Start().ok());
  EXPECT_THAT(switched_, ElementsAre());
  auto following = telemetry.hub().Subscribe({});
  EXPECT_THAT(switched_, ElementsAre(true));
  scene_.datapath.AddEvent(scene_.Event(scene_.Record("shop/web", "shop/db", "80/TCP"), SL_FLOW_NEW));
  const EventPtr event = (*following)->Next(1min);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->flow().node(), "node-1");
  following->reset();
  EXPECT_THAT(switched_, ElementsAre(true, false));
}

TEST_F(TelemetryTest, WithoutAnAddressNothingIsServed) {
  Telemetry telemetry(Options(""), Sources());
  ASSERT_TRUE(telemetry.Start().ok());
  EXPECT_EQ(telemetry.metrics_port(), 0);
}

TEST_F(TelemetryTest, WrongAddressStartsNothing) {
  Telemetry telemetry(Options("nowhere"), Sources());
  EXPECT_EQ(telemetry.Start().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(TelemetryTest, StopEndsFollowersAndCanBeRepeated) {
  Telemetry telemetry(Options(), Sources());
  ASSERT_TRUE(telemetry.Start().ok());
  const auto following = telemetry.hub().Subscribe({});
  telemetry.Stop();
  telemetry.Stop();
  EXPECT_EQ((*following)->Next(1min), nullptr);
}

}  // namespace
}  // namespace sluice::telemetry
