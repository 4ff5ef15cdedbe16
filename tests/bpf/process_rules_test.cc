// Rules by process in the packet path: which flows are evaluated again, and when. The differential test checks the
// first verdict; tests/attribution checks the process behind a socket.
#include <gtest/gtest.h>

#include "kernel/bpf/testing/test_hooks.h"
#include "tests/support/effect_name.h"
#include "tests/support/sample_cluster.h"

namespace sluice::test {
namespace {

const policy::Process kPsql{.binary = "/usr/bin/psql", .script = "", .ancestors = {}, .more_ancestors = false};
const policy::Process kCurl{.binary = "/usr/bin/curl", .script = "", .ancestors = {}, .more_ancestors = false};
const policy::Process kPostgres{.binary = "/usr/sbin/postgres", .script = "", .ancestors = {}, .more_ancestors = false};

// psql in web may reach db; db may be reached where postgres listens.
constexpr char kEgress[] = R"(
apiVersion: sluice.dev/v1alpha1
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Egress]
  egress: [{ports: [{port: 5432}, {port: 53, protocol: UDP}], processes: {binaries: [/usr/bin/psql]}}]
)";
constexpr char kIngress[] = R"(
apiVersion: sluice.dev/v1alpha1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  policyTypes: [Ingress]
  ingress: [{ports: [{port: 5432}], processes: {binaries: [/usr/sbin/postgres]}}]
)";

class ProcessRules : public SampleCluster {
 protected:
  void TearDown() override {
    if (fixture_ == nullptr) return;
    Behind({}, {});
    Hooks().SetSockets(0, 0);
  }
  static bpf::TestHooks Hooks() { return bpf::TestHooks(fixture_->datapath().object()); }
  static Packet Udp4(const std::string& src, const std::string& dst, std::uint16_t port) {
    return Eth{} / Ipv4{.src = src, .dst = dst, .protocol = policy::kUdp} / Udp{.sport = 40000, .dport = port};
  }
  // Sets the sender, and the listening or answering process, from now on.
  static void Behind(const std::optional<policy::Process>& sender, const std::optional<policy::Process>& receiver) {
    const Status status = fixture_->SetProcesses(sender, receiver);
    ASSERT_TRUE(status.ok()) << status;
    ASSERT_TRUE(fixture_->ChangeSockets().ok());
  }
  // The same with new sockets, without a report of the change.
  static void BehindOthers(const std::optional<policy::Process>& sender,
                           const std::optional<policy::Process>& receiver) {
    static std::uint64_t sockets = 0;
    const Status status = fixture_->SetProcesses(sender, receiver);
    ASSERT_TRUE(status.ok()) << status;
    ++sockets;
    Hooks().SetSockets(sockets, sockets);
  }
  datapath::FlowRecord TheFlow() {
    const auto flows = Flows();
    EXPECT_EQ(flows.size(), 1U);
    return flows.empty() ? datapath::FlowRecord{} : flows[0];
  }
  static std::string RuleOf(std::uint32_t decision) {
    const auto found = fixture_->compiled().decisions.find(decision);
    if (found == fixture_->compiled().decisions.end() || found->second->contributions.empty()) return "none";
    const policy::Contribution& part = found->second->contributions[0];
    return fmt::format("{} {} {}", part.policy.ToString(), part.rule, EffectName(part.effect));
  }
};

TEST_F(ProcessRules, TheFirstPacketOfTheWrongProgramIsDropped) {
  Enforce(kEgress);
  for (const bool ipv6 : {false, true}) {
    SCOPED_TRACE(ipv6);
    const auto syn = [&](std::uint16_t port) { return ipv6 ? Tcp6(kWebIp6, kDbIp6, port) : Tcp4(kWebIp, kDbIp, port); };
    Behind(kCurl, {});
    EXPECT_EQ(FromPod(kWeb, syn(5432)).reason, SL_DROP_POLICY_DENIED);
    Behind({}, {});
    EXPECT_EQ(FromPod(kWeb, syn(5432)).reason, SL_DROP_POLICY_DENIED) << "nobody knows who sent it";
    Behind(kPsql, {});
    EXPECT_EQ(FromPod(kWeb, syn(81)).reason, SL_DROP_POLICY_DENIED);
    EXPECT_TRUE(FromPod(kWeb, syn(5432)).forwarded);
    ASSERT_TRUE(fixture_->ForgetFlows().ok());
  }
}

TEST_F(ProcessRules, TheRecordNamesTheRule) {
  Enforce(kEgress);
  Behind(kCurl, {});
  ASSERT_FALSE(FromPod(kWeb, Tcp4(kWebIp, kDbIp, 5432)).forwarded);
  EXPECT_EQ(RuleOf(TheFlow().entry.egress_decision), "shop/web  DEFAULT_DENY");
  Behind(kPsql, {});
  ASSERT_TRUE(FromPod(kWeb, Tcp4(kWebIp, kDbIp, 5432)).forwarded);
  const auto flows = Flows();
  const auto allowed = std::find_if(flows.begin(), flows.end(), [](const auto& f) { return f.entry.reason == 0; });
  ASSERT_NE(allowed, flows.end());
  EXPECT_EQ(RuleOf(allowed->entry.egress_decision), "shop/web egress[0] ALLOW");
}

TEST_F(ProcessRules, AnotherProcessOnTheSocketIsJudgedAnew) {
  Enforce(kEgress);
  Behind(kPsql, {});
  ASSERT_TRUE(FromPod(kWeb, ToDb(kSyn)).forwarded);
  ASSERT_TRUE(FromPod(kDb, ToWeb(kSyn | kAck)).forwarded);
  ASSERT_TRUE(FromPod(kWeb, ToDb(kAck)).forwarded);
  Behind(kCurl, {});
  EXPECT_EQ(FromPod(kWeb, ToDb(kAck)).reason, SL_DROP_POLICY_DENIED);
  EXPECT_EQ(FromPod(kDb, ToWeb(kAck)).reason, SL_DROP_POLICY_DENIED) << "the flow is cut in both directions";
  EXPECT_TRUE(TheFlow().entry.flags & SL_CT_REVOKED);
  Behind(kPsql, {});
  EXPECT_TRUE(FromPod(kWeb, ToDb(kAck)).forwarded) << "it is back";
  EXPECT_TRUE(FromPod(kDb, ToWeb(kAck)).forwarded);
  EXPECT_FALSE(TheFlow().entry.flags & SL_CT_REVOKED);
}

TEST_F(ProcessRules, EachDatagramIsItsSendersOwn) {
  Enforce(kEgress);
  for (int i = 0; i < 3; ++i) {
    Behind(kPsql, {});
    EXPECT_TRUE(FromPod(kWeb, Udp4(kWebIp, kDbIp, 53)).forwarded);
    Behind(kCurl, {});
    EXPECT_FALSE(FromPod(kWeb, Udp4(kWebIp, kDbIp, 53)).forwarded);
  }
}

TEST_F(ProcessRules, FlowsThatLiveAreKeptOnlyFromNewPolicies) {
  Enforce(kEgress);
  ASSERT_TRUE(fixture_->datapath().Configure(SL_SETTING_KEEP_ESTABLISHED).ok());
  Behind(kPsql, {});
  ASSERT_TRUE(FromPod(kWeb, ToDb(kSyn)).forwarded);
  ASSERT_TRUE(FromPod(kDb, ToWeb(kSyn | kAck)).forwarded);
  Behind(kCurl, {});
  EXPECT_FALSE(FromPod(kWeb, ToDb(kAck)).forwarded);
  ASSERT_TRUE(fixture_->datapath().Configure(0).ok());
}

TEST_F(ProcessRules, APolicyThatComesLaterJudgesByTheProcessThatIsKnown) {
  Enforce();
  Behind(kCurl, {});
  ASSERT_TRUE(FromPod(kWeb, ToDb(kSyn)).forwarded);
  ASSERT_TRUE(FromPod(kDb, ToWeb(kSyn | kAck)).forwarded);
  Enforce(kEgress);
  Behind(kCurl, {});  // its class matches with the new patterns
  EXPECT_FALSE(FromPod(kDb, ToWeb(kAck)).forwarded) << "no packet of its own is needed";
}

TEST_F(ProcessRules, IngressAsksWhoListens) {
  Enforce(kIngress);
  Behind({}, kCurl);
  EXPECT_EQ(FromPod(kWeb, Tcp4(kWebIp, kDbIp, 5432)).reason, SL_DROP_POLICY_DENIED);
  EXPECT_EQ(ToPod(kDb, kElsewhere, Tcp4(kRemoteIp, kDbIp, 5432)).reason, SL_DROP_POLICY_DENIED);
  Behind({}, {});
  EXPECT_EQ(ToPod(kDb, kElsewhere, Tcp4(kRemoteIp, kDbIp, 5432)).reason, SL_DROP_POLICY_DENIED) << "nobody does";
  Behind({}, kPostgres);
  EXPECT_TRUE(FromPod(kWeb, Tcp4(kWebIp, kDbIp, 5432)).forwarded);
  EXPECT_TRUE(ToPod(kDb, kElsewhere, Tcp4(kRemoteIp, kDbIp, 5432)).forwarded);
}

TEST_F(ProcessRules, WhoAnswersIsJudgedAnew) {
  Enforce(kIngress);
  Behind({}, kPostgres);
  ASSERT_TRUE(FromPod(kWeb, ToDb(kSyn)).forwarded);
  Behind(kPostgres, {});  // the sender is now on db's side
  ASSERT_TRUE(FromPod(kDb, ToWeb(kSyn | kAck)).forwarded);
  Behind(kCurl, {});
  EXPECT_EQ(FromPod(kDb, ToWeb(kAck)).reason, SL_DROP_POLICY_DENIED);
}

TEST_F(ProcessRules, XdpLeavesToTcWhatItCannotAsk) {
  Enforce(kIngress);
  Behind({}, kCurl);
  const Frame syn = Tcp4(kRemoteIp, kDbIp, 5432).ToFrame();
  EXPECT_TRUE(FromWire(syn).forwarded);
  EXPECT_TRUE(Flows().empty());
  EXPECT_FALSE(ToPod(kDb, kElsewhere, syn).forwarded);
  Behind({}, kPostgres);
  EXPECT_TRUE(FromWire(syn).forwarded);
  EXPECT_TRUE(ToPod(kDb, kElsewhere, syn).forwarded);
  EXPECT_TRUE(FromWire(syn).forwarded) << "now it is known there, too";
  EXPECT_FALSE(FromWire(Tcp4(kRemoteIp, kDbIp, 81)).forwarded) << "no rule by process matches";
}

TEST_F(ProcessRules, AOneWayFlowAsksItsListenerWhenThePolicyComes) {
  Enforce();
  Behind({}, kPostgres);
  const Frame datagram = Udp4(kRemoteIp, kDbIp, 5432).ToFrame();
  ASSERT_TRUE(ToPod(kDb, kElsewhere, datagram).forwarded);
  std::string policy = kIngress;
  policy.replace(policy.find("{port: 5432}"), 12, "{port: 5432, protocol: UDP}");
  Enforce(policy);
  Behind({}, kPostgres);
  EXPECT_TRUE(FromWire(datagram).forwarded) << "left to tc";
  EXPECT_TRUE(ToPod(kDb, kElsewhere, datagram).forwarded);
  Enforce();
  Enforce(policy);
  Behind({}, kPostgres);
  Behind({}, kCurl);
  EXPECT_FALSE(ToPod(kDb, kElsewhere, datagram).forwarded) << "whoever it was for: curl would get this one";
}

TEST_F(ProcessRules, WhatAnotherSocketSendsIsJudgedAnew) {
  Enforce(kEgress);
  for (const bool tcp : {false, true}) {
    SCOPED_TRACE(tcp);
    const Frame packet = tcp ? ToDb(kAck).ToFrame() : Udp4(kWebIp, kDbIp, 53).ToFrame();
    BehindOthers(kPsql, {});
    if (tcp) {
      ASSERT_TRUE(FromPod(kWeb, ToDb(kSyn)).forwarded);
      ASSERT_TRUE(FromPod(kDb, ToWeb(kSyn | kAck)).forwarded);
    }
    ASSERT_TRUE(FromPod(kWeb, packet).forwarded);
    ASSERT_TRUE(FromPod(kWeb, packet).forwarded) << "plain";
    BehindOthers(kCurl, {});
    EXPECT_EQ(FromPod(kWeb, packet).reason, SL_DROP_POLICY_DENIED);
    EXPECT_EQ(FromPod(kWeb, packet).reason, SL_DROP_POLICY_DENIED);
    BehindOthers(kPsql, {});
    EXPECT_TRUE(FromPod(kWeb, packet).forwarded) << "its own again";
    BehindOthers(kPsql, {});
    EXPECT_TRUE(FromPod(kWeb, packet).forwarded) << "a socket of a process of the same class";
    ASSERT_TRUE(fixture_->ForgetFlows().ok());
  }
}

TEST_F(ProcessRules, WhatAnotherSocketWouldReceiveIsJudgedAnew) {
  std::string policy = kIngress;
  policy.replace(policy.find("{port: 5432}"), 12, "{port: 5432, protocol: UDP}");
  Enforce(policy);
  const Frame datagram = Udp4(kRemoteIp, kDbIp, 5432).ToFrame();
  BehindOthers({}, kPostgres);
  ASSERT_TRUE(ToPod(kDb, kElsewhere, datagram).forwarded);
  EXPECT_TRUE(FromWire(datagram).forwarded);
  EXPECT_TRUE(ToPod(kDb, kElsewhere, datagram).forwarded);
  BehindOthers({}, kCurl);
  EXPECT_TRUE(FromWire(datagram).forwarded) << "left to tc";
  EXPECT_EQ(ToPod(kDb, kElsewhere, datagram).reason, SL_DROP_POLICY_DENIED);
  EXPECT_TRUE(FromWire(datagram).forwarded) << "left to tc, as the next one may be postgres's again";
  BehindOthers({}, kPostgres);
  EXPECT_TRUE(ToPod(kDb, kElsewhere, datagram).forwarded);
}

// The reverse case: a client's answers belong to the client.
TEST_F(ProcessRules, TheAnswerToAnotherSocketIsJudgedAnew) {
  Enforce(kEgress);
  const Frame question = Udp4(kWebIp, kDbIp, 53).ToFrame();
  const Frame answer =
      (Eth{} / Ipv4{.src = kDbIp, .dst = kWebIp, .protocol = policy::kUdp} / Udp{.sport = 53, .dport = 40000})
          .ToFrame();
  BehindOthers(kPsql, {});
  ASSERT_TRUE(FromPod(kWeb, question).forwarded);
  BehindOthers(kPostgres, kPsql);
  Hooks().SetSockets(1000, TheFlow().entry.initiator_socket);
  EXPECT_TRUE(FromPod(kDb, answer).forwarded);
  EXPECT_TRUE(ToPod(kWeb, kDb, answer).forwarded);
  BehindOthers(kPostgres, kCurl);
  EXPECT_TRUE(FromPod(kDb, answer).forwarded) << "the last hook asks who receives it";
  EXPECT_EQ(ToPod(kWeb, kDb, answer).reason, SL_DROP_POLICY_DENIED);
}

TEST_F(ProcessRules, FlowsThatNoRuleByProcessDecidesAreNot) {
  Enforce(std::string(kEgress) + "---" + kIngress);
  Behind(kPsql, kPostgres);
  ASSERT_TRUE(FromPod(kWeb, ToDb(kSyn)).forwarded);
  EXPECT_EQ(TheFlow().entry.flags & (SL_CT_BY_INITIATOR | SL_CT_BY_RESPONDER),
            static_cast<unsigned>(SL_CT_BY_INITIATOR | SL_CT_BY_RESPONDER));
  ASSERT_TRUE(fixture_->ForgetFlows().ok());
  ASSERT_TRUE(FromPod(kOther, Tcp4(kOtherIp, kRemoteIp, 443)).forwarded);
  EXPECT_EQ(TheFlow().entry.flags & (SL_CT_BY_INITIATOR | SL_CT_BY_RESPONDER), 0U);
}

}  // namespace
}  // namespace sluice::test
