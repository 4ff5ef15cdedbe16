// Hubble's filters, one field at a time: what matches, what does not, and what is refused.
#include "telemetry/hubble/hubble_filter.h"

#include <gmock/gmock.h>

#include "telemetry/hubble/hubble_mask.h"
#include "tests/unit/telemetry_hubble/flows.h"

namespace sluice::telemetry {
namespace {

using ::testing::HasSubstr;

// Filters and masks as Hubble's clients write them with --allowlist.
flow::FlowFilter Filter(const std::string& json) { return test::FromJson<flow::FlowFilter>(json); }

StatusOr<HubbleFilter> Make(const std::vector<std::string>& allow, const std::vector<std::string>& deny = {}) {
  google::protobuf::RepeatedPtrField<flow::FlowFilter> allowed, denied;
  for (const std::string& one : allow) *allowed.Add() = Filter(one);
  for (const std::string& one : deny) *denied.Add() = Filter(one);
  return HubbleFilter::Make(allowed, denied);
}

bool Matches(const std::string& filter, const flow::Flow& flow) {
  const auto made = Make({filter});
  EXPECT_TRUE(made.ok()) << filter << ": " << made.status();
  return made.ok() && made->Matches(flow);
}

struct FilterCase {
  const char* filter;
  bool matches;
};

void PrintTo(const FilterCase& one, std::ostream* out) { *out << one.filter; }

class HubbleFilterFields : public ::testing::TestWithParam<FilterCase> {};

TEST_P(HubbleFilterFields, OfAnAllowedConnection) {
  flow::Flow flow = HubbleWebToDb();
  flow.set_uuid("u-1");
  flow.mutable_destination_service()->set_namespace_("bank");
  flow.mutable_destination_service()->set_name("postgres");
  flow.add_destination_names("db.bank.example.com");
  flow.mutable_ip()->set_source_xlated("192.0.2.9");
  EXPECT_EQ(Matches(GetParam().filter, flow), GetParam().matches);
}

INSTANTIATE_TEST_SUITE_P(Names, HubbleFilterFields,
                         ::testing::ValuesIn(std::vector<FilterCase>{
                             {R"({})", true},
                             {R"({"source_pod": ["shop/web-0"]})", true},
                             {R"({"source_pod": ["shop/web"]})", true},  // by prefix
                             {R"({"source_pod": ["shop/eb"]})", false},
                             {R"({"source_pod": ["sho/web"]})", false},  // the namespace is no prefix
                             {R"({"source_pod": ["shop/"]})", true},
                             {R"({"source_pod": ["/web"]})", true},
                             {R"({"source_pod": ["/"]})", true},
                             {R"({"source_pod": ["web-0"]})", false},  // in the namespace default
                             {R"({"source_pod": ["shop/web/what follows does not count"]})", true},
                             {R"({"source_pod": ["bank/", "shop/"]})", true},
                             {R"({"destination_pod": ["bank/db-"]})", true},
                             {R"({"destination_pod": ["shop/"]})", false},
                             {R"({"source_pod": ["shop/"], "destination_pod": ["shop/"]})",
                              false},  // all fields must match
                             {R"({"destination_service": ["bank/post"]})", true},
                             {R"({"destination_service": ["postgres"]})", false},
                             {R"({"source_service": ["bank/"]})", false},
                             {R"({"source_workload": [{"kind": "Deployment", "name": "web"}]})", true},
                             {R"({"source_workload": [{"name": "web"}]})", true},
                             {R"({"source_workload": [{"kind": "Deployment"}]})", true},
                             {R"({"source_workload": [{"name": "we"}]})", false},
                             {R"({"source_workload": [{"kind": "DaemonSet", "name": "web"}]})", false},
                             {R"({"destination_workload": [{}]})", false},  // that of db is not known
                             {R"({"source_cluster_name": ["default"]})", true},
                             {R"({"destination_cluster_name": ["east"]})", false},
                             {R"({"node_name": ["node-1"]})", true},
                             {R"({"node_name": ["default/node-1"]})", true},
                             {R"({"node_name": ["default/"]})", true},
                             {R"({"node_name": ["/node-1"]})", true},
                             {R"({"node_name": ["NODE-*"]})", true},
                             {R"({"node_name": ["east/node-1"]})", false},
                             {R"({"node_name": ["node"]})", false},
                             {R"({"destination_fqdn": ["*.example.com"]})", true},
                             {R"({"destination_fqdn": ["DB.bank.example.com."]})", true},
                             {R"({"destination_fqdn": ["example.com"]})", false},
                             {R"({"source_fqdn": ["*"]})", false},
                             {R"({"source_label": ["app=web"]})", true},
                             {R"({"source_label": ["k8s:app=web"]})", true},
                             {R"({"source_label": ["any:app = web, tier"]})", true},
                             {R"j({"source_label": ["app in (db, web),!canary"]})j", true},
                             {R"j({"source_label": ["k8s:app notin (web,db)"]})j", false},
                             {R"({"source_label": ["reserved:app"]})", false},
                             {R"({"source_label": ["io.kubernetes.pod.namespace=shop"]})", true},
                             {R"({"source_label": ["app=db", "app=web"]})", true},
                             {R"({"destination_label": ["app=web"]})", false},
                             {R"({"node_labels": ["zone=a"]})", false},
                             {R"({"node_labels": ["!zone"]})", true},
                         }));

INSTANTIATE_TEST_SUITE_P(Addresses, HubbleFilterFields,
                         ::testing::ValuesIn(std::vector<FilterCase>{
                             {R"({"source_ip": ["10.1.0.2"]})", true},
                             {R"({"source_ip": ["10.1.0.3"]})", false},
                             {R"({"source_ip": ["10.1.0.0/24"]})", true},
                             {R"({"destination_ip": ["10.2.0.0/16", "10.1.0.3"]})", true},
                             {R"({"destination_ip": ["fd00::/8"]})", false},
                             {R"({"source_ip_xlated": ["192.0.2.0/24"]})", true},
                             {R"({"source_port": ["40112"]})", true},
                             {R"({"source_port": ["5432"]})", false},
                             {R"({"destination_port": ["80", "5432"]})", true},
                             {R"({"ip_version": ["IPv4"]})", true},
                             {R"({"ip_version": ["IPv6"]})", false},
                             {R"({"interface": [{"name": "veth-web"}]})", true},
                             {R"({"interface": [{"name": "veth"}]})", false},
                             {R"({"interface": [{"index": 3}]})", false},
                         }));

INSTANTIATE_TEST_SUITE_P(Flow, HubbleFilterFields,
                         ::testing::ValuesIn(std::vector<FilterCase>{
                             {R"({"uuid": ["u-1"]})", true},
                             {R"({"uuid": ["u-2"]})", false},
                             {R"({"verdict": ["FORWARDED"]})", true},
                             {R"({"verdict": ["DROPPED", "AUDIT"]})", false},
                             {R"({"drop_reason_desc": ["POLICY_DENIED"]})", false},
                             {R"({"drop_reason_desc": ["DROP_REASON_UNKNOWN"]})", false},  // only drops have a reason
                             {R"({"event_type": [{"type": 4}]})", true},
                             {R"({"event_type": [{"type": 1}]})", false},
                             {R"({"event_type": [{"type": 4, "match_sub_type": true, "sub_type": 5}]})", true},
                             {R"({"event_type": [{"type": 4, "match_sub_type": true}]})", false},
                             {R"({"event_type": [{"match_sub_type": true, "sub_type": 5}]})", true},
                             {R"({"event_type": [{"type": 4, "sub_type": 7}]})", true},
                             {R"({"reply": [false]})", true},
                             {R"({"reply": [true]})", false},
                             {R"({"reply": [true, false]})", true},
                             {R"({"protocol": ["TCP"]})", true},
                             {R"({"protocol": ["udp", "icmp"]})", false},
                             {R"({"protocol": ["dns", "http", "kafka", "vrrp", "igmp", "sctp", "icmpv4", "icmpv6"]})",
                              false},
                             {R"({"tcp_flags": [{"SYN": true}]})", true},
                             {R"({"tcp_flags": [{"SYN": true, "ACK": true}]})", false},
                             {R"({"tcp_flags": [{}]})", true},
                             {R"({"traffic_direction": ["EGRESS"]})", true},
                             {R"({"traffic_direction": ["INGRESS"]})", false},
                             {R"({"encrypted": [true]})", false},
                             {R"({"encrypted": [false]})", true},
                             {R"({"trace_id": ["4bf92f3577b34da6a3ce929d0e0e4736"]})", false},
                             {R"({"ip_trace_id": ["7"]})", false},
                             {R"({"dns_query": [".*"]})", false},
                             {R"({"http_status_code": ["404", "5+", "40+"]})", false},
                             {R"({"http_method": ["GET"], "event_type": [{"type": 129}]})", false},
                             {R"({"http_path": ["/.*"]})", false},
                             {R"({"http_url": [".*"]})", false},
                             {R"({"http_header": [{"key": "a", "value": "b"}]})", false},
                         }));

TEST(HubbleFilter, ByIdentity) {
  const flow::Flow flow = HubbleWebToDb();
  const std::string source = std::to_string(flow.source().identity());
  EXPECT_TRUE(Matches("{\"source_identity\": [1, " + source + "]}", flow));
  EXPECT_FALSE(Matches("{\"destination_identity\": [" + source + "]}", flow));
}

TEST(HubbleFilter, ADropOfUnknownDirectionCountsAsNoReply) {
  flow::Flow flow = HubbleWebToDb();
  flow.clear_is_reply();
  EXPECT_FALSE(Matches(R"({"reply": [false]})", flow));
  flow.set_verdict(flow::DROPPED);
  EXPECT_TRUE(Matches(R"({"reply": [false]})", flow));
  EXPECT_FALSE(Matches(R"({"reply": [true]})", flow));
}

TEST(HubbleFilter, ByDropReasonOfADrop) {
  v1::Flow dropped = WebToDb();
  dropped.set_verdict(v1::Flow::DROPPED);
  dropped.set_drop_reason("SPOOFED_SOURCE");
  const flow::Flow flow = ToHubbleFlow(dropped, HubblePart::kPacket, Node1());
  EXPECT_TRUE(Matches(R"({"drop_reason_desc": ["POLICY_DENIED", "INVALID_SOURCE_IP"]})", flow));
  EXPECT_TRUE(Matches(R"({"event_type": [{"type": 1, "match_sub_type": true, "sub_type": 132}]})", flow));
  EXPECT_FALSE(Matches(R"({"drop_reason_desc": ["POLICY_DENIED"]})", flow));
}

TEST(HubbleFilter, OfReservedLabels) {
  v1::Flow flow = WebToDb();
  flow.mutable_source()->Clear();
  flow.mutable_source()->set_entity("world");
  const flow::Flow from_world = ToHubbleFlow(flow, HubblePart::kPacket, Node1());
  EXPECT_TRUE(Matches(R"({"source_label": ["reserved:world"]})", from_world));
  EXPECT_TRUE(Matches(R"({"source_label": ["world"]})", from_world));
  EXPECT_FALSE(Matches(R"({"source_label": ["reserved:host"]})", from_world));
  EXPECT_FALSE(Matches(R"({"source_pod": ["/"]})", from_world)) << "it has no name";
}

TEST(HubbleFilter, OneOfTheAllowedAndNoneOfTheDenied) {
  const flow::Flow flow = HubbleWebToDb();
  const std::string yes = R"({"source_pod": ["shop/"]})", no = R"({"source_pod": ["bank/"]})";
  const auto passes = [&](const std::vector<std::string>& allow, const std::vector<std::string>& deny) {
    const auto made = Make(allow, deny);
    EXPECT_TRUE(made.ok()) << made.status();
    return made.ok() && made->Matches(flow);
  };
  EXPECT_TRUE(passes({}, {}));
  EXPECT_TRUE(passes({no, yes}, {}));
  EXPECT_FALSE(passes({no, no}, {}));
  EXPECT_FALSE(passes({yes}, {no, yes}));
  EXPECT_TRUE(passes({}, {no}));
  EXPECT_FALSE(passes({}, {"{}"})) << "an empty filter matches everything";
}

struct RefusedFilter {
  const char* filter;
  const char* why;
};

void PrintTo(const RefusedFilter& one, std::ostream* out) { *out << one.filter; }

class HubbleFilterRefuses : public ::testing::TestWithParam<RefusedFilter> {};

TEST_P(HubbleFilterRefuses, AndNamesFieldAndValue) {
  const auto made = Make({"{}", GetParam().filter});
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Message(made.status()), HasSubstr("whitelist[1]: "));
  EXPECT_THAT(Message(made.status()), HasSubstr(GetParam().why));
}

INSTANTIATE_TEST_SUITE_P(Values, HubbleFilterRefuses,
                         ::testing::ValuesIn(std::vector<RefusedFilter>{
                             {R"({"source_pod": [""]})", "source_pod: a name must not be empty"},
                             {R"({"destination_service": [""]})", "destination_service"},
                             {R"({"source_cluster_name": [""]})", "source_cluster_name"},
                             {R"({"source_ip": ["10.1.0"]})", "source_ip"},
                             {R"({"destination_ip": ["10.1.0.0/33"]})", "10.1.0.0/33"},
                             {R"({"source_port": ["http"]})", "source_port: http: no port number"},
                             {R"({"destination_port": ["65536"]})", "destination_port: 65536"},
                             {R"({"destination_port": ["-1"]})", "-1"},
                             {R"({"protocol": ["tpc"]})", "protocol: tpc: unknown protocol"},
                             {R"({"source_label": ["app=web=x"]})", "source_label"},
                             {R"({"destination_fqdn": ["a b"]})", "destination_fqdn"},
                             {R"({"source_fqdn": ["a.."]})", "source_fqdn"},
                             {R"({"node_name": ["a/b/c"]})", "node_name: a/b/c"},
                             {R"({"node_name": [""]})", "node_name"},
                             {R"({"dns_query": ["("]})", "dns_query: ("},
                             {R"({"http_path": ["["]})", "http_path"},
                             {R"({"http_status_code": ["600"]})", "http_status_code: 600"},
                             {R"({"http_method": ["GET"], "event_type": [{"type": 4}]})", "event_type"},
                         }));

TEST(HubbleFilter, RefusesCelByName) {
  const auto made = Make({R"({"experimental": {"cel_expression": ["_flow.verdict == 1"]}})"});
  EXPECT_EQ(made.status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(Message(made.status()), HasSubstr("cel_expression: _flow.verdict == 1"));
}

TEST(HubbleFilter, IsBounded) {
  const std::vector<std::string> many(HubbleFilter::kMaxFilters + 1, "{}");
  EXPECT_EQ(Make(many).status().code(), absl::StatusCode::kInvalidArgument);
  google::protobuf::RepeatedPtrField<flow::FlowFilter> one;
  for (int i = 0; i <= HubbleFilter::kMaxValues; ++i) {
    if (i == 0) one.Add();
    one[0].add_source_identity(static_cast<std::uint32_t>(i));
  }
  EXPECT_THAT(Message(HubbleFilter::Make({}, one).status()), HasSubstr("blacklist[0]: source_identity: 1025 values"));
}

TEST(HubbleMask, LeavesWhatIsWanted) {
  google::protobuf::FieldMask paths;
  for (const char* path : {"source.pod_name", "verdict", "IP", "Summary", "ip_trace_id", "l7"}) paths.add_paths(path);
  const auto mask = HubbleMask::Make(paths);
  ASSERT_TRUE(mask.ok()) << mask.status();
  EXPECT_FALSE(mask->WantsExtensions());
  flow::Flow flow = HubbleWebToDb();
  mask->Apply(&flow);
  flow::Flow expected;
  expected.mutable_source()->set_pod_name("web-0");
  expected.set_verdict(flow::FORWARDED);
  *expected.mutable_ip() = HubbleWebToDb().ip();
  expected.set_summary(HubbleWebToDb().summary());
  EXPECT_EQ(flow.DebugString(), expected.DebugString());
}

TEST(HubbleMask, AVerdictOfPoliciesKeepsWhatClientsPrintOfIt) {
  google::protobuf::FieldMask paths;
  for (const char* path : {"verdict", "event_type"}) paths.add_paths(path);
  const auto mask = HubbleMask::Make(paths);
  ASSERT_TRUE(mask.ok()) << mask.status();
  flow::Flow flow = ToHubbleFlow(WebToDb(), HubblePart::kIngressVerdict, Node1());
  mask->Apply(&flow);
  EXPECT_EQ(flow.traffic_direction(), flow::INGRESS);
  EXPECT_EQ(flow.policy_match_type(), 2U);
  ASSERT_EQ(flow.ingress_allowed_by_size(), 1);
  EXPECT_EQ(flow.ingress_allowed_by(0).name(), "db");
  EXPECT_FALSE(flow.has_source());
  flow::Flow packet = HubbleWebToDb();
  mask->Apply(&packet);
  EXPECT_EQ(packet.traffic_direction(), flow::TRAFFIC_DIRECTION_UNKNOWN);
  EXPECT_EQ(packet.ingress_allowed_by_size(), 0);
}

TEST(HubbleMask, EmptyOneLeavesEverything) {
  const auto mask = HubbleMask::Make({});
  ASSERT_TRUE(mask.ok());
  EXPECT_TRUE(mask->WantsExtensions());
  flow::Flow flow = HubbleWebToDb();
  mask->Apply(&flow);
  EXPECT_EQ(flow.DebugString(), HubbleWebToDb().DebugString());
}

TEST(HubbleMask, RefusesWhatFlowsDoNotHave) {
  google::protobuf::FieldMask paths;
  paths.add_paths("source.pod");
  EXPECT_THAT(Message(HubbleMask::Make(paths).status()), HasSubstr("source.pod"));
}

}  // namespace
}  // namespace sluice::telemetry
