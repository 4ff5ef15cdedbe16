// The section network: protocols of sockets, and peers.
#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/unit/policy_lsm/policies.h"

namespace sluice::policy::lsm {
namespace {

std::string Network(const std::string& rules, const std::string& action = "Block") {
  return "{network: {" + rules + "}, action: " + action + "}";
}

SocketCreation Socket(int family, int type, int protocol = 0) { return {{family, type, protocol}}; }

Contact To(const std::string& address, std::uint16_t port, std::uint8_t protocol = kTcp) {
  return {.address = *Address::Parse(address), .port = port, .protocol = protocol};
}

TEST(LsmNetwork, ProtocolsAreSockets) {
  struct SocketCase {
    Protocol protocol;
    SocketFacts matches, other;
  };
  const SocketFacts tcp{AF_INET, SOCK_STREAM, 0}, udp{AF_INET6, SOCK_DGRAM, 0};
  const std::vector<SocketCase> cases = {
      {Protocol::kTcp, {AF_INET6, SOCK_STREAM, IPPROTO_TCP}, udp},
      {Protocol::kTcp, {AF_INET, SOCK_STREAM, IPPROTO_MPTCP}, {AF_INET, SOCK_STREAM, IPPROTO_SCTP}},
      {Protocol::kTcp, tcp, {AF_VSOCK, SOCK_STREAM, 0}},
      {Protocol::kUdp, udp, tcp},
      {Protocol::kUdp, {AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE}, {AF_INET, SOCK_DGRAM, IPPROTO_ICMP}},
      {Protocol::kIcmp, {AF_INET, SOCK_DGRAM, IPPROTO_ICMP}, {AF_INET, SOCK_DGRAM, 0}},
      {Protocol::kIcmp, {AF_INET, SOCK_RAW, IPPROTO_ICMP}, {AF_INET6, SOCK_RAW, IPPROTO_ICMPV6}},
      {Protocol::kIcmpv6, {AF_INET6, SOCK_RAW, IPPROTO_ICMPV6}, {AF_INET, SOCK_RAW, IPPROTO_ICMP}},
      {Protocol::kSctp, {AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP}, tcp},
      {Protocol::kDccp, {AF_INET, SOCK_DCCP, IPPROTO_DCCP}, udp},
      {Protocol::kRaw, {AF_INET, SOCK_RAW, IPPROTO_TCP}, tcp},
      {Protocol::kPacket, {AF_PACKET, SOCK_RAW, 3}, {AF_INET, SOCK_RAW, IPPROTO_RAW}},
      {Protocol::kPacket, {AF_INET, SOCK_PACKET, 3}, udp},
      {Protocol::kStream, {AF_VSOCK, SOCK_STREAM, 0}, udp},
      {Protocol::kDgram, {AF_VSOCK, SOCK_DGRAM, 0}, tcp},
      {Protocol::kSeqpacket, {AF_VSOCK, SOCK_SEQPACKET, 0}, tcp},
      {Protocol::kRdm, {AF_TIPC, SOCK_RDM, 0}, udp},
      {Protocol::kAll, {AF_BLUETOOTH, SOCK_RAW, 0}, {AF_UNIX, SOCK_STREAM, 0}},
      {Protocol::kAll, tcp, {AF_NETLINK, SOCK_RAW, 0}},
  };
  for (const SocketCase& one : cases) {
    EXPECT_TRUE(Matches(one.protocol, one.matches)) << InfoOf(one.protocol).name;
    EXPECT_FALSE(Matches(one.protocol, one.other)) << InfoOf(one.protocol).name;
  }
  for (const ProtocolInfo& info : kProtocols) {
    EXPECT_FALSE(Matches(info.protocol, {AF_UNIX, SOCK_STREAM, 0})) << info.name;
    const auto policy = PolicyOf(Network(fmt::format("matchProtocols: [{{protocol: {}}}]", info.name)));
    EXPECT_EQ(policy->protocols[0].protocol, info.protocol);
  }
}

TEST(LsmNetwork, ProtocolsAreBlockedAuditedAndAllowed) {
  const std::string rule = "matchProtocols: [{protocol: TCP}]", at = "a spec.network.matchProtocols[0]";
  for (const ActionInfo& action : kActions) {
    const Policies policies({Network(rule, std::string(action.name))});
    EXPECT_EQ(policies.OnClosed(Socket(AF_INET, SOCK_STREAM)), std::string(action.name) + ": " + at);
    const std::string other = action.action == Action::kAllow ? "Block: posture " + at : "Allow";
    EXPECT_EQ(policies.OnClosed(Socket(AF_INET, SOCK_DGRAM)), other);
    EXPECT_EQ(policies.OnClosed(Socket(AF_UNIX, SOCK_STREAM)), "Allow");
    EXPECT_EQ(policies.OnClosed(To("192.0.2.1", 80)), "Allow");  // a list of its own
  }
}

TEST(LsmNetwork, ProtocolsMayBeOfOneProgram) {
  const std::string rule = "matchProtocols: [{protocol: tcp, fromSource: [{path: /usr/bin/curl}]}]";
  const std::string at = "a spec.network.matchProtocols[0]";
  const Subject curl{.program = "/usr/bin/curl"}, wget{.program = "/usr/bin/wget"};
  const Policies block({Network(rule)}), audit({Network(rule, "Audit")}), allow({Network(rule, "Allow")});
  EXPECT_EQ(block.On(Socket(AF_INET, SOCK_STREAM), curl), "Block: " + at);
  EXPECT_EQ(block.On(Socket(AF_INET, SOCK_STREAM), wget), "Allow");
  EXPECT_EQ(audit.On(Socket(AF_INET, SOCK_STREAM), curl), "Audit: " + at);
  EXPECT_EQ(allow.OnClosed(Socket(AF_INET, SOCK_STREAM), curl), "Allow: " + at);
  EXPECT_EQ(allow.OnClosed(Socket(AF_INET, SOCK_DGRAM), curl), "Block: posture " + at);
  EXPECT_EQ(allow.OnClosed(Socket(AF_INET, SOCK_DGRAM), wget), "Allow");
}

TEST(LsmNetwork, ProtocolsMayNeedATerminal) {
  const Policies block({Network("matchProtocols: [{protocol: tcp, pts: false}]")});
  EXPECT_EQ(block.On(Socket(AF_INET, SOCK_STREAM), {.terminal = true}), "Block: a spec.network.matchProtocols[0]");
  EXPECT_EQ(block.On(Socket(AF_INET, SOCK_STREAM), {.terminal = false}), "Allow");
}

TEST(LsmNetwork, NarrowProtocolsDecideBeforeWideOnes) {
  const std::string rules =
      "matchProtocols: [{protocol: icmp, action: Allow}, {protocol: raw, action: Block}, "
      "{protocol: all, action: Allow}]";
  const Policies policies({Network(rules)});
  EXPECT_EQ(policies.On(Socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)), "Allow: a spec.network.matchProtocols[0]");
  EXPECT_EQ(policies.On(Socket(AF_INET, SOCK_RAW, IPPROTO_TCP)), "Block: a spec.network.matchProtocols[1]");
  EXPECT_EQ(policies.On(Socket(AF_INET, SOCK_STREAM)), "Allow: a spec.network.matchProtocols[2]");
}

TEST(LsmNetwork, PeersAreBlockedAuditedAndAllowed) {
  const std::string rule = "matchPeers: [{cidr: 192.0.2.0/24, port: 8000, endPort: 8080, protocol: TCP}]";
  const std::string at = "a spec.network.matchPeers[0]";
  for (const ActionInfo& action : kActions) {
    const Policies policies({Network(rule, std::string(action.name))});
    const std::string does = std::string(action.name) + ": " + at;
    const std::string other = action.action == Action::kAllow ? "Block: posture " + at : "Allow";
    EXPECT_EQ(policies.OnClosed(To("192.0.2.7", 8000)), does);
    EXPECT_EQ(policies.OnClosed(To("192.0.2.7", 8080)), does);
    EXPECT_EQ(policies.OnClosed(To("192.0.2.7", 8081)), other);
    EXPECT_EQ(policies.OnClosed(To("192.0.2.7", 7999)), other);
    EXPECT_EQ(policies.OnClosed(To("192.0.3.7", 8000)), other);
    EXPECT_EQ(policies.OnClosed(To("192.0.2.7", 8000, kUdp)), other);
    EXPECT_EQ(policies.OnClosed(To("2001:db8::1", 8000)), other);
    EXPECT_EQ(policies.OnClosed(To("127.0.0.1", 8000)), "Allow");
    EXPECT_EQ(policies.OnClosed(To("::1", 8000)), "Allow");
    EXPECT_EQ(policies.OnClosed(Socket(AF_INET, SOCK_STREAM)), "Allow");  // a list of its own
  }
}

TEST(LsmNetwork, PeersMayBeOfOneProgram) {
  const std::string rule = "matchPeers: [{cidr: 10.0.0.0/8, fromSource: [{path: /usr/bin/curl}]}]";
  const std::string at = "a spec.network.matchPeers[0]";
  const Subject curl{.program = "/usr/bin/curl"}, wget{.program = "/usr/bin/wget"};
  const Policies block({Network(rule)}), audit({Network(rule, "Audit")}), allow({Network(rule, "Allow")});
  EXPECT_EQ(block.On(To("10.1.2.3", 53, kUdp), curl), "Block: " + at);
  EXPECT_EQ(block.On(To("10.1.2.3", 0, kIcmp), curl), "Block: " + at);
  EXPECT_EQ(block.On(To("10.1.2.3", 53), wget), "Allow");
  EXPECT_EQ(audit.On(To("10.1.2.3", 53), curl), "Audit: " + at);
  EXPECT_EQ(allow.OnClosed(To("10.1.2.3", 53), curl), "Allow: " + at);
  EXPECT_EQ(allow.OnClosed(To("192.0.2.1", 53), curl), "Block: posture " + at);
  EXPECT_EQ(allow.OnClosed(To("192.0.2.1", 53), wget), "Allow");
}

TEST(LsmNetwork, PrecisePeersDecide) {
  const std::string rules =
      "matchPeers: [{cidr: 0.0.0.0/0, action: Block}, {cidr: 10.0.0.0/8, action: Allow}, {cidr: 10.0.0.0/8, port: 22, "
      "action: Block}, {cidr: 10.0.0.0/8, port: 20, endPort: 30, action: Allow}, {cidr: 10.9.0.0/16, action: Block}, "
      "{cidr: 10.0.0.0/8, port: 22, protocol: sctp, action: Allow}]";
  const Policies policies({Network(rules)});
  const auto at = [](int i) { return fmt::format("a spec.network.matchPeers[{}]", i); };
  EXPECT_EQ(policies.On(To("192.0.2.1", 80)), "Block: " + at(0));
  EXPECT_EQ(policies.On(To("10.1.0.1", 80)), "Allow: " + at(1));
  EXPECT_EQ(policies.On(To("10.1.0.1", 22)), "Block: " + at(2));
  EXPECT_EQ(policies.On(To("10.1.0.1", 23)), "Allow: " + at(3));
  EXPECT_EQ(policies.On(To("10.9.0.1", 23)), "Block: " + at(4));
  EXPECT_EQ(policies.On(To("10.1.0.1", 22, kSctp)), "Allow: " + at(5));
  EXPECT_EQ(policies.On(To("2001:db8::1", 22)), "Audit: posture " + at(1));
}

TEST(LsmNetwork, RulesAreChecked) {
  const std::string peer = "spec.network.matchPeers[0]";
  Check({
      {Network("matchProtocols: [{protocol: ICMPv6}]"), Network("matchProtocols: [{protocol: tcp6}]"),
       "spec.network.matchProtocols[0].protocol: unknown protocol \"tcp6\": did you mean tcp?"},
      {Network("matchProtocols: [{protocol: all}]"), Network("matchProtocols: [{protocol: quictransport}]"),
       "spec.network.matchProtocols[0].protocol: unknown protocol \"quictransport\": known are tcp, udp, icmp, icmpv6, "
       "sctp, dccp, raw, packet, stream, dgram, seqpacket, rdm, all"},
      {Network("matchProtocols: [{protocol: all}]"), Network("matchProtocols: [{fromSource: [{path: /a}]}]"),
       "spec.network.matchProtocols[0].protocol: missing"},
      {Network("matchPeers: [{cidr: '2001:db8::/32'}]"), Network("matchPeers: [{cidr: 10.0.0.1}]"),
       peer + ".cidr: \"10.0.0.1\" is not a CIDR: no \"/length\""},
      {Network("matchPeers: [{cidr: '::/0'}]"), Network("matchPeers: [{port: 80}]"), peer + ".cidr: missing"},
      {Network("matchPeers: [{cidr: 10.0.0.0/8, port: 80}]"), Network("matchPeers: [{cidr: 10.0.0.0/8, port: 0}]"),
       peer + ".port: must be a decimal number from 1 to 65535, got 0"},
      {Network("matchPeers: [{cidr: 10.0.0.0/8, port: 80, endPort: 80}]"),
       Network("matchPeers: [{cidr: 10.0.0.0/8, port: 80, endPort: 79}]"), peer + ".endPort: 79 is below port 80"},
      {Network("matchPeers: [{cidr: 10.0.0.0/8, port: 80, endPort: 81}]"),
       Network("matchPeers: [{cidr: 10.0.0.0/8, endPort: 79}]"), peer + ".endPort: needs port beside it"},
      {Network("matchPeers: [{cidr: 10.0.0.0/8, protocol: udp}]"),
       Network("matchPeers: [{cidr: 10.0.0.0/8, protocol: icmp}]"),
       peer + ".protocol: must be tcp, udp or sctp, got \"icmp\""},
      {Network("matchPeers: [{cidr: 128.0.0.0/8}]"), Network("matchPeers: [{cidr: 127.0.0.0/8}]"),
       peer + ".cidr: loopback addresses never leave the workload, and are always allowed"},
      {Network("matchProtocols: [{protocol: udp}]"), Network("matchDNSQueries: [{domain: example.org}]"),
       "spec.network.matchDNSQueries: refused: rules about names are not possible yet: use matchPeers, with addresses"},
  });
  Check({{Network("matchProtocols: [{protocol: udp, fromSource: [{path: /a}]}]"),
          Network("matchProtocols: [{protocol: udp}]"),
          "spec.network.matchProtocols[0]: needs fromSource in a KubeArmorHostPolicy, or it is about every program of "
          "the node"},
         {Network("matchPeers: [{cidr: 10.0.0.0/8, fromSource: [{path: /a}]}]"),
          Network("matchPeers: [{cidr: 10.0.0.0/8}]"),
          peer + ": needs fromSource in a KubeArmorHostPolicy, or it is about every program of the node"}},
        Policy::Kind::kHost);
}

}  // namespace
}  // namespace sluice::policy::lsm
