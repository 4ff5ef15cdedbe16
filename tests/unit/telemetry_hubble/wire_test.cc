// The numbers of Hubble's messages, written by hand from its API (github.com/cilium/cilium, api/v1, 1.19): a wrong
// number in our .proto files would go unnoticed between our own client and server.
#include <gtest/gtest.h>

#include "api/hubble_peer.pb.h"
#include "telemetry/hubble/hubble_agent_events.h"
#include "telemetry/hubble/hubble_extensions.h"
#include "telemetry/hubble/hubble_query.h"
#include "tests/unit/telemetry_hubble/flows.h"
#include "tests/unit/telemetry_hubble/wire.h"

namespace sluice::telemetry {
namespace {

using test::Wire;

std::string Hex(const std::string& bytes) {
  std::string text;
  for (const char c : bytes) text += fmt::format("{:02x} ", static_cast<unsigned char>(c));
  return text;
}

// Our messages are written in the order of their fields' numbers.
template <typename Message>
void ExpectBytes(const Message& message, const Wire& wire) {
  EXPECT_EQ(Hex(message.SerializeAsString()), Hex(wire.bytes())) << message.DebugString();
}

Wire Time(std::uint64_t seconds, std::uint64_t nanos) { return Wire().Number(1, seconds).Number(2, nanos); }

Wire WebEndpoint(std::uint32_t identity) {
  return Wire()
      .Number(2, identity)
      .Text(3, "shop")
      .Text(4, "k8s:app=web")
      .Text(4, "k8s:io.kubernetes.pod.namespace=shop")
      .Text(4, "k8s:tier=front")
      .Text(5, "web-0")
      .Message(6, Wire().Text(1, "web").Text(2, "Deployment"))
      .Text(7, "default");
}

Wire DbEndpoint(std::uint32_t identity) {
  return Wire()
      .Number(2, identity)
      .Text(3, "bank")
      .Text(4, "k8s:app=db")
      .Text(4, "k8s:io.kubernetes.pod.namespace=bank")
      .Text(5, "db-0")
      .Text(7, "default");
}

Wire DbPolicy(bool has_rule) {
  Wire policy = Wire()
                    .Text(1, "db")
                    .Text(2, "bank")
                    .Text(3, "k8s:io.cilium.k8s.policy.derived-from=NetworkPolicy")
                    .Text(3, "k8s:io.cilium.k8s.policy.name=db")
                    .Text(3, "k8s:io.cilium.k8s.policy.namespace=bank");
  if (has_rule) policy.Text(3, "sluice:rule=ingress[0]");
  return policy.Text(5, "NetworkPolicy");
}

TEST(HubbleWire, AForwardedPacket) {
  v1::Flow event = WebToDb();
  event.mutable_service()->set_namespace_("bank");
  event.mutable_service()->set_name("postgres");
  flow::Flow flow = ToHubbleFlow(event, HubblePart::kPacket, Node1());
  flow.set_uuid("u-1");
  ExpectBytes(
      flow, Wire()
                .Message(1, Time(1772600767, 123456789))
                .Number(2, 1)  // FORWARDED
                .Message(5, Wire().Text(1, "10.1.0.2").Text(2, "10.1.0.3").Number(3, 1))
                .Message(6, Wire().Message(1, Wire().Number(1, 40112).Number(2, 5432).Message(3, Wire().Number(2, 1))))
                .Message(8, WebEndpoint(flow.source().identity()))
                .Message(9, DbEndpoint(flow.destination().identity()))
                .Number(10, 1)  // L3_L4
                .Text(11, "node-1")
                .Message(19, Wire().Number(1, 4).Number(2, 5))  // trace, from-endpoint
                .Message(21, Wire().Text(1, "postgres").Text(2, "bank"))
                .Number(22, 2)        // EGRESS
                .Number(24, 5)        // FROM_ENDPOINT
                .Message(26, Wire())  // is_reply: known to be false
                .Message(28, Wire().Text(2, "veth-web"))
                .Text(34, "u-1")
                .Number(36, 1)  // NEW
                .Message(41, Wire().Text(1, "Sluice").Text(2, "sluice 1.2.3"))
                .Message(21002, DbPolicy(true))
                .Text(100000, "TCP Flags: SYN; from /usr/bin/psql to /usr/lib/postgres"));
}

TEST(HubbleWire, ADroppedPacketAndItsVerdict) {
  v1::Flow event = WebToDb();
  event.set_verdict(v1::Flow::DROPPED);
  event.set_drop_reason("POLICY_DENIED");
  event.set_direction(v1::Flow::INGRESS);
  event.clear_interface();
  event.clear_reply();
  event.mutable_policies(0)->set_effect(v1::PolicyRef::DEFAULT_DENY);
  event.mutable_policies(0)->clear_rule();
  event.mutable_source()->clear_process();
  event.mutable_destination()->clear_process();
  *event.mutable_l4() = test::FromJson<v1::Layer4>(R"({"protocol": "UDP", "sourcePort": 7, "destinationPort": 53})");
  const auto expected = [&](const flow::Flow& flow, const Wire& event_type) {
    return Wire()
        .Message(1, Time(1772600767, 123456789))
        .Number(2, 2)    // DROPPED
        .Number(3, 133)  // the old field of the reason
        .Message(5, Wire().Text(1, "10.1.0.2").Text(2, "10.1.0.3").Number(3, 1))
        .Message(6, Wire().Message(2, Wire().Number(1, 7).Number(2, 53)))
        .Message(8, WebEndpoint(flow.source().identity()))
        .Message(9, DbEndpoint(flow.destination().identity()))
        .Number(10, 1)
        .Text(11, "node-1")
        .Message(19, event_type)
        .Number(22, 1)    // INGRESS
        .Number(25, 133)  // POLICY_DENIED
        .Message(41, Wire().Text(1, "Sluice").Text(2, "sluice 1.2.3"))
        .Message(21005, DbPolicy(false))
        .Text(100000, "UDP");
  };
  const flow::Flow packet = ToHubbleFlow(event, HubblePart::kPacket, Node1());
  ExpectBytes(packet, expected(packet, Wire().Number(1, 1).Number(2, 133)));
  const flow::Flow verdict = ToHubbleFlow(event, HubblePart::kIngressVerdict, Node1());
  ExpectBytes(verdict, expected(verdict, Wire().Number(1, 5)));
}

TEST(HubbleWire, TheOtherPlacesOfAFlow) {
  v1::Flow event = WebToDb();
  event.set_reply(true);
  event.set_event(v1::Flow::UPDATE);
  event.mutable_service()->set_name("postgres");
  event.mutable_policies(0)->set_direction(v1::Flow::EGRESS);
  v1::PolicyRef& denying = *event.add_policies();
  denying = event.policies(0);
  denying.set_effect(v1::PolicyRef::DENY);
  const flow::Flow flow = ToHubbleFlow(event, HubblePart::kPacket, Node1());
  flow::Flow parsed;
  ASSERT_TRUE(parsed.ParseFromString(Wire()
                                         .Number(16, 1)
                                         .Message(20, Wire().Text(1, "postgres"))
                                         .Number(24, 101)
                                         .Message(26, Wire().Number(1, 1))
                                         .Number(36, 3)
                                         .Message(21001, DbPolicy(true))
                                         .Message(21004, DbPolicy(true))
                                         .bytes()));
  EXPECT_EQ(parsed.source_service().name(), flow.source_service().name());
  EXPECT_EQ(parsed.reply(), flow.reply());
  EXPECT_EQ(parsed.trace_observation_point(), flow.trace_observation_point());
  EXPECT_EQ(parsed.is_reply().value(), flow.is_reply().value());
  EXPECT_EQ(parsed.trace_reason(), flow.trace_reason());
  EXPECT_EQ(parsed.egress_allowed_by(0).DebugString(), flow.egress_allowed_by(0).DebugString());
  EXPECT_EQ(parsed.egress_denied_by_size(), flow.egress_denied_by_size());
}

TEST(HubbleWire, Layer4) {
  const auto l4 = [](const std::string& json) {
    v1::Flow event = WebToDb();
    *event.mutable_l4() = test::FromJson<v1::Layer4>(json);
    return ToHubbleFlow(event, HubblePart::kPacket, Node1()).l4();
  };
  ExpectBytes(l4(R"({"protocol": "ICMP", "icmpType": 3, "icmpCode": 1})"),
              Wire().Message(3, Wire().Number(1, 3).Number(2, 1)));
  ExpectBytes(l4(R"({"protocol": "ICMPv6", "icmpType": 128, "icmpCode": 9})"),
              Wire().Message(4, Wire().Number(1, 128).Number(2, 9)));
  ExpectBytes(l4(R"({"protocol": "SCTP", "sourcePort": 1, "destinationPort": 2})"),
              Wire().Message(5, Wire().Number(1, 1).Number(2, 2)));
  Wire flags;
  for (std::uint32_t bit = 1; bit <= 8; ++bit) flags.Number(bit, 1);
  ExpectBytes(l4(R"({"protocol": "TCP", "sourcePort": 1, "destinationPort": 2, "tcpFlags":
                  ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"]})"),
              Wire().Message(1, Wire().Number(1, 1).Number(2, 2).Message(3, flags)));
}

TEST(HubbleWire, Extensions) {
  flow::Flow flow;
  *flow.mutable_extensions() = ToHubbleExtensions({});
  flow::Flow parsed;
  ASSERT_TRUE(parsed.ParseFromString(
      Wire().Message(150000, Wire().Text(1, "type.googleapis.com/google.protobuf.Struct").Text(2, "")).bytes()));
  EXPECT_EQ(parsed.extensions().type_url(), flow.extensions().type_url());
}

TEST(HubbleWire, DropReasons) {
  for (const auto& [name, number] :
       std::map<std::string, int>{{"INVALID_SOURCE_IP", 132},
                                  {"POLICY_DENIED", 133},
                                  {"INVALID_PACKET_DROPPED", 134},
                                  {"CT_TRUNCATED_OR_INVALID_HEADER", 135},
                                  {"UNSUPPORTED_L3_PROTOCOL", 139},
                                  {"UNKNOWN_L3_TARGET_ADDRESS", 150},
                                  {"CT_MAP_INSERTION_FAILED", 155},
                                  {"INVALID_IPV6_EXTENSION_HEADER", 156},
                                  {"SERVICE_BACKEND_NOT_FOUND", 158},
                                  {"NO_CONFIGURATION_AVAILABLE_TO_PERFORM_POLICY_DECISION", 165},
                                  {"FIRST_LOGICAL_DATAGRAM_FRAGMENT_NOT_FOUND", 175},
                                  {"POLICY_DENY", 181},
                                  {"DROP_EP_NOT_READY", 203}}) {
    flow::DropReason reason = flow::DROP_REASON_UNKNOWN;
    EXPECT_TRUE(flow::DropReason_Parse(name, &reason)) << name;
    EXPECT_EQ(static_cast<int>(reason), number) << name;
  }
}

// Each field of a filter gets a value of its own, by its number; then it must be there by its name.
TEST(HubbleWire, TheFieldsOfAFilter) {
  const std::map<std::uint32_t, std::string> texts{{1, "source_ip"},
                                                   {2, "source_pod"},
                                                   {3, "destination_ip"},
                                                   {4, "destination_pod"},
                                                   {7, "source_fqdn"},
                                                   {8, "destination_fqdn"},
                                                   {9, "http_status_code"},
                                                   {10, "source_label"},
                                                   {11, "destination_label"},
                                                   {12, "protocol"},
                                                   {13, "source_port"},
                                                   {14, "destination_port"},
                                                   {16, "source_service"},
                                                   {17, "destination_service"},
                                                   {18, "dns_query"},
                                                   {21, "http_method"},
                                                   {22, "http_path"},
                                                   {24, "node_name"},
                                                   {28, "trace_id"},
                                                   {29, "uuid"},
                                                   {31, "http_url"},
                                                   {34, "source_ip_xlated"},
                                                   {36, "node_labels"},
                                                   {37, "source_cluster_name"},
                                                   {38, "destination_cluster_name"}};
  const std::map<std::uint32_t, std::string> numbers{{5, "verdict"},           {15, "reply"},
                                                     {19, "source_identity"},  {20, "destination_identity"},
                                                     {25, "ip_version"},       {30, "traffic_direction"},
                                                     {33, "drop_reason_desc"}, {39, "ip_trace_id"},
                                                     {40, "encrypted"}};
  const std::map<std::uint32_t, std::string> messages{
      {6, "event_type"},   {23, "tcp_flags"}, {26, "source_workload"}, {27, "destination_workload"},
      {32, "http_header"}, {35, "interface"}, {999, "experimental"}};
  EXPECT_EQ(static_cast<int>(texts.size() + numbers.size() + messages.size()),
            flow::FlowFilter::descriptor()->field_count());
  Wire wire;
  for (const auto& [number, name] : texts) wire.Text(number, name);
  for (const auto& [number, name] : numbers) wire.Number(number, 1);
  for (const auto& [number, name] : messages) wire.Message(number, {});
  flow::FlowFilter filter;
  ASSERT_TRUE(filter.ParseFromString(wire.bytes()));
  const auto& reflection = *filter.GetReflection();
  for (const auto& [number, name] : texts) {
    const auto* const field = flow::FlowFilter::descriptor()->FindFieldByName(name);
    ASSERT_NE(field, nullptr) << name;
    ASSERT_EQ(reflection.FieldSize(filter, field), 1) << name;
    EXPECT_EQ(reflection.GetRepeatedString(filter, field, 0), name);
  }
  std::vector<const google::protobuf::FieldDescriptor*> set;
  reflection.ListFields(filter, &set);
  std::map<std::uint32_t, std::string> found;
  for (const auto* const field : set) found[static_cast<std::uint32_t>(field->number())] = field->name();
  std::map<std::uint32_t, std::string> all = texts;
  all.insert(numbers.begin(), numbers.end());
  all.insert(messages.begin(), messages.end());
  EXPECT_EQ(found, all);

  ASSERT_TRUE(filter.ParseFromString(Wire()
                                         .Message(6, Wire().Number(1, 4).Number(2, 1).Number(3, 5))
                                         .Message(23, Wire().Number(2, 1).Number(5, 1))
                                         .Message(26, Wire().Text(1, "web").Text(2, "Deployment"))
                                         .Message(35, Wire().Number(1, 3).Text(2, "eth0"))
                                         .Message(999, Wire().Text(1, "true"))
                                         .bytes()));
  EXPECT_EQ(filter.event_type(0).type(), 4);
  EXPECT_TRUE(filter.event_type(0).match_sub_type());
  EXPECT_EQ(filter.event_type(0).sub_type(), 5);
  EXPECT_TRUE(filter.tcp_flags(0).syn() && filter.tcp_flags(0).ack());
  EXPECT_EQ(filter.source_workload(0).name(), "web");
  EXPECT_EQ(filter.source_workload(0).kind(), "Deployment");
  EXPECT_EQ(filter.interface(0).index(), 3U);
  EXPECT_EQ(filter.interface(0).name(), "eth0");
  EXPECT_EQ(filter.experimental().cel_expression(0), "true");
}

TEST(HubbleWire, Requests) {
  observer::GetFlowsRequest request;
  ASSERT_TRUE(request.ParseFromString(Wire()
                                          .Number(1, 20)
                                          .Number(3, 1)
                                          .Message(5, Wire().Text(2, "denied"))
                                          .Message(6, Wire().Text(2, "allowed"))
                                          .Message(7, Time(1, 2))
                                          .Message(8, Time(3, 4))
                                          .Number(9, 1)
                                          .Message(10, Wire().Text(1, "source.pod_name"))
                                          .Message(999, Wire().Message(1, Wire().Text(1, "verdict")))
                                          .bytes()));
  EXPECT_EQ(request.number(), 20U);
  EXPECT_TRUE(request.follow());
  EXPECT_TRUE(request.first());
  EXPECT_EQ(request.blacklist(0).source_pod(0), "denied");
  EXPECT_EQ(request.whitelist(0).source_pod(0), "allowed");
  EXPECT_EQ(request.since().nanos(), 2);
  EXPECT_EQ(request.until().seconds(), 3);
  EXPECT_EQ(request.field_mask().paths(0), "source.pod_name");
  EXPECT_EQ(request.experimental().field_mask().paths(0), "verdict");

  observer::GetAgentEventsRequest events;
  ASSERT_TRUE(events.ParseFromString(
      Wire().Number(1, 5).Number(2, 1).Message(7, Time(1, 0)).Message(8, Time(2, 0)).Number(9, 1).bytes()));
  EXPECT_EQ(events.number(), 5U);
  EXPECT_TRUE(events.follow() && events.first());
  EXPECT_EQ(events.since().seconds(), 1);
  EXPECT_EQ(events.until().seconds(), 2);
}

TEST(HubbleWire, Responses) {
  observer::GetFlowsResponse response;
  response.mutable_flow()->set_node_name("node-1");
  response.set_node_name("node-1");
  response.mutable_time()->set_seconds(7);
  ExpectBytes(response,
              Wire().Message(1, Wire().Text(11, "node-1")).Text(1000, "node-1").Message(1001, Wire().Number(1, 7)));
  v1::Lost lost;
  lost.set_cause("RING_FULL");
  lost.set_count(9);
  lost.set_cpu(3);
  lost.mutable_time()->set_seconds(7);
  observer::GetFlowsResponse losses;
  *losses.mutable_lost_events() = ToHubbleLoss(lost);
  ExpectBytes(losses, Wire().Message(3, Wire()
                                            .Number(1, 1)
                                            .Number(2, 9)
                                            .Message(3, Wire().Number(1, 3))
                                            .Message(4, Wire().Number(1, 7))
                                            .Message(5, Wire().Number(1, 7))));
  lost.set_cause("SUBSCRIBER_QUEUE_FULL");
  EXPECT_EQ(static_cast<int>(ToHubbleLoss(lost).source()), 2);
  EXPECT_EQ(static_cast<int>(flow::HUBBLE_RING_BUFFER), 3);

  observer::ServerStatusResponse status;
  status.set_num_flows(1);
  status.set_max_flows(2);
  status.set_seen_flows(3);
  status.set_uptime_ns(4);
  status.mutable_num_connected_nodes()->set_value(5);
  status.mutable_num_unavailable_nodes()->set_value(6);
  status.add_unavailable_nodes("seven");
  status.set_version("eight");
  ExpectBytes(status, Wire()
                          .Number(1, 1)
                          .Number(2, 2)
                          .Number(3, 3)
                          .Number(4, 4)
                          .Message(5, Wire().Number(1, 5))
                          .Message(6, Wire().Number(1, 6))
                          .Text(7, "seven")
                          .Text(8, "eight"));
  observer::ServerStatusResponse rate;
  rate.set_flows_rate(1);
  EXPECT_EQ(Hex(rate.SerializeAsString()), "49 00 00 00 00 00 00 f0 3f ") << "field 9, a double";

  observer::Node node;
  node.set_name("n");
  node.set_version("v");
  node.set_address("a");
  node.set_state(relay::NODE_CONNECTED);
  node.mutable_tls()->set_enabled(true);
  node.mutable_tls()->set_server_name("s");
  node.set_uptime_ns(6);
  node.set_num_flows(7);
  node.set_max_flows(8);
  node.set_seen_flows(9);
  observer::GetNodesResponse nodes;
  *nodes.add_nodes() = node;
  ExpectBytes(nodes, Wire().Message(1, Wire()
                                           .Text(1, "n")
                                           .Text(2, "v")
                                           .Text(3, "a")
                                           .Number(4, 1)
                                           .Message(5, Wire().Number(1, 1).Text(2, "s"))
                                           .Number(6, 6)
                                           .Number(7, 7)
                                           .Number(8, 8)
                                           .Number(9, 9)));
  observer::GetNamespacesResponse namespaces;
  observer::Namespace& one = *namespaces.add_namespaces();
  one.set_cluster("c");
  one.set_namespace_("n");
  ExpectBytes(namespaces, Wire().Message(1, Wire().Text(1, "c").Text(2, "n")));

  peer::ChangeNotification change;
  change.set_name("n");
  change.set_address("a");
  change.set_type(peer::PEER_ADDED);
  change.mutable_tls()->set_server_name("s");
  ExpectBytes(change, Wire().Text(1, "n").Text(2, "a").Number(3, 1).Message(4, Wire().Text(1, "s")));
}

TEST(HubbleWire, AgentEvents) {
  const auto change = test::FromJson<v1::Change>(
      R"({"time": "1970-01-01T00:00:07Z", "action": "apply", "revision": "5", "changes": [
          {"resource": {"kind": "NetworkPolicy", "namespace": "shop", "name": "db"}, "change": "CREATED"},
          {"resource": {"kind": "Workload", "namespace": "shop", "name": "db"}, "change": "CREATED"},
          {"resource": {"kind": "NetworkPolicy", "namespace": "shop", "name": "same"}, "change": "UNCHANGED"},
          {"resource": {"kind": "ClusterNetworkPolicy", "name": "all"}, "change": "REMOVED"}]})");
  const auto events = ToHubbleAgentEvents(change, "node-1");
  ASSERT_EQ(events.size(), 2U);
  ExpectBytes(events[0], Wire()
                             .Message(1, Wire().Number(1, 3).Message(
                                             102, Wire()
                                                      .Text(1, "k8s:io.cilium.k8s.policy.derived-from=NetworkPolicy")
                                                      .Text(1, "k8s:io.cilium.k8s.policy.name=db")
                                                      .Text(1, "k8s:io.cilium.k8s.policy.namespace=shop")
                                                      .Number(2, 5)
                                                      .Number(3, 1)))
                             .Text(1000, "node-1")
                             .Message(1001, Wire().Number(1, 7)));
  EXPECT_EQ(static_cast<int>(events[1].agent_event().type()), 4);
  v1::Change refused = change;
  refused.set_problem("no");
  EXPECT_TRUE(ToHubbleAgentEvents(refused, "node-1").empty());
  flow::AgentEvent started;
  ASSERT_TRUE(started.ParseFromString(Wire().Number(1, 2).Message(101, Wire().Message(1, Time(9, 0))).bytes()));
  EXPECT_EQ(started.type(), flow::AGENT_STARTED);
  EXPECT_EQ(started.agent_start().time().seconds(), 9);
}

}  // namespace
}  // namespace sluice::telemetry
