// Flow events in, responses to a client out.
#include "telemetry/hubble/hubble_query.h"

#include <gmock/gmock.h>

#include "tests/unit/telemetry_hubble/flows.h"

namespace sluice::telemetry {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

EventPtr LossOf(const std::string& type, std::uint64_t count) {
  auto event = std::make_shared<v1::Event>();
  event->mutable_lost()->set_cause("RING_FULL");
  event->mutable_lost()->set_event(type);
  event->mutable_lost()->set_count(count);
  return event;
}

EventPtr FlowTo(std::uint32_t port, v1::Flow::Kind kind = v1::Flow::UPDATE) {
  v1::Flow flow = WebToDb();
  flow.set_event(kind);
  flow.mutable_l4()->set_destination_port(port);
  return EventOf(std::move(flow));
}

std::vector<observer::GetFlowsResponse> Ask(const HubbleFlows& flows, const observer::GetFlowsRequest& request,
                                            const HubbleQuery::Complete& complete = {}) {
  std::vector<observer::GetFlowsResponse> responses;
  const auto query = HubbleQuery::Make(request);
  EXPECT_TRUE(query.ok()) << query.status();
  if (!query.ok()) return responses;
  query->Run(
      flows, complete,
      [&](const observer::GetFlowsResponse& response) {
        responses.push_back(response);
        return true;
      },
      [] { return false; });
  return responses;
}

std::vector<int> PortsOf(const std::vector<observer::GetFlowsResponse>& responses) {
  std::vector<int> ports;
  for (const auto& response : responses)
    ports.push_back(response.has_flow() ? static_cast<int>(response.flow().l4().tcp().destination_port()) : -1);
  return ports;
}

TEST(HubbleQuery, EveryPartOfAnEventIsAFlow) {
  HubbleFlows flows({}, Node1());
  flows.Push(FlowTo(1, v1::Flow::NEW));
  flows.Push(FlowTo(1, v1::Flow::UPDATE));
  flows.Push(FlowTo(1, v1::Flow::END));
  const auto responses = Ask(flows, {});
  ASSERT_EQ(responses.size(), 3U);
  EXPECT_EQ(responses[0].flow().event_type().type(), 5);
  EXPECT_EQ(responses[1].flow().event_type().type(), 4);
  EXPECT_EQ(responses[1].node_name(), "node-1");
  EXPECT_EQ(responses[1].time().seconds(), 1772600767);
  EXPECT_EQ(responses[2].flow().trace_reason(), flow::ESTABLISHED);
}

TEST(HubbleQuery, UuidsAreOfOneFlowAndTheSameForEveryReader) {
  HubbleFlows flows({}, Node1());
  flows.Push(FlowTo(1, v1::Flow::NEW));
  flows.Push(FlowTo(2));
  const auto first = Ask(flows, {}), second = Ask(flows, {});
  ASSERT_EQ(first.size(), 3U);
  std::set<std::string> uuids;
  for (std::size_t i = 0; i < first.size(); ++i) {
    EXPECT_EQ(first[i].flow().uuid(), second[i].flow().uuid());
    uuids.insert(first[i].flow().uuid());
    EXPECT_THAT(first[i].flow().uuid(),
                ::testing::MatchesRegex("[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"));
  }
  EXPECT_EQ(uuids.size(), 3U);
  observer::GetFlowsRequest request;
  request.add_whitelist()->add_uuid(first[2].flow().uuid());
  EXPECT_THAT(PortsOf(Ask(flows, request)), ElementsAre(2));
  HubbleFlows others({}, Node1());
  others.Push(FlowTo(1, v1::Flow::NEW));
  EXPECT_FALSE(uuids.contains(Ask(others, {})[0].flow().uuid())) << "another agent, or another start";
}

TEST(HubbleQuery, TheLastOnesThatMatch) {
  HubbleFlows flows({}, Node1());
  for (std::uint32_t port = 1; port <= 20; ++port) flows.Push(FlowTo(port % 2 == 0 ? 5432 : port));
  observer::GetFlowsRequest request;
  request.set_number(2);
  EXPECT_THAT(PortsOf(Ask(flows, request)), ElementsAre(19, 5432));
  request.add_blacklist()->add_destination_port("5432");
  EXPECT_THAT(PortsOf(Ask(flows, request)), ElementsAre(17, 19));
  request.add_whitelist()->add_destination_port("3");
  EXPECT_THAT(PortsOf(Ask(flows, request)), ElementsAre(3));
}

TEST(HubbleQuery, LossesOfFlowsStandWhereTheyHappened) {
  HubbleFlows flows({}, Node1());
  flows.Push(FlowTo(1));
  flows.Push(LossOf("", 3));
  flows.Push(LossOf("exec", 5));
  flows.Push(LossOf("flow", 4));
  flows.Push(FlowTo(2));
  observer::GetFlowsRequest request;
  request.add_whitelist()->add_destination_port("2");
  const auto responses = Ask(flows, request);
  EXPECT_THAT(PortsOf(responses), ElementsAre(-1, -1, 2)) << "a filter does not hide losses";
  EXPECT_EQ(responses[0].lost_events().num_events_lost(), 3U);
  EXPECT_EQ(responses[0].lost_events().source(), flow::PERF_EVENT_RING_BUFFER);
  EXPECT_EQ(responses[1].lost_events().num_events_lost(), 4U);
}

TEST(HubbleQuery, TheMaskIsOfEitherField) {
  HubbleFlows flows({}, Node1());
  flows.Push(FlowTo(1));
  observer::GetFlowsRequest request;
  EXPECT_TRUE(Ask(flows, request)[0].flow().has_extensions());
  request.mutable_experimental()->mutable_field_mask()->add_paths("verdict");
  flow::Flow only_verdict;
  only_verdict.set_verdict(flow::FORWARDED);
  EXPECT_EQ(Ask(flows, request)[0].flow().DebugString(), only_verdict.DebugString());
  request.mutable_field_mask()->add_paths("node_name");
  EXPECT_EQ(Ask(flows, request)[0].flow().verdict(), flow::VERDICT_UNKNOWN);
  EXPECT_EQ(Ask(flows, request)[0].flow().node_name(), "node-1");
  request.mutable_field_mask()->add_paths("no_such_field");
  EXPECT_EQ(HubbleQuery::Make(request).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(HubbleQuery, WhatBecameKnownLaterIsInTheExtensions) {
  HubbleFlows flows({}, Node1());
  flows.Push(FlowTo(1));
  const auto responses = Ask(flows, {}, [](const EventPtr& event) {
    v1::Flow flow = event->flow();
    flow.mutable_source()->mutable_process()->set_container_name("server");
    return EventOf(std::move(flow));
  });
  EXPECT_NE(responses[0].flow().extensions().value().find("server"), std::string::npos);
}

TEST(HubbleFlows, StatusCountsFlows) {
  HubbleFlows flows({.max_entries = 4}, Node1());
  const auto start = HubbleFlows::Clock::now();
  for (int i = 0; i < 10; ++i) flows.Push(FlowTo(1), start + seconds(1));
  const auto status = flows.Status(start + seconds(10));
  EXPECT_EQ(status.seen_flows(), 10U);
  EXPECT_EQ(status.num_flows(), 4U);
  EXPECT_EQ(status.max_flows(), 4U);
  EXPECT_EQ(status.version(), "sluice 1.2.3");
  EXPECT_GE(status.uptime_ns(), 9'000'000'000U);
  EXPECT_NEAR(status.flows_rate(), 1.0, 0.05) << "of the time that there was";
  EXPECT_NEAR(flows.Status(start + seconds(59)).flows_rate(), 10.0 / 59, 0.01);
  EXPECT_EQ(flows.Status(start + seconds(70)).flows_rate(), 0);
}

TEST(HubbleFlows, NamespacesOfTheLastHour) {
  HubbleFlows flows({}, Node1());
  const auto start = HubbleFlows::Clock::now();
  flows.Push(FlowTo(1), start);
  v1::Flow other = WebToDb();
  other.mutable_source()->set_namespace_("dev");
  other.mutable_destination()->Clear();
  flows.Push(EventOf(std::move(other)), start + std::chrono::minutes(50));
  const auto names = [&](HubbleFlows::Clock::time_point now) {
    std::vector<std::string> found;
    const observer::GetNamespacesResponse response = flows.Namespaces(now);
    for (const auto& one : response.namespaces()) found.push_back(one.cluster() + "/" + one.namespace_());
    return found;
  };
  EXPECT_THAT(names(start + seconds(1)), ElementsAre("default/bank", "default/dev", "default/shop"));
  EXPECT_THAT(names(start + std::chrono::minutes(61)), ElementsAre("default/dev"));
  EXPECT_THAT(names(start + std::chrono::hours(3)), IsEmpty());
}

TEST(HubbleFlows, MemoryIsBounded) {
  HubbleFlows flows({.max_entries = 1000, .max_bytes = 1U << 20}, Node1());
  v1::Flow flow = WebToDb();
  flow.mutable_source()->mutable_process()->add_arguments(std::string(1U << 16, 'x'));
  for (int i = 0; i < 100; ++i) flows.Push(EventOf(flow));
  EXPECT_LT(flows.ring().size(), 40U) << "parts of less than 17 events of 64 KiB";
  EXPECT_EQ(flows.Status().seen_flows(), 200U);
}

}  // namespace
}  // namespace sluice::telemetry
