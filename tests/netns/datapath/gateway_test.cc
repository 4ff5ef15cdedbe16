// Pods on one bridge that reach each other through a gateway of the node on that bridge: packets between them come in
// by another device than the bridge. Also foreign packets with a pod's address as source.
#include <fmt/ranges.h>
#include <gmock/gmock.h>

#include "kernel/net/netlink.h"
#include "testbed/command.h"
#include "testbed/raw_link.h"
#include "tests/netns/datapath/fixture.h"

namespace sluice::test {
namespace {

struct Gateway {
  const char* name;
  std::string device;  // lines for "ip -batch" that make gw0
  bool tags = false;   // the bridge filters VLANs: gw0 is in 10
};

const Gateway kGateways[] = {
    {"Macvlan", "link add gw0 link br0 type macvlan mode bridge\n"},
    // mv0 would answer for gw0's address too, as Linux does at each interface.
    {"MacvlanOnMacvlan",
     "link add mv0 link br0 type macvlan mode bridge\nlink set mv0 arp off up\nlink add gw0 link mv0 type macvlan mode "
     "bridge\n"},
    {"Vlan", "link add gw0 link br0 type vlan id 10\n", true},
    {"VlanInAVrf",
     "link add red type vrf table 10\nlink set red up\nlink add gw0 link br0 type vlan id 10\nlink set gw0 master "
     "red\n",
     true},
};

class GatewayFixture : public DatapathFixture {
 protected:
  Status OnNode(const Arguments& command) {
    return node_->Run([&] { return RunChecked(command); });
  }
  // An error when this kernel lacks the device.
  Status Move(const Gateway& gateway) {
    if (gateway.tags) {
      SL_RETURN_IF_ERROR(node_->netns().Ip("link set br0 type bridge vlan_filtering 1\n"));
      SL_RETURN_IF_ERROR(OnNode({"bridge", "vlan", "add", "dev", "br0", "vid", "10", "self"}));
      for (const TestPod& pod : node_->pods())
        SL_RETURN_IF_ERROR(
            OnNode({"bridge", "vlan", "add", "dev", pod.host_interface, "vid", "10", "pvid", "untagged"}));
    }
    SL_RETURN_IF_ERROR(node_->netns().Ip(gateway.device));
    return node_->netns().Ip(
        fmt::format("addr flush dev br0\nlink set gw0 up\naddr add {}/24 dev gw0\n"
                    "addr add {}/64 dev gw0 nodad\n",
                    node_->ip4(), node_->ip6()));
  }
  // Each pod only knows the gateway, and gets no redirects to others.
  void RouteByGateway() {
    ASSERT_TRUE(
        OnNode({"sysctl", "-qw", "net.ipv4.conf.all.send_redirects=0", "net.ipv4.conf.gw0.send_redirects=0"}).ok());
    for (const TestPod& pod : node_->pods()) {
      const Status moved = node_->netns(pod).Ip(
          fmt::format("route del 10.1.0.0/24\nroute add {0} dev eth0\nroute replace default via {0}\n"
                      "route del fd00:1::/64 dev eth0\nroute add {1} dev eth0\nroute replace default via {1}\n",
                      node_->ip4(), node_->ip6()));
      ASSERT_TRUE(moved.ok()) << moved;
      ASSERT_TRUE(node_->netns(pod).Sysctl("net/ipv6/conf/eth0/accept_redirects", "0").ok());
    }
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
  std::string MacOf(const std::string& device) {
    std::string mac;
    const Status read = node_->Run([&]() -> Status {
      SL_ASSIGN_OR_RETURN(const net::LinkInfo link, net::Netlink::Open()->GetLink(device));
      mac = fmt::format("{:02x}", fmt::join(link.mac, ":"));
      return OkStatus();
    });
    EXPECT_TRUE(read.ok()) << read;
    return mac;
  }
  Packet AsWeb(const Eth& eth, const std::string& mark) const {
    return eth / Ipv4{.src = Pod("web").ip4, .dst = Pod("db").ip4} / Udp{.sport = 5000, .dport = kPort} / Marked(mark);
  }
};

class Gateways : public GatewayFixture, public testing::WithParamInterface<Gateway> {};

TEST_P(Gateways, PodsReachEachOtherThroughIt) {
  Build({.wiring = Wiring::kBridged, .pods = {}, .outside = true});
  const Status moved = Move(GetParam());
  if (!moved.ok()) GTEST_SKIP() << "this kernel has no such device: " << moved;
  RouteByGateway();
  Open();
  Enforce(DbPolicy());
  ASSERT_FALSE(HasFatalFailure());
  for (const std::uint32_t flags : {0U, static_cast<std::uint32_t>(SL_SETTING_REDIRECT)}) {
    Configure(flags);
    for (int i = 0; i < 2; ++i) {
      ExpectAll("web", "db", ProbeOutcome::kAllowed);
      ExpectAll("db", "other", ProbeOutcome::kAllowed);
    }
    ExpectAll("other", "db", ProbeOutcome::kTimeout);
  }
  EXPECT_EQ(Packets(SL_HOOK_TC_TO_POD, SL_DROP_SPOOFED_SOURCE), 0u);
  // A foreign packet from the uplink.
  const RawLink outside = At("outside");
  RawLink db = At("db");
  Send(outside, AsWeb({.dst = Pod("outside").host_mac, .src = Pod("outside").pod_mac}, "stranger"));
  EXPECT_TRUE(db.SeesNot("stranger"));
  if (GetParam().tags) return;  // with a VRF nothing routes it to db; with VLANs another test covers it
  EXPECT_EQ(Packets(SL_HOOK_TC_TO_POD, SL_DROP_SPOOFED_SOURCE), 1u);
}

INSTANTIATE_TEST_SUITE_P(On, Gateways, testing::ValuesIn(kGateways), [](const auto& info) { return info.param.name; });

// A card without our hook is a port of the bridge: a forwarded frame shows its ingress port.
TEST_F(GatewayFixture, WhatABridgeSendsOnShowsItsPort) {
  Build({.wiring = Wiring::kBridged, .pods = {}, .outside = true});
  ASSERT_TRUE(node_->netns().Ip("addr flush dev uplink\nlink set uplink master br0\n").ok());
  Open();
  Enforce(DbPolicy());
  ASSERT_FALSE(HasFatalFailure());
  const RawLink outside = At("outside");
  RawLink db = At("db");
  Send(outside, AsWeb({.dst = Pod("db").pod_mac, .src = Pod("outside").pod_mac}, "bridged"));
  EXPECT_TRUE(db.SeesNot("bridged"));
  EXPECT_EQ(Packets(SL_HOOK_TC_TO_POD, SL_DROP_SPOOFED_SOURCE), 1u);
  Send(At("web"), AsWeb({.dst = Pod("db").pod_mac, .src = Pod("web").pod_mac}, "own"));
  EXPECT_TRUE(db.Sees("own"));
}

// VLANs 10 and 20 with a gateway each; the node routes between them.
TEST_F(GatewayFixture, AStrangerInAnotherVlanIsNobody) {
  Build({.wiring = Wiring::kBridged, .pods = {}, .outside = true});
  const Status filtered = node_->netns().Ip(
      "link set br0 type bridge vlan_filtering 1\nlink add gw10 link br0 type vlan id 10\n"
      "link add gw20 link br0 type vlan id 20\n");
  if (!filtered.ok()) GTEST_SKIP() << "this kernel has no CONFIG_BRIDGE_VLAN_FILTERING: " << filtered;
  ASSERT_TRUE(node_->netns()
                  .Ip(fmt::format("addr flush dev br0\naddr flush dev uplink\nlink set uplink master br0\n"
                                  "link set gw10 up\nlink set gw20 up\naddr add {0}/32 dev gw10\naddr add {0}/32 dev "
                                  "gw20\nroute add {1} dev gw10\nroute add {2} dev gw20\nroute add {3} dev gw20\n",
                                  node_->ip4(), Pod("web").ip4, Pod("db").ip4, Pod("other").ip4))
                  .ok());
  for (const char* vid : {"10", "20"})
    ASSERT_TRUE(OnNode({"bridge", "vlan", "add", "dev", "br0", "vid", vid, "self"}).ok());
  for (const auto& [port, vid] : {std::pair(Pod("web").host_interface, "10"), std::pair(Pod("db").host_interface, "20"),
                                  std::pair(Pod("other").host_interface, "20"), std::pair(std::string("uplink"), "20")})
    ASSERT_TRUE(OnNode({"bridge", "vlan", "add", "dev", port, "vid", vid, "pvid", "untagged"}).ok());
  for (const TestPod& pod : node_->pods())
    ASSERT_TRUE(node_->netns(pod)
                    .Ip(fmt::format("route del 10.1.0.0/24\nroute add {0} dev eth0\nroute replace default via {0}\n",
                                    node_->ip4()))
                    .ok());
  Open();
  Enforce(DbPolicy());
  ASSERT_FALSE(HasFatalFailure());
  for (const std::uint8_t protocol : {policy::kTcp, policy::kUdp})
    EXPECT_EQ(Probe("web", "db", kPort, protocol), ProbeOutcome::kAllowed);
  EXPECT_EQ(Probe("db", "web"), ProbeOutcome::kAllowed);
  EXPECT_EQ(Packets(SL_HOOK_TC_TO_POD, SL_DROP_SPOOFED_SOURCE), 0u);
  const RawLink outside = At("outside");
  RawLink db = At("db");
  Send(outside, AsWeb({.dst = MacOf("gw20"), .src = Pod("outside").pod_mac}, "routed"));
  EXPECT_TRUE(db.SeesNot("routed"));
  EXPECT_EQ(Packets(SL_HOOK_TC_TO_POD, SL_DROP_SPOOFED_SOURCE), 1u);
  Send(outside, AsWeb({.dst = Pod("db").pod_mac, .src = Pod("outside").pod_mac}, "bridged"));
  EXPECT_TRUE(db.SeesNot("bridged"));
  EXPECT_EQ(Packets(SL_HOOK_TC_TO_POD, SL_DROP_SPOOFED_SOURCE), 2u);
}

// Without VLAN filtering the pods themselves send tags, and the node answers in a VLAN on the bridge.
TEST_F(GatewayFixture, PodsThatTagReachEachOtherThroughAVlanOnTheBridge) {
  Build({.wiring = Wiring::kBridged, .pods = {}, .outside = false});
  const Status made = node_->netns().Ip("link add gw0 link br0 type vlan id 10\n");
  if (!made.ok()) GTEST_SKIP() << "this kernel has no CONFIG_VLAN_8021Q: " << made;
  ASSERT_TRUE(node_->netns()
                  .Ip(fmt::format("addr flush dev br0\nlink set gw0 up\naddr add {}/24 dev gw0\n", node_->ip4()))
                  .ok());
  ASSERT_TRUE(
      OnNode({"sysctl", "-qw", "net.ipv4.conf.all.send_redirects=0", "net.ipv4.conf.gw0.send_redirects=0"}).ok());
  for (const TestPod& pod : node_->pods())
    ASSERT_TRUE(node_->netns(pod)
                    .Ip(fmt::format("link add v10 link eth0 type vlan id 10\nlink set v10 up\nroute del 10.1.0.0/24\n"
                                    "route add {0} dev v10\nroute replace default via {0}\n",
                                    node_->ip4()))
                    .ok());
  Open();
  Enforce(DbPolicy());
  ASSERT_FALSE(HasFatalFailure());
  for (const std::uint8_t protocol : {policy::kTcp, policy::kUdp})
    EXPECT_EQ(Probe("web", "db", kPort, protocol), ProbeOutcome::kAllowed);
  EXPECT_EQ(Probe("other", "db"), ProbeOutcome::kTimeout);
  EXPECT_EQ(Packets(SL_HOOK_TC_TO_POD, SL_DROP_SPOOFED_SOURCE), 0u);
}

}  // namespace
}  // namespace sluice::test
