#include "ctrl/web/service_map.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/time_util.h>
#include <gtest/gtest.h>

#include "telemetry/event/event_time.h"
#include "tests/unit/api/world.h"
#include "tests/unit/telemetry_hubble/flows.h"

namespace sluice::web {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kBegin = 1'770'000'000;  // seconds since 1970

// From `begin` to `last`, seconds after kBegin.
v1::Flow FlowAt(std::int64_t begin, std::int64_t last, const std::string& id) {
  v1::Flow flow = telemetry::WebToDb();
  *flow.mutable_start_time() = google::protobuf::util::TimeUtil::NanosecondsToTimestamp((kBegin + begin) * kSecond);
  *flow.mutable_time() = google::protobuf::util::TimeUtil::NanosecondsToTimestamp((kBegin + last) * kSecond);
  flow.set_flow_id(id);
  return flow;
}

ServiceMapBuilder BuilderOf(std::int64_t from, std::int64_t until, ServiceMapBuilder::Limits limits = {}) {
  return {{.from_ns = (kBegin + from) * kSecond, .until_ns = (kBegin + until) * kSecond}, limits};
}

TEST(ServiceMap, FlowsOfOneKindAreOneEdge) {
  ServiceMapBuilder builder = BuilderOf(0, 60);
  builder.Add(FlowAt(1, 2, "a"));
  builder.Add(FlowAt(3, 9, "b"));
  v1::Flow dropped = FlowAt(4, 4, "c");
  dropped.set_verdict(v1::Flow::DROPPED);
  dropped.set_drop_reason("POLICY_DENIED");
  builder.Add(dropped);
  const ServiceMap map = builder.Take();
  ASSERT_THAT(map.nodes(), SizeIs(2));
  EXPECT_EQ(map.nodes(0).id(), "shop/web-0");
  EXPECT_EQ(map.nodes(0).owner().name(), "web");
  EXPECT_FALSE(map.nodes(0).local()) << "no workload of this node's snapshot";
  ASSERT_THAT(map.edges(), SizeIs(2));
  EXPECT_EQ(map.edges(0).from_program(), "/usr/bin/psql");
  EXPECT_EQ(map.edges(0).to_program(), "/usr/lib/postgres");
  EXPECT_EQ(map.edges(0).port(), 5432U);
  EXPECT_EQ(map.edges(0).flows(), 2U);
  EXPECT_EQ(map.edges(0).bytes(), 120U);
  EXPECT_EQ(telemetry::NanosecondsOf(map.edges(0).last()), (kBegin + 9) * kSecond);
  EXPECT_THAT(map.edges(0).policies(), SizeIs(1));
  EXPECT_EQ(map.edges(1).drop_reason(), "POLICY_DENIED");
  EXPECT_EQ(map.flows(), 3U);
  EXPECT_EQ(telemetry::NanosecondsOf(map.oldest()), (kBegin + 1) * kSecond);
}

TEST(ServiceMap, AFlowIsInEachSpanThatItTouches) {
  const auto flows_in = [](std::int64_t from, std::int64_t until) {
    ServiceMapBuilder builder = BuilderOf(from, until);
    builder.Add(FlowAt(10, 20, "a"));
    return builder.Take().flows();
  };
  EXPECT_EQ(flows_in(0, 9), 0U);
  EXPECT_EQ(flows_in(0, 10), 1U);
  EXPECT_EQ(flows_in(12, 15), 1U);
  EXPECT_EQ(flows_in(20, 30), 1U);
  EXPECT_EQ(flows_in(21, 30), 0U);
}

TEST(ServiceMap, OneFlowIsCountedOnce) {
  ServiceMapBuilder builder = BuilderOf(0, 60);
  v1::Flow flow = FlowAt(1, 5, "a");
  flow.mutable_backward()->set_bytes(1000);
  builder.Add(flow);
  builder.Add(FlowAt(1, 2, "a"));  // an older record
  flow.mutable_backward()->set_bytes(3000);
  builder.Add(flow);
  const ServiceMap map = builder.Take();
  ASSERT_THAT(map.edges(), SizeIs(1));
  EXPECT_EQ(map.edges(0).flows(), 1U);
  EXPECT_EQ(map.edges(0).bytes(), 3060U);
}

TEST(ServiceMap, EndsOutside) {
  ServiceMapBuilder builder = BuilderOf(0, 60);
  for (int i = 0; i < 3; ++i) {
    v1::Flow in = FlowAt(1, 2, "in" + std::to_string(i));
    in.mutable_source()->Clear();
    in.mutable_source()->set_entity("world");
    in.mutable_ip()->set_source("192.0.2." + std::to_string(i));
    builder.Add(in);
    v1::Flow out = FlowAt(1, 2, "out" + std::to_string(i));
    out.mutable_destination()->Clear();
    out.mutable_destination()->set_entity("world");
    out.mutable_ip()->set_destination("198.51.100." + std::to_string(i));
    builder.Add(out);
  }
  std::vector<std::string> ids;
  const ServiceMap map = builder.Take();
  for (const auto& node : map.nodes()) ids.push_back(node.id());
  std::sort(ids.begin(), ids.end());
  EXPECT_THAT(ids, ElementsAre("198.51.100.0", "198.51.100.1", "198.51.100.2", "bank/db-0", "shop/web-0", "world"));
}

TEST(ServiceMap, IsBounded) {
  ServiceMapBuilder builder = BuilderOf(0, 60, {.nodes = 3, .edges = 2});
  for (std::uint32_t port = 1; port <= 5; ++port) {
    v1::Flow flow = FlowAt(1, 2, std::to_string(port));
    flow.mutable_l4()->set_destination_port(port);
    builder.Add(flow);
  }
  for (int i = 0; i < 4; ++i) {
    v1::Flow flow = FlowAt(1, 2, "w" + std::to_string(i));
    flow.mutable_source()->set_workload("w" + std::to_string(i));
    builder.Add(flow);
  }
  const ServiceMap map = builder.Take();
  EXPECT_THAT(map.nodes(), SizeIs(3));
  EXPECT_THAT(map.edges(), SizeIs(2));
  EXPECT_EQ(map.flows(), 9U);
  EXPECT_EQ(map.left_out(), 7U);
}

TEST(ServiceMap, LocalWorkloadsWithoutFlows) {
  const reconcile::View view = api::MakeView();
  ServiceMapBuilder builder = BuilderOf(0, 60);
  builder.AddWorkloads(*view.compiled.snapshot, {.workloads = {{"shop", "web-0"}}, .allow = {}});
  const ServiceMap map = builder.Take();
  ASSERT_THAT(map.nodes(), SizeIs(1)) << "the others are not enforced on here";
  EXPECT_EQ(map.nodes(0).id(), "shop/web-0");
  EXPECT_TRUE(map.nodes(0).local());
  EXPECT_TRUE(map.nodes(0).quarantined());
  EXPECT_FALSE(map.has_oldest());
}

}  // namespace
}  // namespace sluice::web
