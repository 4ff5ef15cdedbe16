#include "kernel/net/netlink.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "kernel/net/ethtool.h"
#include "kernel/net/netns.h"
#include "kernel/net/tunnels.h"
#include "testbed/netns.h"
#include "tests/support/environment.h"

namespace sluice::net {
namespace {

using test::TestNetNs;
using test::TestNode;
using test::TestPod;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const LinkInfo* Find(const std::vector<LinkInfo>& links, const std::string& name) {
  const auto found = std::find_if(links.begin(), links.end(), [&](const LinkInfo& link) { return link.name == name; });
  return found == links.end() ? nullptr : &*found;
}

const AddressInfo* Find(const std::vector<AddressInfo>& addresses, const std::string& text) {
  const auto address = policy::Address::Parse(text);
  const auto found = std::find_if(addresses.begin(), addresses.end(),
                                  [&](const AddressInfo& info) { return info.address == *address; });
  return found == addresses.end() ? nullptr : &*found;
}

bool BecomesReadable(const NetlinkMonitor& monitor, int milliseconds) {
  pollfd fd{.fd = monitor.fd(), .events = POLLIN, .revents = 0};
  return poll(&fd, 1, milliseconds) == 1;
}

// Waits for the first change and reads all changes.
bool HearsAChange(NetlinkMonitor& monitor) {
  while (BecomesReadable(monitor, 2000)) {
    const auto changed = monitor.Drain();
    if (!changed.ok()) return false;
    if (changed->any()) return true;
  }
  return false;
}

// For the calling thread's namespace.
sluice::net::Netlink Here() {
  auto here = sluice::net::Netlink::Open();
  EXPECT_TRUE(here.ok()) << here.status();
  return *std::move(here);
}

class Netlink : public ::testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_NETNS();
    auto node = TestNode::Create({.wiring = TestNode::Wiring::kBridged, .pods = {"a", "b"}});
    ASSERT_TRUE(node.ok()) << node.status();
    node_ = std::move(*node);
    a_ = node_->pod("a");
    b_ = node_->pod("b");
  }

  // Runs `test` in the node's namespace.
  void InNode(const std::function<void()>& test) {
    const Status ran = node_->Run([&] {
      test();
      return OkStatus();
    });
    ASSERT_TRUE(ran.ok()) << ran;
  }
  void Ip(const std::string& lines) {
    const Status status = node_->netns().Ip(lines);
    ASSERT_TRUE(status.ok()) << status;
  }

  std::unique_ptr<TestNode> node_;
  TestPod a_;
  TestPod b_;
};

TEST_F(Netlink, KnowsByWhichInterfaceItSends) {
  Ip("route add 198.51.100.0/24 dev veth0\nroute add 2001:db8:9::/64 dev veth1\nroute add prohibit 203.0.113.1\n");
  InNode([&] {
    const auto to = [](const char* address) {
      const auto ifindex = Here().RouteTo(*policy::Address::Parse(address));
      EXPECT_TRUE(ifindex.ok()) << ifindex.status();
      return ifindex.value_or(0);
    };
    EXPECT_EQ(to("198.51.100.7"), a_.host_ifindex);
    EXPECT_EQ(to("2001:db8:9::7"), b_.host_ifindex);
    for (const char* address : {"203.0.113.1", "203.0.113.2", "2001:db8:8::1"}) EXPECT_EQ(to(address), 0U) << address;
    const auto vrfs = Here().DumpVrfs();
    ASSERT_TRUE(vrfs.ok()) << vrfs.status();
    EXPECT_TRUE(vrfs->empty());
  });
}

TEST_F(Netlink, FindsTheTunnelsOfACard) {
  Ip("link add vx0 type vxlan id 7 dstport 4789 dev veth0\nlink add any type vxlan id 8 dstport 4790\n");
  InNode([&] {
    const auto links = Here().DumpLinks();
    ASSERT_TRUE(links.ok()) << links.status();
    EXPECT_EQ(Find(*links, "vx0")->tunnel_over, a_.host_ifindex);
    EXPECT_EQ(Find(*links, "any")->tunnel_over, 0U);
    EXPECT_THAT(TunnelsOver(*links, a_.host_ifindex), ElementsAre("vxlan any", "vxlan vx0"));
    EXPECT_THAT(TunnelsOver(*links, b_.host_ifindex), ElementsAre("vxlan any"));
  });
}

TEST(Tunnels, GoThroughVlansAndBondsOfACardToo) {
  const auto link = [](std::uint32_t ifindex, const char* kind) {
    return LinkInfo{.ifindex = ifindex, .name = fmt::format("if{}", ifindex), .kind = kind};
  };
  std::vector<LinkInfo> links = {link(2, ""),     link(3, ""),      link(4, "bond"),
                                 link(5, "vlan"), link(6, "vxlan"), link(7, "vxlan")};
  links[0].master = 4;
  links[3].peer = 3;
  links[4].tunnel_over = 4;
  links[5].tunnel_over = 5;
  EXPECT_THAT(TunnelsOver(links, 2), ElementsAre("vxlan if6"));
  EXPECT_THAT(TunnelsOver(links, 3), ElementsAre("vxlan if7"));
  EXPECT_THAT(TunnelsOver(links, 5), ElementsAre("vxlan if7"));
  links.push_back(link(8, "geneve"));
  EXPECT_THAT(TunnelsOver(links, 2), ElementsAre("geneve if8", "vxlan if6"));
  links[3].link_netnsid = 1;
  EXPECT_THAT(TunnelsOver(links, 3), ElementsAre("geneve if8")) << "a number of another namespace";
}

TEST_F(Netlink, AFilterWhoseQdiscIsGoneIsNotFound) {
  InNode([&] {
    const auto tc = [](const std::vector<std::string>& arguments) {
      std::vector<std::string> command = {"tc"};
      command.insert(command.end(), arguments.begin(), arguments.end());
      const auto ran = test::RunCommand(command);
      ASSERT_TRUE(ran.ok()) << ran.status();
      ASSERT_EQ(ran->exit_code, 0) << ran->output;
    };
    const TcFilter filter{.kind = "bpf", .handle = 0x51c10, .priority = 1};
    const auto remove = [&](std::uint32_t ifindex) { return Here().DeleteTcFilter(ifindex, TcSide::kIngress, filter); };
    tc({"qdisc", "add", "dev", "veth0", "clsact"});
    tc({"filter", "add", "dev", "veth0", "ingress", "prio", "1", "handle", "0x51c10", "bpf", "bytecode", "1,6 0 0 2"});
    EXPECT_TRUE(remove(a_.host_ifindex).ok());
    EXPECT_TRUE(absl::IsNotFound(remove(a_.host_ifindex))) << "no filter: " << remove(a_.host_ifindex);
    tc({"qdisc", "del", "dev", "veth0", "clsact"});
    EXPECT_TRUE(absl::IsNotFound(remove(a_.host_ifindex))) << "no qdisc: " << remove(a_.host_ifindex);
    EXPECT_TRUE(absl::IsNotFound(remove(99'999))) << "no interface: " << remove(99'999);
  });
}

TEST_F(Netlink, ListsLinksWithWhatTheyAre) {
  Ip("link set veth0 mtu 1400\nlink set veth1 down\n");
  InNode([&] {
    const auto links = Here().DumpLinks();
    ASSERT_TRUE(links.ok()) << links.status();
    EXPECT_EQ(links->size(), 4U);  // lo, br0, veth0, veth1
    const LinkInfo* bridge = Find(*links, "br0");
    const LinkInfo* veth = Find(*links, "veth0");
    ASSERT_TRUE(bridge && veth && Find(*links, "veth1") && Find(*links, "lo"));
    EXPECT_EQ(bridge->kind, "bridge");
    EXPECT_EQ(bridge->master, 0U);
    EXPECT_FALSE(bridge->bridge_port.has_value());
    EXPECT_EQ(Find(*links, "lo")->kind, "");
    EXPECT_EQ(veth->kind, "veth");
    EXPECT_EQ(veth->ifindex, a_.host_ifindex);
    EXPECT_EQ(veth->master, bridge->ifindex);
    EXPECT_EQ(veth->peer, a_.pod_ifindex);
    EXPECT_GE(veth->link_netnsid, 0);
    EXPECT_EQ(veth->mac, (MacAddress{2, 0, 0, 1, 1, 0}));
    EXPECT_EQ(veth->mtu, 1400U);
    EXPECT_TRUE(veth->up);
    EXPECT_FALSE(veth->native_xdp);
    EXPECT_FALSE(Find(*links, "veth1")->up);
  });
}

TEST_F(Netlink, ListsThousandsOfLinks) {
  std::string lines;
  for (int i = 0; i < 500; i++) lines += fmt::format("link add x{} type veth peer name y{}\n", i, i);
  Ip(lines);
  InNode([] {
    const auto links = Here().DumpLinks();
    ASSERT_TRUE(links.ok()) << links.status();
    EXPECT_EQ(links->size(), 1004U);
    EXPECT_NE(Find(*links, "y499"), nullptr);
  });
}

TEST_F(Netlink, TellsBridgePortsApart) {
  Ip("link set veth1 type bridge_slave isolated on\n");
  InNode([] {
    const auto plain = Here().GetLink("veth0");
    ASSERT_TRUE(plain.ok() && plain->bridge_port) << plain.status();
    EXPECT_TRUE(plain->bridge_port->forwarding);
    EXPECT_FALSE(plain->bridge_port->isolated);
    EXPECT_FALSE(plain->bridge_port->locked);
    EXPECT_TRUE(Here().GetLink("veth1")->bridge_port->isolated);
    EXPECT_FALSE(Here().GetLink("br0")->vlan_filtering);
  });
  Ip("link set veth1 type bridge_slave locked on\nlink set veth0 type bridge_slave state 1\n");
  InNode([] {
    EXPECT_TRUE(Here().GetLink("veth1")->bridge_port->locked);
    EXPECT_FALSE(Here().GetLink("veth0")->bridge_port->forwarding);
  });
}

TEST_F(Netlink, KnowsVlanFilteringBridges) {
  const Status on = node_->netns().Ip("link set br0 type bridge vlan_filtering 1\n");
  if (!on.ok()) GTEST_SKIP() << "missing in this kernel: VLAN filtering of bridges: " << on;
  InNode([] { EXPECT_TRUE(Here().GetLink("br0")->vlan_filtering); });
}

TEST_F(Netlink, LooksUpOneLink) {
  InNode([&] {
    const auto by_name = Here().GetLink("veth1");
    const auto by_index = Here().GetLink(b_.host_ifindex);
    ASSERT_TRUE(by_name.ok() && by_index.ok()) << by_name.status() << by_index.status();
    EXPECT_EQ(by_name->ifindex, b_.host_ifindex);
    EXPECT_EQ(by_index->name, "veth1");
    const auto nobody = Here().GetLink("nobody");
    EXPECT_TRUE(absl::IsNotFound(nobody.status()));
    EXPECT_EQ(Message(nobody.status()), "interface nobody does not exist");
    EXPECT_EQ(Message(Here().GetLink(99999U).status()), "interface with ifindex 99999 does not exist");
    EXPECT_TRUE(absl::IsInvalidArgument(Here().GetLink("a-name-of-more-than-15").status()));
    EXPECT_TRUE(absl::IsInvalidArgument(Here().GetLink("").status()));
  });
}

TEST_F(Netlink, ListsAddressesOfBothFamilies) {
  Ip("addr add 192.168.7.1 peer 192.168.7.2/32 dev veth0\naddr add 169.254.9.9/16 dev veth0 scope link\n"
     "addr add fd77::1/96 dev veth0 nodad\n");
  InNode([&] {
    const auto addresses = Here().DumpAddresses();
    ASSERT_TRUE(addresses.ok()) << addresses.status();
    const AddressInfo* bridge = Find(*addresses, node_->ip4());
    ASSERT_NE(bridge, nullptr);
    EXPECT_EQ(bridge->ifindex, Here().GetLink("br0")->ifindex);
    EXPECT_EQ(bridge->prefix_length, 24);
    EXPECT_EQ(bridge->scope, RT_SCOPE_UNIVERSE);
    EXPECT_TRUE(bridge->flags & IFA_F_PERMANENT);
    EXPECT_NE(Find(*addresses, "192.168.7.1"), nullptr);  // the near end
    EXPECT_EQ(Find(*addresses, "192.168.7.2"), nullptr);
    EXPECT_EQ(Find(*addresses, "169.254.9.9")->scope, RT_SCOPE_LINK);
    EXPECT_EQ(Find(*addresses, "fd77::1")->prefix_length, 96);
    EXPECT_EQ(Find(*addresses, "::1")->scope, RT_SCOPE_HOST);
  });
}

TEST_F(Netlink, NumbersTheNamespacesOfPeers) {
  const auto stranger = TestNetNs::Create("stranger");
  ASSERT_TRUE(stranger.ok()) << stranger.status();
  InNode([&] {
    const auto links = Here().DumpLinks();
    const auto a = Here().NetNsId(node_->netns(a_).fd());
    const auto b = Here().NetNsId(node_->netns(b_).fd());
    ASSERT_TRUE(a.ok() && b.ok()) << a.status() << b.status();
    EXPECT_EQ(*a, Find(*links, "veth0")->link_netnsid);
    EXPECT_EQ(*b, Find(*links, "veth1")->link_netnsid);
    EXPECT_NE(*a, *b);
    EXPECT_EQ(*Here().NetNsId(stranger->fd()), -1);
    EXPECT_FALSE(Here().NetNsId(-1).ok());
  });
}

TEST_F(Netlink, KnowsWhetherGroIsOn) {
  const auto gro = [&] {
    bool on = false;
    const Status asked = node_->RunIn(a_, [&]() -> Status {
      SL_ASSIGN_OR_RETURN(on, IsGroOn(Here(), "eth0"));
      return OkStatus();
    });
    EXPECT_TRUE(asked.ok()) << asked;
    return on;
  };
  ASSERT_EQ(node_->RunCommandIn(a_, {"ethtool", "-K", "eth0", "gro", "off"})->exit_code, 0);
  EXPECT_FALSE(gro());
  ASSERT_EQ(node_->RunCommandIn(a_, {"ethtool", "-K", "eth0", "gro", "on"})->exit_code, 0);
  EXPECT_TRUE(gro());
  EXPECT_THAT(Message(IsGroOn(Here(), "nobody").status()), HasSubstr("nobody"));
  EXPECT_FALSE(IsGroOn(Here(), "a-name-of-more-than-15").ok());
}

// A socket belongs to the namespace where it was made, whichever thread uses it.
TEST_F(Netlink, AsksWhereItsSocketWasMade) {
  auto socket = test::EnterForSockets()(node_->netns(a_).fd());
  ASSERT_TRUE(socket.ok()) << socket.status();
  auto inside = sluice::net::Netlink::Use(*std::move(socket));
  ASSERT_TRUE(inside.ok()) << inside.status();
  EXPECT_EQ(inside->DumpLinks()->size(), 2U);  // lo, eth0
  EXPECT_EQ(inside->GetLink("eth0")->peer, a_.host_ifindex);
  EXPECT_TRUE(absl::IsNotFound(inside->GetLink("br0").status()));
  EXPECT_NE(Find(*inside->DumpAddresses(), a_.ip4), nullptr);
  for (const char* gro : {"off", "on"}) {
    ASSERT_EQ(node_->RunCommandIn(a_, {"ethtool", "-K", "eth0", "gro", gro})->exit_code, 0);
    const auto on = IsGroOn(*inside, "eth0");
    ASSERT_TRUE(on.ok()) << on.status();
    EXPECT_EQ(*on, std::string(gro) == "on");
  }
}

// Only the kernel may answer; else a process that may send by netlink in a pod could forge answers.
TEST_F(Netlink, TakesNoAnswerOfAProcess) {
  InNode([] {
    auto here = Here();
    sockaddr_nl to{};
    socklen_t length = sizeof(to);
    ASSERT_EQ(getsockname(here.fd(), reinterpret_cast<sockaddr*>(&to), &length), 0);
    const Fd liar(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    const nlmsghdr nothing_more{
        .nlmsg_len = sizeof(nothing_more), .nlmsg_type = NLMSG_DONE, .nlmsg_seq = 1, .nlmsg_pid = to.nl_pid};
    ASSERT_EQ(sendto(liar.get(), &nothing_more, sizeof(nothing_more), 0, reinterpret_cast<sockaddr*>(&to), length),
              static_cast<ssize_t>(sizeof(nothing_more)));
    EXPECT_EQ(here.DumpLinks()->size(), 4U);
  });
}

// The rest of an interrupted dump is not taken for the next answer.
TEST_F(Netlink, AsksOnWhileThingsChange) {
  std::string lines;
  for (int i = 0; i < 400; i++) lines += fmt::format("link add x{} type veth peer name y{}\n", i, i);
  Ip(lines);
  std::atomic<bool> stop = false;
  std::thread changing([&] {
    while (!stop) {
      const Status changed = node_->netns().Ip("link add d0 type bridge\nlink del d0\n");
      EXPECT_TRUE(changed.ok()) << changed;
    }
  });
  InNode([] {
    auto here = Here();
    for (int i = 0; i < 100; i++) {
      const auto links = here.DumpLinks();
      if (!absl::IsAborted(links.status())) {
        ASSERT_TRUE(links.ok()) << links.status();
        EXPECT_GE(links->size(), 804U);
      }
      ASSERT_TRUE(here.GetLink("veth0").ok());
    }
  });
  stop = true;
  changing.join();
}

class Monitor : public Netlink {
 protected:
  void SetUp() override {
    Netlink::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    InNode([&] {
      auto monitor = NetlinkMonitor::Open({.kind = "bpf", .handle = 0x51, .priority = 1});
      ASSERT_TRUE(monitor.ok()) << monitor.status();
      monitor_.emplace(std::move(*monitor));
    });
    // Waits until the node's creation sends no more messages (link-local addresses, carrier).
    while (BecomesReadable(*monitor_, 200)) ASSERT_TRUE(monitor_->Drain().ok());
  }
  std::optional<NetlinkMonitor> monitor_;
};

TEST_F(Monitor, IsQuietWhenNothingChanges) { EXPECT_FALSE(monitor_->Drain()->any()); }

TEST_F(Monitor, HearsLinksAndAddresses) {
  for (const char* change : {"link add d0 type bridge\n", "link set d0 mtu 1300\n", "addr add 10.9.0.1/24 dev d0\n",
                             "addr del 10.9.0.1/24 dev d0\n", "addr add fd09::1/64 dev d0\n", "link del d0\n"}) {
    Ip(change);
    EXPECT_TRUE(HearsAChange(*monitor_)) << change;
    while (BecomesReadable(*monitor_, 50)) ASSERT_TRUE(monitor_->Drain().ok());
  }
}

TEST_F(Monitor, HearsFiltersOfOthers) {
  const auto hears = [&](const std::string& command) {
    InNode([&] { EXPECT_TRUE(test::RunChecked({"sh", "-c", command}, "", 10).ok()) << command; });
    const bool heard = HearsAChange(*monitor_);
    while (BecomesReadable(*monitor_, 50)) EXPECT_TRUE(monitor_->Drain().ok());
    return heard;
  };
  EXPECT_FALSE(hears("tc qdisc add dev veth0 clsact"));
  const std::string drop = " bpf bytecode '1,6 0 0 2'";
  EXPECT_FALSE(hears("tc filter add dev veth0 ingress prio 1 handle 0x51" + drop));
  EXPECT_TRUE(hears("tc filter add dev veth0 ingress prio 1 handle 0x52" + drop));
  EXPECT_TRUE(hears("tc filter add dev veth0 egress prio 2 handle 0x51" + drop));
  EXPECT_FALSE(hears("tc filter del dev veth0 ingress prio 1 handle 0x51 bpf"));
  EXPECT_TRUE(hears("tc filter del dev veth0 ingress prio 1 handle 0x52 bpf"));
  EXPECT_TRUE(hears("tc qdisc del dev veth0 clsact"));
  EXPECT_TRUE(hears("tc qdisc add dev veth0 root tbf rate 1gbit burst 100k latency 10ms"));
}

TEST_F(Monitor, HearsAddressesInsidePods) {
  ASSERT_TRUE(monitor_->hears_pods());
  ASSERT_TRUE(node_->netns(a_).Ip("addr add 10.1.0.77/24 dev eth0\n").ok());
  EXPECT_TRUE(HearsAChange(*monitor_));
}

TEST_F(Monitor, DoesNotHearStrangers) {
  const auto stranger = TestNetNs::Create("stranger");
  ASSERT_TRUE(stranger.ok()) << stranger.status();
  ASSERT_TRUE(stranger->Ip("addr add 10.1.0.78/32 dev lo\n").ok());
  EXPECT_FALSE(BecomesReadable(*monitor_, 100));
}

TEST_F(Monitor, CountsLostMessagesAsAChange) {
  // Fills the socket's buffer: each pair of changes leaves two messages of about a kilobyte.
  const int small = 4096;
  ASSERT_EQ(setsockopt(monitor_->fd(), SOL_SOCKET, SO_RCVBUFFORCE, &small, sizeof(small)), 0);
  std::string lines;
  for (int i = 0; i < 200; i++) lines += fmt::format("link set veth0 mtu {}\n", 1300 + i);
  Ip(lines);
  EXPECT_TRUE(HearsAChange(*monitor_));
  EXPECT_FALSE(monitor_->Drain()->any());
}

TEST_F(Monitor, TellsAPodsVethAndNamespaceFromTheRest) {
  const auto heard = [&] {
    NetChanges all;
    while (BecomesReadable(*monitor_, 100)) {
      const auto changes = monitor_->Drain();
      EXPECT_TRUE(changes.ok()) << changes.status();
      if (changes.ok()) all.Add(*changes);
    }
    return all;
  };
  const Status added = node_->AddPod("late");
  ASSERT_TRUE(added.ok()) << added;
  const std::uint32_t ifindex = node_->pod("late").host_ifindex;
  NetChanges changes = heard();
  EXPECT_THAT(changes.veths, ElementsAre(ifindex));
  ASSERT_EQ(changes.namespaces.size(), 1U);
  const std::int32_t netns = *changes.namespaces.begin();
  InNode([&] { EXPECT_EQ(*Here().NetNsId(node_->netns(node_->pod("late")).fd()), netns); });

  ASSERT_TRUE(node_->netns(node_->pod("late")).Ip("addr add 10.1.0.77/24 dev eth0\n").ok());
  changes = heard();
  EXPECT_FALSE(changes.other);
  EXPECT_TRUE(changes.veths.empty());
  EXPECT_THAT(changes.namespaces, ElementsAre(netns));

  for (const char* other : {"addr add 10.9.0.1/24 dev br0\n", "link add d0 type bridge\n", "link set br0 mtu 1300\n"}) {
    Ip(other);
    EXPECT_TRUE(heard().other) << other;
  }
  const Status removed = node_->RemovePod("late");
  ASSERT_TRUE(removed.ok()) << removed;
  EXPECT_TRUE(heard().veths.contains(ifindex));
}

}  // namespace
}  // namespace sluice::net
