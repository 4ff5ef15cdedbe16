// Flow events as Hubble's clients see them.
#include "telemetry/hubble/hubble_flow.h"

#include <gmock/gmock.h>
#include <google/protobuf/struct.pb.h>

#include "telemetry/event/drop_reason.h"
#include "telemetry/hubble/hubble_drop_reason.h"
#include "telemetry/hubble/hubble_extensions.h"
#include "telemetry/hubble/hubble_identity.h"
#include "tests/unit/telemetry_hubble/flows.h"

namespace sluice::telemetry {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

flow::Flow Packet(const v1::Flow& flow) { return ToHubbleFlow(flow, HubblePart::kPacket, Node1()); }

std::vector<std::string> LabelsOf(const flow::Endpoint& endpoint) {
  return {endpoint.labels().begin(), endpoint.labels().end()};
}

v1::Flow Denied(v1::PolicyRef::Effect effect) {
  v1::Flow flow = WebToDb();
  flow.set_verdict(v1::Flow::DROPPED);
  flow.set_drop_reason("POLICY_DENIED");
  flow.set_direction(v1::Flow::INGRESS);
  flow.mutable_policies(0)->set_effect(effect);
  if (effect == v1::PolicyRef::DEFAULT_DENY) flow.mutable_policies(0)->clear_rule();
  return flow;
}

TEST(HubbleFlow, AnAllowedConnection) {
  const flow::Flow flow = HubbleWebToDb();
  EXPECT_EQ(flow.time().seconds(), 1772600767);
  EXPECT_EQ(flow.time().nanos(), 123456789);
  EXPECT_EQ(flow.verdict(), flow::FORWARDED);
  EXPECT_EQ(flow.node_name(), "node-1");
  EXPECT_EQ(flow.type(), flow::L3_L4);
  EXPECT_EQ(flow.ip().source(), "10.1.0.2");
  EXPECT_EQ(flow.ip().destination(), "10.1.0.3");
  EXPECT_EQ(flow.ip().ipversion(), flow::IPv4);
  EXPECT_EQ(flow.l4().tcp().source_port(), 40112U);
  EXPECT_EQ(flow.l4().tcp().destination_port(), 5432U);
  EXPECT_TRUE(flow.l4().tcp().flags().syn());
  EXPECT_FALSE(flow.l4().tcp().flags().ack());
  EXPECT_EQ(flow.source().namespace_(), "shop");
  EXPECT_EQ(flow.source().pod_name(), "web-0");
  EXPECT_EQ(flow.source().cluster_name(), "default");
  EXPECT_THAT(LabelsOf(flow.source()),
              ElementsAre("k8s:app=web", "k8s:io.kubernetes.pod.namespace=shop", "k8s:tier=front"));
  ASSERT_EQ(flow.source().workloads_size(), 1);
  EXPECT_EQ(flow.source().workloads(0).kind(), "Deployment");
  EXPECT_EQ(flow.source().workloads(0).name(), "web");
  EXPECT_EQ(flow.destination().pod_name(), "db-0");
  EXPECT_EQ(flow.destination().workloads_size(), 0) << "not known";
  EXPECT_EQ(flow.event_type().type(), 4);
  EXPECT_EQ(flow.event_type().sub_type(), 5);
  EXPECT_EQ(flow.trace_observation_point(), flow::FROM_ENDPOINT);
  EXPECT_EQ(flow.trace_reason(), flow::NEW);
  EXPECT_EQ(flow.traffic_direction(), flow::EGRESS);
  ASSERT_TRUE(flow.has_is_reply());
  EXPECT_FALSE(flow.is_reply().value());
  EXPECT_EQ(flow.interface().name(), "veth-web");
  EXPECT_EQ(flow.emitter().name(), "Sluice");
  EXPECT_EQ(flow.emitter().version(), "sluice 1.2.3");
  EXPECT_EQ(flow.summary(), "TCP Flags: SYN; from /usr/bin/psql to /usr/lib/postgres");
  EXPECT_FALSE(flow.has_destination_service());
  ASSERT_EQ(flow.ingress_allowed_by_size(), 1);
  EXPECT_EQ(flow.ingress_allowed_by(0).name(), "db");
  EXPECT_EQ(flow.ingress_allowed_by(0).namespace_(), "bank");
  EXPECT_EQ(flow.ingress_allowed_by(0).kind(), "NetworkPolicy");
  EXPECT_THAT(
      std::vector<std::string>(flow.ingress_allowed_by(0).labels().begin(), flow.ingress_allowed_by(0).labels().end()),
      ElementsAre("k8s:io.cilium.k8s.policy.derived-from=NetworkPolicy", "k8s:io.cilium.k8s.policy.name=db",
                  "k8s:io.cilium.k8s.policy.namespace=bank", "sluice:rule=ingress[0]"));
  EXPECT_EQ(flow.egress_allowed_by_size() + flow.egress_denied_by_size() + flow.ingress_denied_by_size(), 0);
}

TEST(HubbleFlow, ThePoliciesOfEachEndComeBeforeThePacketOfANewFlow) {
  v1::Flow flow = WebToDb();
  EXPECT_THAT(HubbleParts(flow), ElementsAre(HubblePart::kIngressVerdict, HubblePart::kPacket));
  v1::PolicyRef& egress = *flow.add_policies();
  egress = flow.policies(0);
  egress.set_direction(v1::Flow::EGRESS);
  EXPECT_THAT(HubbleParts(flow),
              ElementsAre(HubblePart::kEgressVerdict, HubblePart::kIngressVerdict, HubblePart::kPacket));
  flow.set_event(v1::Flow::UPDATE);
  EXPECT_THAT(HubbleParts(flow), ElementsAre(HubblePart::kPacket));
  flow.set_event(v1::Flow::END);
  EXPECT_THAT(HubbleParts(flow), IsEmpty());
}

TEST(HubbleFlow, AVerdictOfPolicies) {
  const flow::Flow allowed = ToHubbleFlow(WebToDb(), HubblePart::kIngressVerdict, Node1());
  EXPECT_EQ(allowed.event_type().type(), 5);
  EXPECT_EQ(allowed.event_type().sub_type(), 0);
  EXPECT_EQ(allowed.verdict(), flow::FORWARDED);
  EXPECT_EQ(allowed.traffic_direction(), flow::INGRESS) << "the end that the policy is for, not where it was decided";
  EXPECT_EQ(allowed.policy_match_type(), 2U);
  EXPECT_EQ(allowed.ingress_allowed_by_size(), 1);
  EXPECT_EQ(allowed.trace_observation_point(), flow::UNKNOWN_POINT);

  const v1::Flow flow = Denied(v1::PolicyRef::DEFAULT_DENY);
  EXPECT_THAT(HubbleParts(flow), ElementsAre(HubblePart::kIngressVerdict, HubblePart::kPacket));
  const flow::Flow denied = ToHubbleFlow(flow, HubblePart::kIngressVerdict, Node1());
  EXPECT_EQ(denied.verdict(), flow::DROPPED);
  EXPECT_EQ(denied.drop_reason_desc(), flow::POLICY_DENIED);
  EXPECT_EQ(denied.policy_match_type(), 0U);
  ASSERT_EQ(denied.ingress_denied_by_size(), 1) << "who isolates";
  EXPECT_EQ(denied.ingress_denied_by(0).name(), "db");
}

TEST(HubbleFlow, ADropHasItsReasonInAllThreePlaces) {
  const flow::Flow by_default = Packet(Denied(v1::PolicyRef::DEFAULT_DENY));
  EXPECT_EQ(by_default.verdict(), flow::DROPPED);
  EXPECT_EQ(by_default.event_type().type(), 1);
  EXPECT_EQ(by_default.event_type().sub_type(), 133);
  EXPECT_EQ(by_default.drop_reason(), 133U);
  EXPECT_EQ(by_default.drop_reason_desc(), flow::POLICY_DENIED);
  EXPECT_EQ(by_default.trace_reason(), flow::TRACE_REASON_UNKNOWN);
  EXPECT_EQ(by_default.traffic_direction(), flow::INGRESS);

  v1::Flow at_the_sender = Denied(v1::PolicyRef::DENY);
  at_the_sender.set_direction(v1::Flow::EGRESS);
  const flow::Flow by_rule = Packet(at_the_sender);
  EXPECT_EQ(by_rule.traffic_direction(), flow::INGRESS) << "an ingress policy, asked at the sender's hook";
  EXPECT_EQ(by_rule.event_type().sub_type(), 181);
  EXPECT_EQ(by_rule.drop_reason(), 181U);
  EXPECT_EQ(by_rule.drop_reason_desc(), flow::POLICY_DENY);
}

TEST(HubbleFlow, EveryDropReasonIsOneOfHubbles) {
  v1::Flow flow = WebToDb();
  flow.set_verdict(v1::Flow::DROPPED);
  for (const DropReasonInfo& reason : DropReasons()) {
    flow.set_drop_reason(reason.name);
    EXPECT_NE(ToHubbleDropReason(flow), flow::DROP_REASON_UNKNOWN) << reason.name;
    EXPECT_TRUE(flow::DropReason_IsValid(ToHubbleDropReason(flow))) << reason.name;
  }
  for (const auto& [reason, number] : std::map<std::string, int>{{"SPOOFED_SOURCE", 132},
                                                                 {"SERVICE_NO_BACKEND", 158},
                                                                 {"CONNTRACK_FULL", 155},
                                                                 {"QUARANTINED", 181},
                                                                 {"FRAGMENT_NOT_FOUND", 175},
                                                                 {"UNSUPPORTED_L3", 139}}) {
    flow.set_drop_reason(reason);
    EXPECT_EQ(static_cast<int>(ToHubbleDropReason(flow)), number) << reason;
  }
  flow.set_drop_reason("OF_A_NEWER_AGENT");
  EXPECT_EQ(ToHubbleDropReason(flow), flow::DROP_REASON_UNKNOWN);
}

TEST(HubbleFlow, Audit) {
  v1::Flow flow = WebToDb();
  flow.set_verdict(v1::Flow::AUDIT);
  flow.mutable_policies(0)->set_effect(v1::PolicyRef::AUDIT);
  flow.mutable_policies(0)->set_would(v1::PolicyRef::DEFAULT_DENY);
  EXPECT_EQ(Packet(flow).verdict(), flow::AUDIT);
  EXPECT_EQ(Packet(flow).event_type().type(), 4);
  const flow::Flow verdict = ToHubbleFlow(flow, HubblePart::kIngressVerdict, Node1());
  EXPECT_EQ(verdict.verdict(), flow::AUDIT);
  EXPECT_EQ(verdict.ingress_denied_by_size(), 1);
  // In audit, but it would allow as well.
  flow.mutable_policies(0)->set_would(v1::PolicyRef::ALLOW);
  EXPECT_EQ(ToHubbleFlow(flow, HubblePart::kIngressVerdict, Node1()).verdict(), flow::FORWARDED);
}

TEST(HubbleFlow, AReplyHasItsSenderAsSource) {
  v1::Flow flow = WebToDb();
  flow.set_event(v1::Flow::UPDATE);
  flow.set_reply(true);
  const flow::Flow reply = Packet(flow);
  EXPECT_TRUE(reply.is_reply().value());
  EXPECT_EQ(reply.ip().source(), "10.1.0.3");
  EXPECT_EQ(reply.ip().destination(), "10.1.0.2");
  EXPECT_EQ(reply.l4().tcp().source_port(), 5432U);
  EXPECT_EQ(reply.l4().tcp().destination_port(), 40112U);
  EXPECT_FALSE(reply.l4().tcp().has_flags()) << "those of the opening packet are not this packet's";
  EXPECT_EQ(reply.source().pod_name(), "db-0");
  EXPECT_EQ(reply.destination().pod_name(), "web-0");
  EXPECT_EQ(reply.trace_reason(), flow::REPLY);
  EXPECT_EQ(reply.traffic_direction(), flow::EGRESS) << "of the flow";
  EXPECT_EQ(reply.trace_observation_point(), flow::TO_ENDPOINT);
  EXPECT_EQ(reply.event_type().sub_type(), 0) << "where TO_ENDPOINT is 0, not 101";
  EXPECT_EQ(reply.summary(), "TCP; from /usr/bin/psql to /usr/lib/postgres");
}

TEST(HubbleFlow, WhereAPacketWasSeen) {
  v1::Flow flow = WebToDb();
  const auto point = [&](v1::Flow::Direction direction, v1::Flow::Hook hook, bool reply) {
    flow.set_direction(direction);
    flow.set_hook(hook);
    flow.set_reply(reply);
    return Packet(flow).trace_observation_point();
  };
  EXPECT_EQ(point(v1::Flow::EGRESS, v1::Flow::TC, false), flow::FROM_ENDPOINT);
  EXPECT_EQ(point(v1::Flow::EGRESS, v1::Flow::TC, true), flow::TO_ENDPOINT);
  EXPECT_EQ(point(v1::Flow::INGRESS, v1::Flow::TC, false), flow::TO_ENDPOINT);
  EXPECT_EQ(point(v1::Flow::INGRESS, v1::Flow::TC, true), flow::FROM_ENDPOINT);
  EXPECT_EQ(point(v1::Flow::INGRESS, v1::Flow::XDP, false), flow::FROM_NETWORK);
  EXPECT_EQ(point(v1::Flow::INGRESS, v1::Flow::XDP, true), flow::FROM_ENDPOINT);
  flow.set_reply(false);
  flow.set_event(v1::Flow::UPDATE);
  EXPECT_EQ(Packet(flow).trace_reason(), flow::ESTABLISHED);
}

TEST(HubbleFlow, TheServiceIsOnTheSideOfTheOneThatWasAsked) {
  v1::Flow flow = WebToDb();
  flow.mutable_service()->set_namespace_("bank");
  flow.mutable_service()->set_name("postgres");
  EXPECT_EQ(Packet(flow).destination_service().namespace_(), "bank");
  EXPECT_EQ(Packet(flow).destination_service().name(), "postgres");
  EXPECT_FALSE(Packet(flow).has_source_service());
  flow.set_reply(true);
  EXPECT_EQ(Packet(flow).source_service().name(), "postgres");
  EXPECT_FALSE(Packet(flow).has_destination_service());
}

TEST(HubbleFlow, EndsThatAreNoWorkloads) {
  v1::Flow flow = WebToDb();
  const auto end = [&](const char* entity) {
    flow.mutable_source()->Clear();
    flow.mutable_source()->set_entity(entity);
    return Packet(flow).source();
  };
  EXPECT_EQ(end("world").identity(), 2U);
  EXPECT_THAT(LabelsOf(end("world")), ElementsAre("reserved:world"));
  EXPECT_EQ(end("node").identity(), 1U);
  EXPECT_THAT(LabelsOf(end("node")), ElementsAre("reserved:host"));
  EXPECT_EQ(end("").identity(), 0U);
  EXPECT_THAT(LabelsOf(end("")), ElementsAre("reserved:unknown"));
  EXPECT_EQ(end("").namespace_(), "");
}

TEST(HubbleFlow, Protocols) {
  v1::Flow flow = WebToDb();
  flow.mutable_source()->clear_process();
  flow.mutable_destination()->clear_process();
  const auto with = [&](const std::string& l4) {
    *flow.mutable_l4() = test::FromJson<v1::Layer4>(l4);
    return Packet(flow);
  };
  const flow::Flow udp = with(R"({"protocol": "UDP", "sourcePort": 1000, "destinationPort": 53})");
  EXPECT_EQ(udp.l4().udp().destination_port(), 53U);
  EXPECT_EQ(udp.summary(), "UDP");
  const flow::Flow sctp = with(R"({"protocol": "SCTP", "sourcePort": 1000, "destinationPort": 2905})");
  EXPECT_EQ(sctp.l4().sctp().source_port(), 1000U);
  EXPECT_EQ(sctp.summary(), "SCTP");
  const flow::Flow ping = with(R"({"protocol": "ICMP", "icmpType": 8, "icmpCode": 0})");
  EXPECT_EQ(ping.l4().icmpv4().type(), 8U);
  EXPECT_EQ(ping.summary(), "ICMPv4 EchoRequest");
  const flow::Flow unreachable = with(R"({"protocol": "ICMPv6", "icmpType": 1, "icmpCode": 4})");
  EXPECT_EQ(unreachable.l4().icmpv6().code(), 4U);
  EXPECT_EQ(unreachable.summary(), "ICMPv6 type 1 code 4");
  const flow::Flow other = with(R"({"protocol": "47"})");
  EXPECT_FALSE(other.has_l4());
  EXPECT_EQ(other.summary(), "IP protocol 47");
  flow.mutable_ip()->set_version(6);
  EXPECT_EQ(Packet(flow).ip().ipversion(), flow::IPv6);
  const flow::Flow answer = with(R"({"protocol": "TCP", "tcpFlags": ["SYN", "ACK", "ECE"]})");
  EXPECT_EQ(answer.summary(), "TCP Flags: SYN, ACK, ECE");
}

TEST(HubbleFlow, AnotherClusterIsPartOfTheNodesName) {
  HubbleNode node = Node1();
  node.cluster = "east";
  const flow::Flow flow = ToHubbleFlow(WebToDb(), HubblePart::kPacket, node);
  EXPECT_EQ(flow.node_name(), "east/node-1");
  EXPECT_EQ(flow.source().cluster_name(), "east");
}

TEST(HubbleFlow, TextFromOutsideMovesNoCursor) {
  v1::Flow flow = WebToDb();
  flow.mutable_source()->mutable_process()->set_binary("/tmp/\x1b[2Jx");
  EXPECT_EQ(Packet(flow).summary(), "TCP Flags: SYN; from /tmp/\\x1b[2Jx to /usr/lib/postgres");
  flow.mutable_source()->mutable_process()->clear_binary();
  flow.mutable_source()->mutable_process()->set_name("kworker/0:1");
  EXPECT_THAT(Packet(flow).summary(), HasSubstr("from kworker/0:1 to"));
}

// All these numbers are part of what clients see: another one for the same labels would be another workload to them.
TEST(HubbleIdentity, IsTheSameEverywhere) {
  const SortedLabels web{{"app", "web"}, {"tier", "front"}};
  EXPECT_EQ(HubbleIdentity("shop", web), HubbleWebToDb().source().identity());
  EXPECT_EQ(HubbleIdentity("shop", web), HubbleIdentity("shop", web));
  EXPECT_NE(HubbleIdentity("shop", web), HubbleIdentity("bank", web));
  EXPECT_NE(HubbleIdentity("shop", web), HubbleIdentity("shop", {{"app", "web"}}));
  EXPECT_NE(HubbleIdentity("shop", {{"a", "bc"}}), HubbleIdentity("shop", {{"ab", "c"}}));
  EXPECT_GE(HubbleIdentity("shop", web), 1U << 31);
  // Of one pod, or of one revision.
  SortedLabels pod = web;
  pod.emplace_back("pod-template-hash", "7c5");
  pod.emplace_back("statefulset.kubernetes.io/pod-name", "web-0");
  EXPECT_EQ(HubbleIdentity("shop", web), HubbleIdentity("shop", pod));
}

google::protobuf::Struct Extensions(const v1::Flow& flow) {
  google::protobuf::Struct out;
  const google::protobuf::Any any = ToHubbleExtensions(flow);
  EXPECT_EQ(any.type_url(), "type.googleapis.com/google.protobuf.Struct");
  EXPECT_TRUE(any.UnpackTo(&out));
  return out;
}

const google::protobuf::Struct& ProcessAt(const google::protobuf::Struct& extensions, const char* end) {
  return extensions.fields().at(end).struct_value().fields().at("process").struct_value();
}

TEST(HubbleExtensions, ProcessesOfBothEndsInTheOneTypeThatClientsKnow) {
  v1::Flow flow = WebToDb();
  flow.set_drop_reason("QUARANTINED");
  const google::protobuf::Struct extensions = Extensions(flow);
  EXPECT_EQ(extensions.fields().at("dropReason").string_value(), "QUARANTINED");
  EXPECT_EQ(extensions.fields().at("flowId").string_value(), "a-1");
  EXPECT_EQ(extensions.fields().at("event").string_value(), "NEW");
  EXPECT_EQ(extensions.fields().at("hook").string_value(), "TC");
  EXPECT_FALSE(extensions.fields().contains("exempt"));
  EXPECT_EQ(extensions.fields().at("forward").struct_value().fields().at("bytes").number_value(), 60);
  const google::protobuf::Struct& web = ProcessAt(extensions, "source");
  EXPECT_EQ(web.fields().at("binary").string_value(), "/usr/bin/psql");
  EXPECT_EQ(web.fields().at("pid").number_value(), 4242);
  EXPECT_EQ(web.fields().at("uid").number_value(), 0);
  EXPECT_EQ(web.fields().at("execId").string_value(), "node-1:4242:1");
  ASSERT_EQ(web.fields().at("arguments").list_value().values_size(), 2);
  EXPECT_EQ(web.fields().at("arguments").list_value().values(1).string_value(), "db");
  EXPECT_EQ(web.fields().at("ancestors").list_value().values(0).string_value(), "/bin/bash");
  const google::protobuf::Struct& db = ProcessAt(extensions, "destination");
  EXPECT_EQ(db.fields().at("binary").string_value(), "/usr/lib/postgres");
  EXPECT_EQ(db.fields().size(), 2U) << "what is not known is absent";

  flow.set_reply(true);
  EXPECT_EQ(ProcessAt(Extensions(flow), "source").fields().at("pid").number_value(), 77) << "as in the flow";
}

TEST(HubbleExtensions, AreBounded) {
  v1::Flow flow = WebToDb();
  for (int i = 0; i < 1000; ++i) flow.mutable_source()->mutable_process()->add_arguments(std::string(5000, 'x'));
  EXPECT_LT(ToHubbleExtensions(flow).ByteSizeLong(), 40000U);
}

}  // namespace
}  // namespace sluice::telemetry
