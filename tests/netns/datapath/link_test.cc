// The sender of a packet: foreign packets with a local pod's address, the node's reactions to others' packets, frames
// with others' MAC addresses, and link control that leaves a pod. Each with the allowed counterpart.
#include <gmock/gmock.h>

#include "testbed/command.h"
#include "testbed/raw_link.h"
#include "tests/netns/datapath/fixture.h"

namespace sluice::test {
namespace {

using testing::HasSubstr;

constexpr std::uint16_t kClosedPort = 9999;

std::vector<std::uint8_t> Address6(const std::string& text) {
  const auto address = policy::Address::Parse(text);
  EXPECT_TRUE(address.ok()) << text;
  return {address->bytes().begin(), address->bytes().end()};
}

// For a SYN from `src` to port 7 of `dst`; the firewall answers only a correct one.
Frame SynWithChecksum(const Eth& eth, const std::string& src, const std::string& dst) {
  Frame frame = (eth / Ipv4{.src = src, .dst = dst} / Tcp{.sport = 5000, .dport = 7}).ToFrame();
  std::uint32_t sum = 6 + 20;  // protocol and length
  for (std::size_t i = 14 + 12; i < frame.size(); i += 2) sum += frame[i] << 8 | frame[i + 1];
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  frame[14 + 20 + 16] = static_cast<std::uint8_t>(~sum >> 8);
  frame[14 + 20 + 17] = static_cast<std::uint8_t>(~sum);
  return frame;
}

class Links : public DatapathFixture {
 protected:
  void Start(Wiring wiring, bool outside = false) {
    Build({.wiring = wiring, .pods = {}, .outside = outside});
    if (!HasFatalFailure()) Open();
  }

  RawLink At(const std::string& pod) {
    auto link = RawLink::Open(node_->netns(Pod(pod)).fd(), "eth0");
    EXPECT_TRUE(link.ok()) << link.status();
    return *std::move(link);
  }
  void Send(const RawLink& link, const Packet& packet) {
    const Status sent = link.Send(packet.ToFrame());
    ASSERT_TRUE(sent.ok()) << sent;
  }
  void OnNode(const Arguments& command, const std::string& input = {}) {
    const Status done = node_->Run([&] { return RunChecked(command, input); });
    ASSERT_TRUE(done.ok()) << done;
  }
  // Turns on connection tracking, and with it the reassembly of fragments.
  void Track() {
    OnNode({"nft", "-f", "-"},
           "table inet t { chain c { type filter hook forward priority 0; ct state new counter; }; }");
  }

  // To the node as router, or to the node's end of a veth.
  Eth ToNode(const std::string& from) const { return {.dst = Pod(from).host_mac, .src = Pod(from).pod_mac}; }

  ProbeOutcome FromNode(const std::string& address, std::uint8_t protocol) {
    const auto results = RunProbes({{.netns_fd = node_->fd(),
                                     .destination = *policy::Address::Parse(address),
                                     .protocol = protocol,
                                     .port = kPort,
                                     .timeout = std::chrono::seconds(3)}});
    return results.ok() ? results->front().outcome : ProbeOutcome::kError;
  }
  std::string PingFromNode(const Arguments& arguments) {
    Arguments all{"ping", "-c1", "-W3"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    std::string output;
    const Status ran = node_->Run([&]() -> Status {
      SL_ASSIGN_OR_RETURN(const CommandResult result, RunCommand(all));
      output = result.output;
      return OkStatus();
    });
    EXPECT_TRUE(ran.ok()) << ran;
    return output;
  }

  // Nothing reaches db, and db reaches nothing.
  static std::string CloseDb() {
    return "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: closed, namespace: shop}\n"
           "spec: {podSelector: {matchLabels: {app: db}}, policyTypes: [Ingress, Egress]}\n---\n";
  }

  // A datagram in two fragments. The first has so many options before its fragment header that the node cannot forward
  // the reassembled packet as it came, and has to fragment it again.
  void SendInFragments(const RawLink& link, const Eth& eth, const std::string& src, const std::string& dst,
                       std::uint16_t port, const std::string& mark) {
    static std::uint32_t id = 100;
    ++id;
    const Ipv6Option options{.header = 60, .extra_words = 26};
    const Ipv6 ip{.src = src, .dst = dst};
    Send(link, eth / ip / options / Ipv6Fragment{.id = id} / Udp{.sport = 5000, .dport = port} / Marked(mark, 1000));
    Send(link, eth / ip / Ipv6Fragment{.id = id, .offset = 1008 / 8, .more = false, .next = 17} / Payload{64} /
                   Marked(mark + "-later", 336));
  }
};

TEST_F(Links, WhatTheNodePutTogetherIsNotItsOwn) {
  Start(Wiring::kRouted, true);
  Enforce(CloseDb());
  Track();
  ASSERT_FALSE(HasFatalFailure());
  const RawLink outside = At("outside");
  RawLink web = At("web"), db = At("db");
  SendInFragments(outside, ToNode("outside"), "2001:db8::2", Pod("web").ip6, kClosedPort, "to-web");
  EXPECT_TRUE(web.Sees("to-web")) << "the twin: web is open";
  EXPECT_TRUE(web.Sees("to-web-later"));
  SendInFragments(outside, ToNode("outside"), "2001:db8::2", Pod("db").ip6, kClosedPort, "to-db");
  EXPECT_TRUE(db.SeesNot("to-db"));
  Send(outside, ToNode("outside") / Ipv6{.src = "2001:db8::2", .dst = Pod("db").ip6} /
                    Udp{.sport = 5000, .dport = kClosedPort} / Marked("afterwards"));
  EXPECT_TRUE(db.SeesNot("afterwards")) << "no flow was opened";
  // With the address of web, which is allowed.
  Enforce(DbPolicy());
  SendInFragments(outside, ToNode("outside"), Pod("web").ip6, Pod("db").ip6, kPort, "as-web");
  EXPECT_TRUE(db.SeesNot("as-web"));
  SendInFragments(At("web"), ToNode("web"), Pod("web").ip6, Pod("db").ip6, kPort, "by-web");
  EXPECT_TRUE(db.Sees("by-web")) << "the twin: web itself";
  EXPECT_TRUE(db.Sees("by-web-later"));
  EXPECT_THAT(Run("web", {"ping", "-6", "-c1", "-W3", "-s4000", Pod("other").ip6}), HasSubstr("1 received"));
  EXPECT_THAT(PingFromNode({"-6", "-s4000", Pod("db").ip6}), HasSubstr("1 received")) << "the node's own fragments";
  EXPECT_THAT(PingFromNode({"-s4000", Pod("db").ip4}), HasSubstr("1 received"));
}

TEST_F(Links, WhatTheNodesFirewallAnswersIsNotItsOwn) {
  Start(Wiring::kRouted, true);
  Enforce(CloseDb());
  OnNode({"nft", "-f", "-"},
         "table inet t { chain c { type filter hook forward priority 0; tcp dport 7 reject with tcp reset; }; }");
  ASSERT_FALSE(HasFatalFailure());
  const RawLink outside = At("outside");
  // The node resets a connection that db never opened.
  ASSERT_TRUE(outside.Send(SynWithChecksum(ToNode("outside"), Pod("db").ip4, "192.0.2.77")).ok());
  ASSERT_TRUE(outside.Send(SynWithChecksum(ToNode("outside"), Pod("db").ip4, Pod("web").ip4)).ok());
  const auto refused = [&] {
    return Packets(SL_HOOK_TC_TO_POD, SL_DROP_POLICY_DENIED) + Packets(SL_HOOK_TC_TO_POD, SL_DROP_SPOOFED_SOURCE);
  };
  for (int i = 0; i < 300 && refused() < 2; ++i) usleep(10000);
  EXPECT_EQ(Packets(SL_HOOK_TC_TO_POD, SL_DROP_POLICY_DENIED), 1u);
  EXPECT_EQ(Packets(SL_HOOK_TC_TO_POD, SL_DROP_SPOOFED_SOURCE), 1u) << "in the name of a local pod";
  // The counterpart: the answer to a pod's own request.
  EXPECT_EQ(Probe("web", "other", 7), ProbeOutcome::kRefused);
}

TEST_F(Links, AStrangerWithALocalAddressIsNobody) {
  Start(Wiring::kRouted, true);
  Enforce(DbPolicy());
  ASSERT_FALSE(HasFatalFailure());
  const RawLink outside = At("outside"), web_sends = At("web");
  RawLink db = At("db"), web = At("web");
  Send(outside,
       ToNode("outside") / Ipv6{.src = Pod("web").ip6, .dst = Pod("db").ip6} / Udp{.dport = kPort} / Marked("v6"));
  Send(outside,
       ToNode("outside") / Ipv4{.src = Pod("web").ip4, .dst = Pod("db").ip4} / Udp{.dport = kPort} / Marked("v4"));
  Send(web_sends,
       ToNode("web") / Ipv6{.src = Pod("web").ip6, .dst = Pod("db").ip6} / Udp{.dport = kPort} / Marked("own6"));
  Send(web_sends,
       ToNode("web") / Ipv4{.src = Pod("web").ip4, .dst = Pod("db").ip4} / Udp{.dport = kPort} / Marked("own4"));
  EXPECT_TRUE(db.Sees("own6"));
  EXPECT_TRUE(db.Sees("own4"));
  Send(outside,
       ToNode("outside") / Ipv6{.src = Pod("web").ip6, .dst = Pod("db").ip6} / Udp{.dport = kPort} / Marked("late"));
  EXPECT_TRUE(db.SeesNot("late")) << "into a flow that web has opened";
  EXPECT_TRUE(db.SeesNot("v6"));
  EXPECT_TRUE(db.SeesNot("v4"));
  EXPECT_EQ(Packets(SL_HOOK_TC_TO_POD, SL_DROP_SPOOFED_SOURCE), 3u);
  Send(outside,
       ToNode("outside") / Ipv4{.src = "192.0.2.2", .dst = Pod("web").ip4} / Udp{.dport = kPort} / Marked("itself"));
  EXPECT_TRUE(web.Sees("itself")) << "in its own name";
}

TEST_F(Links, ATunnelToTheOwnNodeMakesNobodyElse) {
  Start(Wiring::kRouted);
  Enforce(DbPolicy());
  ASSERT_TRUE(node_->netns()
                  .Ip(fmt::format("link add vx0 address 02:00:00:00:77:01 type vxlan id 7 dstport 4789 local {}\n"
                                  "link set vx0 up\n",
                                  node_->ip4()))
                  .ok());
  ASSERT_FALSE(HasFatalFailure());
  const RawLink other = At("other");
  RawLink db = At("db"), web = At("web");
  const auto wrapped = [&](const std::string& src, const std::string& dst, const std::string& mark) {
    const Packet inner = Eth{.dst = "02:00:00:00:77:01", .src = "02:00:00:00:77:02"} / Ipv4{.src = src, .dst = dst} /
                         Udp{.dport = kPort} / Marked(mark);
    return ToNode("other") / Ipv4{.src = Pod("other").ip4, .dst = node_->ip4()} / Udp{.dport = 4789} /
           Raw{{8, 0, 0, 0, 0, 0, 7, 0}} / Raw{inner.ToFrame()};
  };
  Send(other, wrapped("10.9.9.9", Pod("web").ip4, "stranger"));
  EXPECT_TRUE(web.Sees("stranger")) << "the tunnel is there";
  Send(other, wrapped(Pod("web").ip4, Pod("db").ip4, "as-web"));
  EXPECT_TRUE(db.SeesNot("as-web"));
  EXPECT_GE(Packets(SL_HOOK_TC_TO_POD, SL_DROP_SPOOFED_SOURCE), 1u);
}

// On a bridge that has forgotten db's port.
TEST_F(Links, WhatIsFloodedIsDroppedWhereItDoesNotBelong) {
  Start(Wiring::kBridged);
  Enforce(DbPolicy());
  OnNode({"ip", "link", "set", "br0", "type", "bridge", "ageing_time", "0"});
  ASSERT_FALSE(HasFatalFailure());
  RawLink other = At("other");
  for (int i = 0; i < 3; ++i) ExpectAll("web", "db", ProbeOutcome::kAllowed);
  EXPECT_GT(Packets(SL_HOOK_TC_TO_POD, SL_DROP_WRONG_RECEIVER), 0u);
  RawLink db = At("db");
  Send(At("web"), Eth{.dst = Pod("db").pod_mac, .src = Pod("web").pod_mac} /
                      Ipv4{.src = Pod("web").ip4, .dst = Pod("db").ip4} / Udp{.dport = kPort} / Marked("for-db"));
  EXPECT_TRUE(db.Sees("for-db"));
  EXPECT_TRUE(other.SeesNot("for-db"));
}

TEST_F(Links, RoutedThroughTheirBridgeLocalPodsReachEachOther) {
  Start(Wiring::kBridged);
  Enforce(DbPolicy());
  for (const char* pod : {"web", "db"}) {
    Run(pod, {"ip", "route", "del", "10.1.0.0/24"});
    Run(pod, {"ip", "route", "add", node_->ip4(), "dev", "eth0"});
    Run(pod, {"ip", "route", "replace", "default", "via", node_->ip4()});
  }
  OnNode({"sysctl", "-qw", "net.ipv4.conf.all.send_redirects=0", "net.ipv4.conf.br0.send_redirects=0"});
  EXPECT_EQ(Probe("web", "db", kPort), ProbeOutcome::kAllowed);
  EXPECT_EQ(Probe("web", "db", kPort, policy::kUdp), ProbeOutcome::kAllowed);
  EXPECT_EQ(Probe("db", "other", kPort), ProbeOutcome::kAllowed);
}

TEST_F(Links, NoFrameWithAnothersMac) {
  Start(Wiring::kBridged);
  Enforce(DbPolicy());
  ASSERT_FALSE(HasFatalFailure());
  RawLink other = At("other");
  const auto steal = [&](const Packet& rest) {
    for (int i = 0; i < 3; ++i) Send(other, rest);
  };
  const Eth stolen{.dst = Pod("web").pod_mac, .src = Pod("db").pod_mac};
  // The same for a known, allowed flow.
  ExpectAll("other", "web", ProbeOutcome::kAllowed);
  Send(other, Eth{.dst = Pod("web").pod_mac, .src = Pod("other").pod_mac} /
                  Ipv4{.src = Pod("other").ip4, .dst = Pod("web").ip4} / Udp{.dport = kPort} / Marked("first"));
  steal(stolen / Ipv4{.src = Pod("other").ip4, .dst = Pod("web").ip4} / Udp{.dport = kPort} / Marked("known"));
  steal(Eth{.dst = "ff:ff:ff:ff:ff:ff", .src = Pod("db").pod_mac, .type = 0x0806} / Payload{28});
  std::string fdb;
  const Status read = node_->Run([&]() -> Status {
    SL_ASSIGN_OR_RETURN(const CommandResult result, RunCommand({"bridge", "fdb", "show", "br", "br0"}));
    fdb = result.output;
    return OkStatus();
  });
  ASSERT_TRUE(read.ok()) << read;
  EXPECT_THAT(fdb, testing::Not(HasSubstr(fmt::format("{} dev {}", Pod("db").pod_mac, Pod("other").host_interface))));
  ExpectAll("web", "db", ProbeOutcome::kAllowed);
  // Changing its MAC does not give it the other pod's MAC.
  Run("other", {"ip", "link", "set", "eth0", "address", Pod("db").pod_mac});
  Enforce(DbPolicy());
  EXPECT_EQ(Probe("other", "web", kPort), ProbeOutcome::kTimeout);
  ExpectAll("web", "db", ProbeOutcome::kAllowed);
  Run("other", {"ip", "link", "set", "eth0", "address", Pod("other").pod_mac});
  ExpectAll("other", "web", ProbeOutcome::kAllowed);
}

TEST_F(Links, LinkControlStaysOnItsLink) {
  Start(Wiring::kRouted, true);
  Enforce(DbPolicy());
  ASSERT_TRUE(datapath_->SetQuarantine(2, true).ok());  // db
  RawLink outside = At("outside");
  const RawLink db = At("db");
  const Ipv6 away{.src = Pod("db").ip6, .dst = "2001:db8::2", .hop_limit = 255};
  Send(db, ToNode("db") / away / Icmp{.type = 136} / Marked("leaked", 1000));
  Send(db, ToNode("db") / away / Icmp{.type = 136} / Raw{Address6(Pod("db").ip6)} / Marked("leaked", 8));
  Send(db, ToNode("db") / Ipv6{.src = Pod("web").ip6, .dst = "2001:db8::2", .hop_limit = 255} / Icmp{.type = 135} /
               Marked("leaked", 16));
  EXPECT_TRUE(outside.SeesNot("leaked"));
  const auto counters = datapath_->ReadCounters();
  ASSERT_TRUE(counters.ok()) << counters.status();
  EXPECT_EQ(counters->endpoints.at(2).egress[SL_DROP_LINK_CONTROL].packets +
                counters->endpoints.at(2).egress[SL_DROP_SPOOFED_SOURCE].packets,
            3u);
}

TEST_F(Links, NoPodIsItsNeighboursRouter) {
  Start(Wiring::kBridged);
  Enforce(DbPolicy());
  ASSERT_FALSE(HasFatalFailure());
  Run("db", {"sysctl", "-qw", "net.ipv6.conf.eth0.accept_ra=2"});
  const RawLink other = At("other");
  RawLink db = At("db");
  const std::string link_local = "fe80::ff:fe02:102";
  EXPECT_THAT(Run("other", {"ip", "-6", "addr", "show", "dev", "eth0", "scope", "link"}), HasSubstr(link_local));
  Send(other, Eth{.dst = "33:33:00:00:00:01", .src = Pod("other").pod_mac} /
                  Ipv6{.src = link_local, .dst = "ff02::1", .hop_limit = 255} / Icmp{.type = 134} /
                  Marked("advertisement", 24));
  EXPECT_TRUE(db.SeesNot("advertisement"));
  EXPECT_THAT(Run("db", {"ip", "-6", "route", "show", "default"}), testing::Not(HasSubstr(link_local)));
}

class NodesProbes : public Links, public testing::WithParamInterface<TestNode::Wiring> {};

TEST_P(NodesProbes, ReachAClosedPod) {
  Start(GetParam());
  Enforce(CloseDb());
  Track();
  ASSERT_FALSE(HasFatalFailure());
  for (const std::string& address : {Pod("db").ip4, Pod("db").ip6}) {
    EXPECT_EQ(FromNode(address, policy::kTcp), ProbeOutcome::kAllowed) << address;
    EXPECT_EQ(FromNode(address, policy::kUdp), ProbeOutcome::kAllowed) << address;
    EXPECT_THAT(PingFromNode({address}), HasSubstr("1 received"));
  }
  // Answers of the node's kernel.
  for (const std::string& address : {node_->ip4(), node_->ip6()}) {
    EXPECT_THAT(Run("web", {"ping", "-c1", "-W3", address}), HasSubstr("1 received"));
    const auto results = RunProbes({{.netns_fd = node_->netns(Pod("web")).fd(),
                                     .destination = *policy::Address::Parse(address),
                                     .protocol = policy::kTcp,
                                     .port = kClosedPort,
                                     .timeout = std::chrono::seconds(3)}});
    ASSERT_TRUE(results.ok()) << results.status();
    EXPECT_EQ(results->front().outcome, ProbeOutcome::kRefused) << address;
  }
}

INSTANTIATE_TEST_SUITE_P(Wirings, NodesProbes, testing::Values(TestNode::Wiring::kRouted, TestNode::Wiring::kBridged),
                         [](const auto& info) {
                           return info.param == TestNode::Wiring::kRouted ? "Routed" : "Bridged";
                         });

}  // namespace
}  // namespace sluice::test
