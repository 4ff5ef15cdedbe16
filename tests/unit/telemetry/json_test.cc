#include "telemetry/event/json.h"

#include <nlohmann/json.hpp>

#include "tests/unit/telemetry/scene.h"

namespace sluice::telemetry {
namespace {

using nlohmann::json;
using policy::PolicyYaml;

json FlowJson(const v1::Flow& flow) {
  v1::Event event;
  *event.mutable_flow() = flow;
  const StatusOr<std::string> text = EventToJson(event);
  EXPECT_TRUE(text.ok()) << text.status();
  EXPECT_EQ(text->find('\n'), std::string::npos) << "one object a line";
  return json::parse(*text);
}

TEST(Json, FlowIsAsTheContractSays) {
  Scene scene;
  scene.world.Apply(
      PolicyYaml("shop", "db", "podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: 5432}]}]"));
  FlowRecord record = scene.Answered("shop/web", "shop/db", "5432/TCP");
  record.entry.forward_packets = 12;
  record.entry.forward_bytes = (1ULL << 60U) + 1;
  record.entry.created_ns -= 2 * FakeClock::kSecond;
  record.entry.last_seen_ns -= 1;
  const json flow = FlowJson(scene.Assembler().Capture().Assemble(FromRecord(record)));
  const json expected = {
      {"time", "2023-11-16T01:59:59.999999999Z"},
      {"startTime", "2023-11-16T01:59:58Z"},
      {"node", "node-1"},
      {"type", "flow"},
      {"event", "UPDATE"},
      {"verdict", "FORWARDED"},
      {"direction", "EGRESS"},
      {"hook", "TC"},
      {"interface", "v-shop-web"},
      {"reply", false},
      {"ip", {{"version", 4}, {"source", "10.0.0.1"}, {"destination", "10.0.0.2"}}},
      {"l4", {{"protocol", "TCP"}, {"sourcePort", 40112}, {"destinationPort", 5432}, {"tcpFlags", {"SYN"}}}},
      {"source",
       {{"namespace", "shop"},
        {"workload", "web"},
        {"identity", record.entry.initiator.identity},
        {"labels", {{"app", "web"}, {"tier", "front"}}}}},
      {"destination",
       {{"namespace", "shop"},
        {"workload", "db"},
        {"identity", record.entry.responder.identity},
        {"labels", {{"app", "db"}}}}},
      {"policies", json::array({{{"kind", "NetworkPolicy"},
                                 {"apiVersion", "networking.k8s.io/v1"},
                                 {"namespace", "shop"},
                                 {"name", "db"},
                                 {"rule", "ingress[0]"},
                                 {"effect", "ALLOW"},
                                 {"direction", "INGRESS"}}})},
      {"forward", {{"packets", 12}, {"bytes", (1ULL << 60U) + 1}}},
      {"backward", {{"packets", 1}, {"bytes", 44}}},
  };
  EXPECT_EQ(flow, expected) << json::diff(expected, flow).dump(1);
}

TEST(Json, DropHasItsReasonAndADefaultDenyNoRule) {
  Scene scene;
  scene.world.Apply(PolicyYaml("shop", "db", "podSelector: {matchLabels: {app: db}}"));
  const json flow =
      FlowJson(scene.Assembler().Capture().Assemble(FromRecord(scene.Record("shop/web", "shop/db", "80/TCP"))));
  EXPECT_EQ(flow["verdict"], "DROPPED");
  EXPECT_EQ(flow["dropReason"], "POLICY_DENIED");
  EXPECT_EQ(flow["policies"][0]["effect"], "DEFAULT_DENY");
  EXPECT_FALSE(flow["policies"][0].contains("rule"));
}

TEST(Json, ZeroThatIsKnownIsThereAndWhatIsUnknownIsAbsent) {
  Scene scene;
  const json ping =
      FlowJson(scene.Assembler().Capture().Assemble(FromRecord(scene.Record("shop/web", "shop/db", "1"))));
  EXPECT_EQ(ping["l4"], (json{{"protocol", "ICMP"}, {"icmpType", 0}, {"icmpCode", 0}}));
  EXPECT_EQ(ping["backward"], (json{{"packets", 0}, {"bytes", 0}}));
  EXPECT_FALSE(ping.contains("dropReason"));
  EXPECT_FALSE(ping.contains("policies"));
  EXPECT_FALSE(ping["source"].contains("process"));
}

TEST(Json, TextStaysText) {
  const std::string like = R"(,"forward":{"packets":"1"},"count":"2")";
  v1::Flow flow;
  (*flow.mutable_source()->mutable_labels())["packets"] = "3";
  (*flow.mutable_source()->mutable_labels())["count"] = "4";
  (*flow.mutable_source()->mutable_labels())[like] = like;
  flow.mutable_source()->mutable_process()->add_arguments(like);
  flow.mutable_source()->mutable_process()->set_cgroup_id(5);
  flow.mutable_forward()->set_bytes(6);
  const json read = FlowJson(flow);
  EXPECT_EQ(read["source"]["labels"], (json{{"packets", "3"}, {"count", "4"}, {like, like}}));
  EXPECT_EQ(read["source"]["process"], (json{{"arguments", {like}}, {"cgroupId", "5"}}));
  EXPECT_EQ(read["forward"], (json{{"bytes", 6}}));
  v1::Event event;
  event.mutable_lost()->set_cause(like);
  event.mutable_lost()->set_count(7);
  event.mutable_lost()->set_cgroup_id(8);
  const json lost = json::parse(*EventToJson(event));
  EXPECT_EQ(lost, (json{{"cause", like}, {"count", 7}, {"cgroupId", "8"}}));
}

TEST(Json, Loss) {
  v1::Event event;
  event.mutable_lost()->set_type("lost");
  event.mutable_lost()->set_cause("RING_FULL");
  event.mutable_lost()->set_count(7);
  EXPECT_EQ(json::parse(*EventToJson(event)), (json{{"type", "lost"}, {"cause", "RING_FULL"}, {"count", 7}}));
}

TEST(Json, EventOfANewerAgentIsAnError) {
  EXPECT_EQ(EventToJson(v1::Event()).status().code(), absl::StatusCode::kUnimplemented);
}

}  // namespace
}  // namespace sluice::telemetry
