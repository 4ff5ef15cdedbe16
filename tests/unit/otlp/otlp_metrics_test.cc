// Metrics to a collector.
#include "ctrl/otlp/otlp_metrics.h"

#include <gmock/gmock.h>
#include <prometheus/metric_family.h>

#include <limits>
#include <thread>

#include "telemetry/metrics/otlp_families.h"
#include "tests/unit/otlp/events.h"
#include "tests/unit/otlp/otlp_collector.h"
#include "tests/unit/otlp/wire_reader.h"

namespace sluice::otlp {
namespace {

using namespace std::chrono_literals;
using telemetry::Families;
using test::Eventually;
using test::OtlpCollector;
using test::WireReader;

Families Sample() {
  using Type = prometheus::MetricType;
  Families families(3);
  families[0] = {.name = "sluice_packets_total", .help = "Packets.", .type = Type::Counter};
  for (int i = 0; i < 5; ++i) {
    prometheus::ClientMetric series;
    series.label = {{"verdict", "DROPPED"}, {"hook", std::to_string(i)}};
    series.counter.value = 10.0 + i;
    families[0].metric.push_back(series);
  }
  families[1] = {.name = "process_resident_memory_bytes", .help = "Memory.", .type = Type::Gauge};
  families[1].metric.resize(1);
  families[1].metric[0].gauge.value = 0;
  families[2] = {.name = "sluice_policy_apply_duration_seconds", .help = "Time.", .type = Type::Histogram};
  families[2].metric.resize(1);
  prometheus::ClientMetric::Histogram& histogram = families[2].metric[0].histogram;
  histogram.sample_count = 7;
  histogram.sample_sum = 3.5;
  histogram.bucket = {{2, 0.1}, {6, 1.0}, {7, std::numeric_limits<double>::infinity()}};
  return families;
}

const telemetry::OtlpResource kResource{.node = "node-1", .version = "1.2.3"};

// All metrics of a request, by name.
std::map<std::string, WireReader> MetricsOf(const std::string& body) {
  std::map<std::string, WireReader> metrics;
  const WireReader resource = WireReader(body).All(1).front();
  const WireReader scope = resource.All(2).front();
  EXPECT_EQ(scope.All(1).front().Text(1), "sluice.dev/sluiced");
  for (const WireReader& metric : scope.All(2)) metrics.emplace(metric.Text(1), metric);
  return metrics;
}

TEST(OtlpMetricsWire, CountersGaugesAndHistograms) {
  const auto requests = telemetry::MakeMetricRequests(Sample(), kResource, 77, 100);
  ASSERT_EQ(requests.size(), 1U);
  EXPECT_EQ(CountItems(requests[0]), 7U);
  const auto metrics = MetricsOf(requests[0].SerializeAsString());
  ASSERT_EQ(metrics.size(), 3U);

  const WireReader& packets = metrics.at("sluice_packets_total");
  EXPECT_EQ(packets.Text(2), "Packets.");
  EXPECT_FALSE(packets.Has(3)) << "no unit";
  ASSERT_TRUE(packets.Has(7)) << "a sum";
  const WireReader sum = packets.All(7).front();
  EXPECT_EQ(sum.Number(2), 2U) << "cumulative";
  EXPECT_EQ(sum.Number(3), 1U) << "monotonic";
  ASSERT_EQ(sum.All(1).size(), 5U);
  const WireReader point = sum.All(1)[1];
  EXPECT_FALSE(point.Has(2)) << "since when it counts is not known";
  EXPECT_EQ(point.Number(3, WireReader::kFixed64), 77U);
  EXPECT_EQ(point.Double(4), 11.0);
  ASSERT_EQ(point.All(7).size(), 2U);
  EXPECT_EQ(point.All(7)[1].Text(1), "hook");
  EXPECT_EQ(point.All(7)[1].All(2).front().Text(1), "1");

  const WireReader& memory = metrics.at("process_resident_memory_bytes");
  EXPECT_EQ(memory.Text(3), "By");
  ASSERT_TRUE(memory.Has(5)) << "a gauge";
  EXPECT_EQ(memory.All(5).front().All(1).front().Double(4), 0.0) << "0 is a value";

  const WireReader& apply = metrics.at("sluice_policy_apply_duration_seconds");
  EXPECT_EQ(apply.Text(3), "s");
  const WireReader histogram = apply.All(9).front();
  EXPECT_EQ(histogram.Number(2), 2U);
  const WireReader bucketed = histogram.All(1).front();
  EXPECT_EQ(bucketed.Number(4, WireReader::kFixed64), 7U);
  EXPECT_EQ(bucketed.Double(5), 3.5);
  EXPECT_EQ(bucketed.Packed64(6), (std::vector<std::uint64_t>{2, 4, 1})) << "each bucket by itself";
  EXPECT_EQ(bucketed.Packed64(7).size(), 2U);
}

TEST(OtlpMetricsWire, RequestsAreBounded) {
  const auto requests = telemetry::MakeMetricRequests(Sample(), kResource, 77, 2);
  ASSERT_EQ(requests.size(), 4U);
  std::uint64_t points = 0;
  for (const auto& request : requests) {
    EXPECT_LE(CountItems(request), 2U);
    points += CountItems(request);
    EXPECT_FALSE(MetricsOf(request.SerializeAsString()).empty());
  }
  EXPECT_EQ(points, 7U);
  EXPECT_TRUE(telemetry::MakeMetricRequests({}, kResource, 77, 2).empty());
}

TEST(OtlpMetricsSending, TheNewestValuesAreSentAndOldOnesGivenUp) {
  std::atomic<bool> is_away = true;
  OtlpCollector collector({.address = "127.0.0.1:0", .behave = [&](const auto&) {
                             return OtlpCollector::Answer{
                                 .status =
                                     is_away ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "away") : grpc::Status()};
                           }});
  auto sender = OtlpSender::Create({.endpoint = "http://127.0.0.1:" + collector.port()});
  ASSERT_TRUE(sender.ok()) << sender.status();
  std::atomic<std::uint64_t> reads = 0;
  const OtlpMetrics metrics(
      {.interval = 50ms, .pauses = {.first = 5ms, .longest = 10ms}}, *std::move(sender),
      [&](std::size_t max_points) { return telemetry::MakeMetricRequests(Sample(), kResource, ++reads, max_points); });
  ASSERT_TRUE(Eventually([&] { return metrics.Numbers().given_up >= 7; }));
  EXPECT_EQ(metrics.Numbers().sent, 0U);
  is_away = false;
  ASSERT_TRUE(Eventually([&] { return metrics.Numbers().sent >= 7; }));
  const auto request = collector.requests().back();
  EXPECT_EQ(request.path, "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export");
  EXPECT_EQ(MetricsOf(request.body).size(), 3U);
}

}  // namespace
}  // namespace sluice::otlp
