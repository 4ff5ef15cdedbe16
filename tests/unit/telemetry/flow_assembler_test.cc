#include "telemetry/flow/flow_assembler.h"

#include <google/protobuf/util/time_util.h>

#include "tests/unit/telemetry/scene.h"

namespace sluice::telemetry {
namespace {

using google::protobuf::util::TimeUtil;
using policy::PolicyYaml;
using policy::SluicePolicyYaml;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

// "NetworkPolicy shop/db ingress[0] ALLOW INGRESS"
std::vector<std::string> Policies(const v1::Flow& flow) {
  std::vector<std::string> out;
  for (const v1::PolicyRef& ref : flow.policies()) {
    std::string text = fmt::format("{} {}/{} {} {}", ref.kind(), ref.namespace_(), ref.name(), ref.rule(),
                                   v1::PolicyRef::Effect_Name(ref.effect()));
    if (ref.would() != v1::PolicyRef::EFFECT_UNSPECIFIED) text += "=" + v1::PolicyRef::Effect_Name(ref.would());
    out.push_back(text + " " + v1::Flow::Direction_Name(ref.direction()));
  }
  return out;
}

class FlowAssemblerTest : public ::testing::Test {
 protected:
  v1::Flow Live(const FlowRecord& record) { return assembler_.Capture().Assemble(FromRecord(record)); }
  v1::Flow Sent(const sl_flow_event& event) { return assembler_.Capture().Assemble(FromEvent(event)); }

  Scene scene_;
  FlowAssembler assembler_ = scene_.Assembler();
};

// One name, for number 7.
class OneService : public datapath::ServiceNames {
 public:
  std::shared_ptr<const datapath::ServiceName> Find(std::uint32_t number) const override {
    if (number != 7) return nullptr;
    return std::make_shared<datapath::ServiceName>(datapath::ServiceName{
        .service = {"shop", "db"}, .port_name = "pg", .address = {*policy::Address::Parse("10.96.0.10"), 80, 6}});
  }
};

TEST_F(FlowAssemblerTest, AFlowNamesTheServiceThatItsInitiatorUsed) {
  const OneService names;
  FlowRecord record = scene_.Answered("shop/web", "shop/db", "5432/TCP");
  record.entry.service = 7;
  EXPECT_FALSE(Live(record).has_service()) << "nobody knows names yet";
  assembler_.NameServices(&names);
  const v1::Service service = Live(record).service();
  EXPECT_EQ(service.namespace_() + "/" + service.name() + " " + service.port_name(), "shop/db pg");
  EXPECT_EQ(service.address() + " " + std::to_string(service.port()), "10.96.0.10 80");
  record.entry.service = 8;
  EXPECT_FALSE(Live(record).has_service());
  record.entry.service = 0;
  EXPECT_FALSE(Live(record).has_service());
}

TEST_F(FlowAssemblerTest, AllowedFlowHasEveryFieldOfTheContract) {
  scene_.world.Apply(PolicyYaml("shop", "db",
                                "podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: "
                                "{app: web}}}], ports: [{port: 5432}]}]"));
  FlowRecord record = scene_.Answered("shop/web", "shop/db", "5432/TCP");
  record.entry.forward_packets = 12;
  record.entry.forward_bytes = 3456;
  record.entry.reply_packets = 10;
  record.entry.reply_bytes = 2345;
  record.entry.created_ns = scene_.clock.now() - 3 * FakeClock::kSecond;
  record.entry.last_seen_ns = scene_.clock.now() - 5;
  const v1::Flow flow = Live(record);

  const auto wall = static_cast<std::int64_t>(FakeClock::kBoot + scene_.clock.now());
  EXPECT_EQ(TimeUtil::TimestampToNanoseconds(flow.time()), wall - 5);
  EXPECT_EQ(TimeUtil::TimestampToNanoseconds(flow.start_time()),
            wall - static_cast<std::int64_t>(3 * FakeClock::kSecond));
  EXPECT_EQ(flow.node(), "node-1");
  EXPECT_EQ(flow.type(), "flow");
  EXPECT_EQ(flow.event(), v1::Flow::UPDATE);
  EXPECT_EQ(flow.verdict(), v1::Flow::FORWARDED);
  EXPECT_EQ(flow.drop_reason(), "");
  EXPECT_EQ(flow.direction(), v1::Flow::EGRESS);
  EXPECT_EQ(flow.hook(), v1::Flow::TC);
  EXPECT_EQ(flow.interface(), "v-shop-web");
  EXPECT_TRUE(flow.has_reply());
  EXPECT_FALSE(flow.reply());
  EXPECT_EQ(flow.ip().version(), 4U);
  EXPECT_EQ(flow.ip().source(), "10.0.0.1");
  EXPECT_EQ(flow.ip().destination(), "10.0.0.2");
  EXPECT_EQ(flow.l4().protocol(), "TCP");
  EXPECT_EQ(flow.l4().source_port(), kClientPort);
  EXPECT_EQ(flow.l4().destination_port(), 5432U);
  EXPECT_THAT(flow.l4().tcp_flags(), ElementsAre("SYN"));
  EXPECT_FALSE(flow.l4().has_icmp_type());
  EXPECT_EQ(flow.source().namespace_(), "shop");
  EXPECT_EQ(flow.source().workload(), "web");
  EXPECT_EQ(flow.source().identity(), record.entry.initiator.identity);
  EXPECT_THAT(flow.source().labels(), UnorderedElementsAre(Pair("app", "web"), Pair("tier", "front")));
  EXPECT_EQ(flow.source().entity(), "");
  EXPECT_FALSE(flow.source().has_process());
  EXPECT_EQ(flow.destination().workload(), "db");
  EXPECT_EQ(flow.destination().identity(), record.entry.responder.identity);
  EXPECT_THAT(Policies(flow), ElementsAre("NetworkPolicy shop/db ingress[0] ALLOW INGRESS"));
  EXPECT_EQ(flow.policies(0).api_version(), "networking.k8s.io/v1");
  EXPECT_EQ(flow.forward().packets(), 12U);
  EXPECT_EQ(flow.forward().bytes(), 3456U);
  EXPECT_EQ(flow.backward().packets(), 10U);
  EXPECT_EQ(flow.backward().bytes(), 2345U);
}

TEST_F(FlowAssemblerTest, BothEndsHaveTheirOwner) {
  policy::Resource web = scene_.world.resources().at({policy::Kind::kWorkload, {"shop", "web"}});
  auto workload = std::make_shared<policy::Workload>(*web.workload);
  workload->owner = std::make_shared<const policy::PodOwner>(policy::PodOwner{"Deployment", "web"});
  web.workload = std::move(workload);
  scene_.world.Put(web);
  scene_.world.Apply(
      "{apiVersion: v1, kind: Pod, metadata: {name: far, namespace: bank, uid: u-1, ownerReferences: [{apiVersion: "
      "apps/v1, kind: StatefulSet, name: far, controller: true}]}, status: {podIPs: [{ip: 10.0.9.9}]}}");
  const v1::Flow flow = Live(scene_.Record("shop/web", "bank/far", "80/TCP"));
  EXPECT_EQ(flow.source().owner().kind(), "Deployment");
  EXPECT_EQ(flow.source().owner().name(), "web");
  EXPECT_EQ(flow.destination().owner().kind(), "StatefulSet");
  EXPECT_FALSE(Live(scene_.Record("shop/db", "bank/far", "80/TCP")).source().has_owner()) << "nothing owns it";
}

TEST_F(FlowAssemblerTest, SourceIsWhoOpenedTheFlowOnWhicheverSideOfTheKey) {
  const v1::Flow up = Live(scene_.Record("shop/web", "shop/db", "5432/TCP"));
  EXPECT_EQ(up.ip().source(), "10.0.0.1");
  const v1::Flow down = Live(scene_.Record("shop/db", "shop/web", "80/TCP"));
  EXPECT_EQ(down.ip().source(), "10.0.0.2");
  EXPECT_EQ(down.ip().destination(), "10.0.0.1");
  EXPECT_EQ(down.l4().source_port(), kClientPort);
  EXPECT_EQ(down.l4().destination_port(), 80U);
  EXPECT_EQ(down.source().workload(), "db");
}

TEST_F(FlowAssemblerTest, DefaultDenyNamesTheIsolatingPolicies) {
  scene_.world.Apply(PolicyYaml("shop", "closed", "podSelector: {}"));
  scene_.world.Apply(
      PolicyYaml("shop", "db", "podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: 1}]}]"));
  const v1::Flow flow = Live(scene_.Record("shop/web", "shop/db", "5432/TCP"));
  EXPECT_EQ(flow.verdict(), v1::Flow::DROPPED);
  EXPECT_EQ(flow.drop_reason(), "POLICY_DENIED");
  EXPECT_THAT(Policies(flow), UnorderedElementsAre("NetworkPolicy shop/closed  DEFAULT_DENY INGRESS",
                                                   "NetworkPolicy shop/db  DEFAULT_DENY INGRESS"));
}

TEST_F(FlowAssemblerTest, OfADeniedFlowOnlyTheEndThatDeniesIsNamed) {
  scene_.world.Apply(PolicyYaml("shop", "out",
                                "podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], "
                                "egress: [{}]"));
  scene_.world.Apply(
      SluicePolicyYaml("shop", "never", "podSelector: {matchLabels: {app: db}}, ingress: [{action: Deny}]"));
  const v1::Flow flow = Live(scene_.Record("shop/web", "shop/db", "5432/TCP"));
  EXPECT_THAT(Policies(flow), ElementsAre("NetworkPolicy shop/never ingress[0] DENY INGRESS"));
  EXPECT_EQ(flow.policies(0).api_version(), "sluice.dev/v1alpha1");
}

TEST_F(FlowAssemblerTest, WhatQuarantineStopsNamesNoPolicy) {
  scene_.world.Apply(policy::PolicyYaml("shop", "db", "podSelector: {matchLabels: {app: db}}, ingress: [{}]"));
  auto record = scene_.Answered("shop/web", "shop/db", "5432/TCP");
  ASSERT_NE(record.entry.ingress_decision, 0U);
  record.entry.flags |= SL_CT_QUARANTINED;
  const v1::Flow cut = Live(record);
  EXPECT_EQ(cut.verdict(), v1::Flow::DROPPED);
  EXPECT_EQ(cut.drop_reason(), "QUARANTINED");
  EXPECT_EQ(cut.policies_size(), 0);
  record.entry.reason = SL_DROP_POLICY_DENIED;
  EXPECT_EQ(Live(record).drop_reason(), "QUARANTINED") << "whatever policy says";
}

TEST_F(FlowAssemblerTest, BothEndsOfAnAllowedFlowAreNamed) {
  scene_.world.Apply(PolicyYaml("shop", "out",
                                "podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], "
                                "egress: [{}]"));
  scene_.world.Apply(PolicyYaml("shop", "in", "podSelector: {matchLabels: {app: db}}, ingress: [{}]"));
  EXPECT_THAT(
      Policies(Live(scene_.Record("shop/web", "shop/db", "5432/TCP"))),
      ElementsAre("NetworkPolicy shop/out egress[0] ALLOW EGRESS", "NetworkPolicy shop/in ingress[0] ALLOW INGRESS"));
}

TEST_F(FlowAssemblerTest, PolicyInAuditSaysWhatItWouldHaveDone) {
  scene_.world.Apply(SluicePolicyYaml("shop", "trial", "podSelector: {matchLabels: {app: db}}, mode: Audit"));
  const v1::Flow flow = Live(scene_.Record("shop/web", "shop/db", "5432/TCP"));
  EXPECT_EQ(flow.verdict(), v1::Flow::AUDIT);
  EXPECT_EQ(flow.drop_reason(), "");
  EXPECT_THAT(Policies(flow), ElementsAre("NetworkPolicy shop/trial  AUDIT=DEFAULT_DENY INGRESS"));
}

TEST_F(FlowAssemblerTest, FlowThatNoPolicyIsolatesNamesNone) {
  EXPECT_THAT(Policies(Live(scene_.Record("shop/web", "shop/db", "5432/TCP"))), IsEmpty());
}

TEST_F(FlowAssemblerTest, DecisionThatNobodyRemembersIsLeftOut) {
  FlowRecord record = scene_.Record("shop/web", "shop/db", "5432/TCP");
  record.entry.ingress_decision = 12345;
  EXPECT_THAT(Policies(Live(record)), IsEmpty());
}

TEST_F(FlowAssemblerTest, SpoofedSourceIsTheWorkloadBehindTheInterface) {
  // web sends with bank/vault's address: the packet path stores web's end in the entry.
  FlowRecord record = scene_.Record("bank/vault", "shop/db", "5432/TCP");
  record.entry.reason = SL_DROP_SPOOFED_SOURCE;
  record.entry.initiator = scene_.Record("shop/web", "shop/db", "5432/TCP").entry.initiator;
  for (const v1::Flow& flow : {Sent(scene_.Event(record, SL_FLOW_NEW)), Live(record),
                               assembler_.Capture().Assemble(FromEndedRecord(record))}) {
    EXPECT_EQ(flow.drop_reason(), "SPOOFED_SOURCE");
    EXPECT_EQ(flow.ip().source(), "10.0.1.2");
    EXPECT_EQ(flow.source().namespace_(), "shop");
    EXPECT_EQ(flow.source().workload(), "web");
    EXPECT_EQ(flow.source().labels().at("app"), "web");
    EXPECT_EQ(flow.interface(), "v-shop-web");
  }
  record.entry.hook = SL_HOOK_TC_TO_POD;
  EXPECT_EQ(Live(record).source().workload(), "") << "the address is all that says whose it is";
}

TEST_F(FlowAssemblerTest, ProcessesOfBothEndsWhereTheyAreKnown) {
  FlowRecord record = scene_.Answered("shop/web", "shop/db", "5432/TCP");
  record.entry.initiator_process = 7;
  record.entry.responder_process = 8;
  EXPECT_FALSE(Live(record).source().has_process()) << "nobody names processes";
  assembler_.NameProcesses([](sl_process_id id, v1::Process* out) {
    out->set_pid(static_cast<std::uint32_t>(id));
    return id != 8;
  });
  EXPECT_EQ(Live(record).source().process().pid(), 7U);
  EXPECT_FALSE(Live(record).destination().has_process()) << "an id that is not known any more";
  record.entry.initiator_process = 0;
  EXPECT_FALSE(Live(record).source().has_process()) << "no process";
  record.entry.initiator_process = 9;
  record.entry.reason = SL_DROP_SPOOFED_SOURCE;
  EXPECT_EQ(Sent(scene_.Event(record, SL_FLOW_NEW)).source().process().pid(), 9U) << "its address lies, its socket not";
}

TEST_F(FlowAssemblerTest, NodeAndWorldAreEntities) {
  FlowRecord from_node = scene_.Record(policy::kNode4, "shop/db", "5432/TCP");
  from_node.entry.ingress_decision = 0;  // allowed, as in the packet path
  from_node.entry.reason = SL_DROP_NONE;
  const v1::Flow probe = Live(from_node);
  EXPECT_EQ(probe.exempt(), "FROM_NODE");
  EXPECT_EQ(Live(scene_.Record("shop/db", "shop/db", "5432/TCP")).exempt(), "TO_ITSELF");
  EXPECT_EQ(Live(scene_.Record("shop/web", "shop/db", "5432/TCP")).exempt(), "") << "no policy isolates";
  EXPECT_EQ(Live(scene_.Record("198.51.100.7", "shop/db", "5432/TCP")).exempt(), "");
  EXPECT_EQ(probe.source().entity(), "node");
  EXPECT_EQ(probe.source().workload(), "");
  EXPECT_TRUE(probe.source().has_identity());
  EXPECT_EQ(probe.direction(), v1::Flow::INGRESS);
  EXPECT_EQ(probe.interface(), "v-shop-db");
  EXPECT_EQ(Live(scene_.Record("shop/web", policy::kOutside4, "443/TCP")).destination().entity(), "world");
  EXPECT_EQ(Live(scene_.Record("fd00::1", policy::kOutside6, "443/TCP")).destination().entity(), "world");
}

TEST_F(FlowAssemblerTest, PodElsewhereIsNamed) {
  const v1::Flow flow = Live(scene_.Record("bank/web", "bank/far", "81/TCP"));
  EXPECT_EQ(flow.destination().workload(), "far");
  EXPECT_EQ(flow.destination().entity(), "");
}

TEST_F(FlowAssemblerTest, UnknownEndIsLeftOut) {
  FlowRecord record = scene_.Record("shop/web", "shop/db", "5432/TCP");
  record.entry.responder = {};
  const v1::Flow flow = Live(record);
  EXPECT_EQ(flow.destination().ByteSizeLong(), 0U);
  EXPECT_EQ(flow.ip().destination(), "10.0.0.2");
}

TEST_F(FlowAssemblerTest, WorkloadThatIsGoneIsStillNamed) {
  const FlowRecord record = scene_.Record("bank/vault", "shop/db", "5432/TCP");
  assembler_.Capture();
  scene_.world.Delete(policy::Kind::kWorkload, {"bank", "vault"});
  const v1::Flow flow = assembler_.Capture().Assemble(FromEndedRecord(record));
  EXPECT_EQ(flow.event(), v1::Flow::END);
  EXPECT_EQ(flow.source().namespace_(), "bank");
  EXPECT_EQ(flow.source().workload(), "vault");
  EXPECT_THAT(flow.source().labels(), ::testing::Contains(Pair("app", "vault")));
}

TEST_F(FlowAssemblerTest, WorkloadThatWasNeverKnownIsNotInvented) {
  FlowRecord record = scene_.Record("bank/vault", "shop/db", "5432/TCP");
  record.entry.initiator.workload ^= 0x5a5a5a5aU;
  const v1::Flow flow = Live(record);
  EXPECT_EQ(flow.source().workload(), "");
  EXPECT_TRUE(flow.source().labels().empty());
  EXPECT_EQ(flow.source().identity(), record.entry.initiator.identity);
}

TEST_F(FlowAssemblerTest, EventsKeepKindTimeInterfaceAndDirection) {
  FlowRecord record = scene_.Answered("shop/web", "shop/db", "5432/TCP");
  sl_flow_event event = scene_.Event(record, SL_FLOW_UPDATE);
  event.reply = 1;
  event.time_ns = scene_.clock.now() - 7;
  event.ifindex = record.entry.responder.ifindex;
  const v1::Flow flow = Sent(event);
  EXPECT_EQ(flow.event(), v1::Flow::UPDATE);
  EXPECT_TRUE(flow.reply());
  EXPECT_EQ(flow.interface(), "v-shop-db");
  EXPECT_EQ(TimeUtil::TimestampToNanoseconds(flow.time()),
            static_cast<std::int64_t>(FakeClock::kBoot + scene_.clock.now() - 7));
  EXPECT_EQ(Sent(scene_.Event(record, SL_FLOW_NEW)).event(), v1::Flow::NEW);
  event.ifindex = 9999;
  EXPECT_EQ(Sent(event).interface(), "");
}

TEST_F(FlowAssemblerTest, RecordsOfOnePacketAreNew) {
  FlowRecord record = scene_.Record("shop/web", "shop/db", "5432/TCP");
  EXPECT_EQ(Live(record).event(), v1::Flow::NEW);
  record.entry.last_seen_ns++;
  EXPECT_EQ(Live(record).event(), v1::Flow::UPDATE);
}

TEST_F(FlowAssemblerTest, XdpIsAHookOfItsOwn) {
  FlowRecord record = scene_.Record(policy::kOutside4, "shop/db", "5432/TCP");
  record.entry.hook = SL_HOOK_XDP_UPLINK;
  const v1::Flow flow = Live(record);
  EXPECT_EQ(flow.hook(), v1::Flow::XDP);
  EXPECT_EQ(flow.direction(), v1::Flow::INGRESS);
}

TEST_F(FlowAssemblerTest, TransportFactsAreThoseOfTheProtocol) {
  FlowRecord ping = scene_.Record("shop/web", "shop/db", "1");
  ping.entry.icmp_type = 8;
  const v1::Layer4 icmp = Live(ping).l4();
  EXPECT_EQ(icmp.protocol(), "ICMP");
  EXPECT_TRUE(icmp.has_icmp_type() && icmp.has_icmp_code());
  EXPECT_EQ(icmp.icmp_type(), 8U);
  EXPECT_EQ(icmp.icmp_code(), 0U);
  EXPECT_FALSE(icmp.has_source_port());

  const v1::Layer4 udp = Live(scene_.Record("shop/web", "shop/db", "53/UDP")).l4();
  EXPECT_EQ(udp.protocol(), "UDP");
  EXPECT_EQ(udp.destination_port(), 53U);
  EXPECT_THAT(udp.tcp_flags(), IsEmpty());

  EXPECT_EQ(Live(scene_.Record("shop/web", "shop/db", "9/SCTP")).l4().protocol(), "SCTP");
  const v1::Layer4 gre = Live(scene_.Record("shop/web", "shop/db", "47")).l4();
  EXPECT_EQ(gre.protocol(), "47");
  EXPECT_FALSE(gre.has_destination_port() || gre.has_icmp_type());
}

TEST_F(FlowAssemblerTest, Ipv6) {
  const v1::Flow flow = Live(scene_.Record("fd00::2", "fd00::1", "80/TCP"));
  EXPECT_EQ(flow.ip().version(), 6U);
  EXPECT_EQ(flow.ip().source(), "fd00::2");
  EXPECT_EQ(flow.source().workload(), "db");
}

TEST(FlowAssembler, WorksBeforeThereIsAPolicy) {
  Scene scene;
  FlowAssembler assembler("n", &scene.datapath,
                          {.compiled = [] { return nullptr; }, .decision = [](auto) { return nullptr; }},
                          scene.clock.reader());
  const v1::Flow flow = assembler.Capture().Assemble(FromRecord(scene.Record("shop/web", "shop/db", "80/TCP")));
  EXPECT_EQ(flow.source().workload(), "");
  EXPECT_EQ(flow.ip().source(), "10.0.0.1");
}

}  // namespace
}  // namespace sluice::telemetry
