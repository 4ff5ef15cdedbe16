#include "telemetry/event/flow_text.h"

#include "telemetry/event/change_text.h"

#include "tests/unit/client/messages.h"

namespace sluice::telemetry {
namespace {

using test::FromJson;

constexpr const char* kDropped = R"({"flow": {
  "time": "2026-03-04T05:06:07.089999999Z", "type": "flow", "event": "NEW", "verdict": "DROPPED",
  "dropReason": "POLICY_DENIED", "direction": "INGRESS", "hook": "TC", "reply": false,
  "ip": {"version": 4, "source": "10.1.0.2", "destination": "10.1.0.3"},
  "l4": {"protocol": "TCP", "sourcePort": 40112, "destinationPort": 9000, "tcpFlags": ["SYN"]},
  "source": {"namespace": "shop", "workload": "web-0"}, "destination": {"namespace": "shop", "workload": "db-0"},
  "policies": [
    {"namespace": "shop", "name": "default-deny", "effect": "DEFAULT_DENY", "direction": "INGRESS"},
    {"namespace": "shop", "name": "trial", "rule": "ingress[1]", "effect": "AUDIT", "would": "DENY",
     "direction": "INGRESS"}]}})";

TEST(EventText, DroppedFlowBetweenWorkloads) {
  EXPECT_EQ(EventText(FromJson<v1::Event>(kDropped)),
            "2026-03-04T05:06:07.089Z NEW    DROPPED/POLICY_DENIED TC/INGRESS shop/web-0:40112 (10.1.0.2) -> "
            "shop/db-0:9000 (10.1.0.3) TCP "
            "[shop/default-deny ingress DEFAULT_DENY, shop/trial ingress[1] AUDIT (would DENY)]");
}

TEST(EventText, ProgramsBehindTheEnds) {
  const auto event = FromJson<v1::Event>(R"({"flow": {
    "time": "2026-03-04T05:06:07Z", "event": "NEW", "verdict": "FORWARDED", "direction": "EGRESS", "hook": "TC",
    "ip": {"version": 4, "source": "10.1.0.2", "destination": "10.1.0.1"},
    "l4": {"protocol": "TCP", "sourcePort": 40112, "destinationPort": 5432},
    "source": {"namespace": "shop", "workload": "web-0",
               "process": {"binary": "/usr/bin/bash", "script": "/opt/back up", "arguments": ["now"]}},
    "destination": {"entity": "node", "process": {"binary": "/usr/bin/postgres"}}}})");
  EXPECT_EQ(EventText(event),
            "2026-03-04T05:06:07.000Z NEW    FORWARDED TC/EGRESS shop/web-0:40112 (10.1.0.2, \"/opt/back up\" by "
            "/usr/bin/bash) -> 10.1.0.1:5432 (node, /usr/bin/postgres) TCP [no policy isolates]");
}

TEST(EventText, TheServiceThatTheSourceUsed) {
  const auto event = FromJson<v1::Event>(R"({"flow": {
    "time": "2026-03-04T05:06:07Z", "event": "NEW", "verdict": "FORWARDED", "direction": "EGRESS", "hook": "TC",
    "ip": {"version": 6, "source": "fd00::2", "destination": "fd00::1"},
    "l4": {"protocol": "TCP", "sourcePort": 40112, "destinationPort": 5432},
    "source": {"namespace": "shop", "workload": "web-0"}, "destination": {"namespace": "shop", "workload": "db-0"},
    "service": {"namespace": "shop", "name": "db", "portName": "pg", "address": "fd96::10", "port": 80}}})");
  EXPECT_EQ(EventText(event),
            "2026-03-04T05:06:07.000Z NEW    FORWARDED TC/EGRESS shop/web-0:40112 (fd00::2) -> shop/db-0:5432 "
            "(fd00::1) TCP via shop/db [no policy isolates]");
  EXPECT_NE(EventText(event, TextForm::kWide).find(" TCP via Service shop/db port pg ([fd96::10]:80)"),
            std::string::npos);
}

TEST(EventText, AddressesOfWhatIsNoWorkload) {
  const auto event = FromJson<v1::Event>(R"({"flow": {
    "time": "2026-03-04T05:06:07Z", "event": "UPDATE", "verdict": "FORWARDED", "direction": "EGRESS", "hook": "XDP",
    "reply": true, "ip": {"version": 6, "source": "fd00::9", "destination": "2001:db8::1"},
    "l4": {"protocol": "UDP", "sourcePort": 1, "destinationPort": 53},
    "source": {"entity": "node"}, "destination": {"entity": "world"}}})");
  EXPECT_EQ(EventText(event),
            "2026-03-04T05:06:07.000Z UPDATE FORWARDED XDP/EGRESS [fd00::9]:1 (node) -> [2001:db8::1]:53 (world) UDP "
            "(reply) [no policy isolates]");
}

TEST(EventText, SaysWhyNoPolicyIsAsked) {
  const auto text = [](const std::string& exempt) {
    return EventText(FromJson<v1::Event>(R"({"flow": {"verdict": "FORWARDED", "exempt": ")" + exempt + R"("}})"));
  };
  EXPECT_NE(text("FROM_NODE").find("[the node is always let in]"), std::string::npos);
  EXPECT_NE(text("TO_ITSELF").find("[always reaches itself]"), std::string::npos);
}

TEST(EventText, WideHasTheDropReasonsSentenceAndTheRest) {
  auto event = FromJson<v1::Event>(kDropped);
  event.mutable_flow()->set_interface("veth12");
  event.mutable_flow()->clear_policies();
  v1::Peer& web = *event.mutable_flow()->mutable_source();
  web.set_identity(259);
  (*web.mutable_labels())["app"] = "web";
  web.mutable_process()->set_pid(42);
  web.mutable_process()->set_binary("/usr/bin/psql");
  web.mutable_process()->add_arguments("-h");
  event.mutable_flow()->mutable_forward()->set_packets(1);
  event.mutable_flow()->mutable_forward()->set_bytes(60);
  EXPECT_EQ(EventText(event, TextForm::kWide),
            "2026-03-04T05:06:07.089Z NEW    DROPPED/" + ReasonText("POLICY_DENIED") +
                " TC/INGRESS at veth12 shop/web-0:40112 (10.1.0.2, identity 259, app=web, pid 42, /usr/bin/psql -h) -> "
                "shop/db-0:9000 (10.1.0.3) TCP SYN; sent 1 packets 60 bytes, answered 0 packets 0 bytes");
  EXPECT_NE(ReasonText("POLICY_DENIED").find("enied by policy"), std::string::npos);
  EXPECT_EQ(ReasonText("OF_A_NEWER_AGENT"), "OF_A_NEWER_AGENT");
}

TEST(EventText, AnotherTimeInTheFirstColumnLeavesTheOwnAtTheEnd) {
  const auto event = FromJson<v1::Event>(R"({"exec": {"time": "2026-03-04T05:06:07Z"}})");
  google::protobuf::Timestamp shown = event.exec().time();
  EXPECT_EQ(EventText(event, TextForm::kCompact, &shown), EventText(event));
  shown.set_seconds(shown.seconds() + 1);
  EXPECT_EQ(EventText(event, TextForm::kCompact, &shown),
            "2026-03-04T05:06:08.000Z EXEC   - 0 [] (of 2026-03-04T05:06:07.000Z)");
}

TEST(EventText, IcmpHasNoPorts) {
  const auto event = FromJson<v1::Event>(R"({"flow": {
    "time": "2026-03-04T05:06:07Z", "event": "END", "verdict": "DROPPED", "dropReason": "UNKNOWN_ENDPOINT",
    "direction": "EGRESS", "hook": "TC", "ip": {"version": 4, "source": "10.0.0.1", "destination": "10.0.0.2"},
    "l4": {"protocol": "ICMP", "icmpType": 8, "icmpCode": 0}}})");
  EXPECT_EQ(EventText(event),
            "2026-03-04T05:06:07.000Z END    DROPPED/UNKNOWN_ENDPOINT TC/EGRESS 10.0.0.1 -> 10.0.0.2 "
            "ICMP type 8 code 0 [The interface belongs to no known workload yet.]")
      << "no policy did that: the reason says what did";
}

TEST(EventText, LossAndWhatANewerAgentSends) {
  const auto lost = FromJson<v1::Event>(
      R"({"lost": {"time": "2026-03-04T05:06:07Z", "type": "lost", "cause": "RING_FULL", "count": "12"}})");
  EXPECT_EQ(EventText(lost), "2026-03-04T05:06:07.000Z LOST   12 events: RING_FULL");
  EXPECT_NE(EventText(v1::Event()).find("newer agent"), std::string::npos);
}

TEST(EventText, AChangeNamesWhatItIsAbout) {
  const auto applied = FromJson<v1::Event>(R"({"change": {"time": "2026-03-04T05:06:07Z", "type": "change",
      "action": "apply", "caller": "uid 0, pid 42", "revision": "7", "moreChanges": 3, "changes": [
        {"change": "CREATED", "resource": {"kind": "NetworkPolicy", "namespace": "shop", "name": "db"}},
        {"change": "REMOVED", "resource": {"kind": "Namespace", "name": "old"}}]}})");
  EXPECT_EQ(EventText(applied),
            "2026-03-04T05:06:07.000Z CHANGE uid 0, pid 42: apply: created NetworkPolicy shop/db, removed Namespace "
            "old and 3 more; revision 7");
  EXPECT_EQ("2026-03-04T05:06:07.000Z CHANGE " + ChangeText(applied.change()), EventText(applied)) << "as in the log";
  const auto refused = FromJson<v1::Event>(R"({"change": {"time": "2026-03-04T05:06:07Z", "type": "change",
      "action": "quarantine", "problem": "there is none",
      "changes": [{"resource": {"kind": "Workload", "namespace": "shop", "name": "web-0"}}]}})");
  EXPECT_EQ(EventText(refused),
            "2026-03-04T05:06:07.000Z CHANGE quarantine: Workload shop/web-0; refused: there is none");
}

TEST(FlowTable, OneRowAFlowWithBothDirectionsTraffic) {
  v1::Flow flow = FromJson<v1::Event>(kDropped).flow();
  flow.mutable_forward()->set_packets(3);
  flow.mutable_forward()->set_bytes(180);
  flow.mutable_backward()->set_packets(4);
  flow.mutable_backward()->set_bytes(20);
  flow.mutable_policies()->DeleteSubrange(1, 1);
  Table table = MakeFlowTable();
  AddFlow(flow, &table);
  EXPECT_EQ(table.ToString(),
            "VERDICT                PROTO  SOURCE            DESTINATION     PACKETS  BYTES  POLICIES\n"
            "DROPPED/POLICY_DENIED  TCP    shop/web-0:40112  shop/db-0:9000        7    200  "
            "shop/default-deny ingress DEFAULT_DENY\n");
}

}  // namespace
}  // namespace sluice::telemetry
