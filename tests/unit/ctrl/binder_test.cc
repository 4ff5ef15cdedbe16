#include "ctrl/node/binder.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>

#include "kernel/net/netlink.h"
#include "testbed/netns.h"
#include "tests/support/environment.h"

namespace sluice::node {
namespace {

using policy::Address;
using test::TestNetNs;
using test::TestNode;
using test::TestPod;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::StartsWith;

Address Ip(const std::string& text) { return *Address::Parse(text); }

policy::Workload ByNetNs(const std::string& path) {
  policy::Workload workload;
  workload.name = {"shop", "web-0"};
  workload.netns = path;
  return workload;
}

policy::Workload ByHostInterface(const std::string& name) {
  policy::Workload workload;
  workload.name = {"shop", "web-0"};
  workload.host_interface = name;
  return workload;
}

class Binder : public ::testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_NETNS();
    MakeNode(TestNode::Wiring::kRouted);
  }
  void MakeNode(TestNode::Wiring wiring) {
    auto node = TestNode::Create({.wiring = wiring, .pods = {"a", "b"}});
    ASSERT_TRUE(node.ok()) << node.status();
    node_ = std::move(*node);
    a_ = node_->pod("a");
    b_ = node_->pod("b");
  }
  StatusOr<BoundWorkload> BindIn(const TestNetNs& agent, const policy::Workload& workload) {
    StatusOr<BoundWorkload> bound = Status(absl::StatusCode::kInternal, "did not run");
    SL_RETURN_IF_ERROR(agent.Run([&] {
      bound = Bind(socket_in_, workload);
      return OkStatus();
    }));
    return bound;
  }
  StatusOr<BoundWorkload> BindHere(const policy::Workload& workload) { return BindIn(node_->netns(), workload); }
  // The error of a Bind that must fail with `code`.
  std::string Refusal(const policy::Workload& workload, absl::StatusCode code) {
    const auto bound = BindHere(workload);
    EXPECT_EQ(bound.status().code(), code) << bound.status();
    return Message(bound.status());
  }
  void IpIn(const TestPod& pod, const std::string& lines) {
    const Status status = node_->netns(pod).Ip(lines);
    ASSERT_TRUE(status.ok()) << status;
  }
  void IpInNode(const std::string& lines) {
    const Status status = node_->netns().Ip(lines);
    ASSERT_TRUE(status.ok()) << status;
  }

  const net::SocketIn socket_in_ = test::EnterForSockets();
  std::unique_ptr<TestNode> node_;
  TestPod a_;
  TestPod b_;
};

TEST_F(Binder, FindsTheHostEndAddressesAndMac) {
  const auto bound = BindHere(ByNetNs(b_.netns_path));
  ASSERT_TRUE(bound.ok()) << bound.status();
  EXPECT_EQ(bound->name, (policy::ObjectName{"shop", "web-0"}));
  EXPECT_EQ(bound->binding.ifindex, b_.host_ifindex);
  EXPECT_EQ(bound->binding.endpoint, 0U);
  EXPECT_THAT(bound->binding.ips, ElementsAre(Ip(b_.ip4), Ip(b_.ip6)));
  EXPECT_EQ(bound->host_interface, b_.host_interface);
  EXPECT_EQ(bound->netns_path, b_.netns_path);
  EXPECT_NE(bound->netns_cookie, 0U);
  EXPECT_NE(bound->netns_cookie, BindHere(ByNetNs(a_.netns_path))->netns_cookie);
  EXPECT_THAT(bound->facts.pod_mac, ElementsAre(2, 0, 0, 2, 1, 1));
  EXPECT_EQ(Address(bound->facts.address), Ip(b_.ip4));
  EXPECT_EQ(Address(bound->facts.link_local), Ip("fe80::ff:fe02:101"));
  EXPECT_EQ(bound->facts.link_local4, 0U);
  EXPECT_EQ(bound->facts.bridge, 0U);
  EXPECT_EQ(bound->facts.master, 0U);
}

// The host end is known for more workloads than can be bound.
class HostEnds : public Binder {
 protected:
  std::vector<std::uint32_t> Find(
      const policy::Workload& workload, const std::function<void()>& before = [] {}) {
    std::vector<std::uint32_t> found;
    const Status ran = node_->netns().Run([&] {
      before();
      Status all = OkStatus();
      for (const auto& [name, ends] : FindHostEnds(socket_in_, {&workload})) {
        all.Update(ends.status());
        if (!ends.ok()) continue;
        for (const HostEnd& end : *ends) found.push_back(end.ifindex);
      }
      return all;
    });
    EXPECT_TRUE(ran.ok()) << ran;
    return found;
  }
  // For the calling thread only.
  static void GiveUpSysAdmin() { GiveUp({CAP_SYS_ADMIN}); }
  static void GiveUp(const std::vector<unsigned int>& capabilities) {
    __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    __user_cap_data_struct data[2] = {};
    ASSERT_EQ(syscall(SYS_capget, &header, data), 0);
    for (const unsigned int capability : capabilities) data[0].effective &= ~(1U << capability);
    ASSERT_EQ(syscall(SYS_capset, &header, data), 0);
  }
};

TEST_F(HostEnds, ANamespaceThatCannotBeOpenedIsAnErrorAndOneThatIsNotThereIsNone) {
  std::string directory = "/tmp/sluice-binder-XXXXXX";
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  ASSERT_EQ(symlink(a_.netns_path.c_str(), (directory + "/ns").c_str()), 0);
  ASSERT_EQ(chown(directory.c_str(), 1000, 1000), 0);  // and is closed to other users
  const policy::Workload workload = ByNetNs(directory + "/ns"), gone = ByNetNs(directory + "/gone");
  EXPECT_THAT(Find(workload), ElementsAre(a_.host_ifindex));
  EXPECT_THAT(Find(gone), ElementsAre());
  const Status ran = node_->netns().Run([&] {
    GiveUp({CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH});
    const auto ends = FindHostEnds(socket_in_, {&workload});
    return ends.empty() ? OkStatus() : ends.begin()->second.status();
  });
  EXPECT_TRUE(absl::IsPermissionDenied(ran)) << ran;
  std::filesystem::remove_all(directory);
}

TEST_F(HostEnds, OfAPodWithoutAddressAndOfOneWithout) {
  IpIn(a_, "addr flush dev eth0\n");
  EXPECT_TRUE(IsAnswer(BindHere(ByNetNs(a_.netns_path)).status()));
  EXPECT_THAT(Find(ByNetNs(a_.netns_path)), ElementsAre(a_.host_ifindex));
  EXPECT_THAT(Find(ByNetNs(b_.netns_path)), ElementsAre(b_.host_ifindex));
  EXPECT_THAT(Find(ByHostInterface(b_.host_interface)), ElementsAre(b_.host_ifindex));
}

TEST_F(HostEnds, OfAPodThatCannotBeEnteredAreAllThatLeadThere) {
  IpInNode("link add second type veth peer name eth1 netns " + a_.netns_path.substr(std::string("/run/netns/").size()) +
           "\n");
  StatusOr<BoundWorkload> bound = Status(absl::StatusCode::kInternal, "did not run");
  const auto ends = Find(ByNetNs(a_.netns_path), [&] {
    GiveUpSysAdmin();
    bound = Bind(socket_in_, ByNetNs(a_.netns_path));
  });
  EXPECT_TRUE(absl::IsPermissionDenied(bound.status())) << bound.status();
  EXPECT_FALSE(IsAnswer(bound.status()));
  EXPECT_EQ(ends.size(), 2U);
  EXPECT_THAT(ends, ::testing::Contains(a_.host_ifindex));
  EXPECT_THAT(ends, ::testing::Not(::testing::Contains(b_.host_ifindex)));
  EXPECT_THAT(Find(ByNetNs(a_.netns_path)), ElementsAre(a_.host_ifindex)) << "who can enter knows which";
}

TEST_F(HostEnds, OfNobodyWhoIsNotThere) {
  EXPECT_THAT(Find(ByNetNs("/run/netns/no-such")), ElementsAre());
  EXPECT_THAT(Find(ByNetNs("/proc/self/ns/net")), ElementsAre());
  EXPECT_THAT(Find(ByHostInterface("no-such")), ElementsAre());
  policy::Workload other = ByNetNs(a_.netns_path);
  other.interface = "eth7";
  EXPECT_THAT(Find(other), ElementsAre());
}

TEST_F(HostEnds, WithoutFileDescriptorsThereIsNoAnswer) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  StatusOr<BoundWorkload> bound = Status(absl::StatusCode::kInternal, "did not run");
  const Status ran = node_->netns().Run([&] {
    const rlimit none{3, before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    bound = Bind(socket_in_, ByNetNs(a_.netns_path));
    setrlimit(RLIMIT_NOFILE, &before);
    return OkStatus();
  });
  ASSERT_TRUE(ran.ok()) << ran;
  EXPECT_FALSE(bound.ok());
  EXPECT_FALSE(IsAnswer(bound.status())) << bound.status();
}

TEST_F(Binder, LeavesLinkLocalAddressesAndOtherInterfacesOut) {
  IpIn(a_,
       "addr add 169.254.7.7/16 dev eth0\naddr add fe80::77/64 dev eth0 nodad\naddr add 10.7.0.7/32 dev eth0\n"
       "link add other type bridge\naddr add 10.8.0.8/32 dev other\naddr add 10.1.0.200/32 dev lo\n");
  const auto bound = BindHere(ByNetNs(a_.netns_path));
  ASSERT_TRUE(bound.ok()) << bound.status();
  EXPECT_THAT(bound->binding.ips, ElementsAre(Ip(a_.ip4), Ip("10.7.0.7"), Ip(a_.ip6)));
  EXPECT_EQ(Address(bound->facts.link_local), Ip("fe80::ff:fe02:100")) << "the one that its MAC makes";
  EXPECT_EQ(ntohl(bound->facts.link_local4), 0xa9fe0707U);
  IpIn(a_, "addr del fe80::ff:fe02:100/64 dev eth0\n");
  EXPECT_EQ(Address(BindHere(ByNetNs(a_.netns_path))->facts.link_local), Ip("fe80::77"));
}

TEST_F(Binder, TakesTheAddressesOfTheFileInstead) {
  policy::Workload workload = ByNetNs(a_.netns_path);
  workload.ips = {Ip("10.44.0.4"), Ip("fd44::4")};
  EXPECT_THAT(BindHere(workload)->binding.ips, ElementsAre(Ip("10.44.0.4"), Ip("fd44::4")));
  IpIn(a_, "addr flush dev eth0\n");
  EXPECT_TRUE(BindHere(workload).ok());
}

TEST_F(Binder, FindsAnInterfaceByAnotherName) {
  IpIn(a_, "link set eth0 down\nlink set eth0 name net1\nlink set net1 up\n");
  policy::Workload workload = ByNetNs(a_.netns_path);
  EXPECT_THAT(Refusal(workload, absl::StatusCode::kNotFound), HasSubstr("interface eth0 does not exist"));
  workload.interface = "net1";
  EXPECT_EQ(BindHere(workload)->binding.ifindex, a_.host_ifindex);
}

TEST_F(Binder, KnowsWhetherThePodTakesFrames) {
  for (const char* gro : {"on", "off"}) {
    ASSERT_EQ(node_->RunCommandIn(a_, {"ethtool", "-K", "eth0", "gro", gro})->exit_code, 0);
    EXPECT_EQ(BindHere(ByNetNs(a_.netns_path))->takes_frames, std::string(gro) == "on") << gro;
  }
}

TEST_F(Binder, KnowsPlainBridgePorts) {
  MakeNode(TestNode::Wiring::kBridged);
  const auto bridge_of_a = [&] { return BindHere(ByNetNs(a_.netns_path))->facts.bridge; };
  std::uint32_t br0 = 0;
  ASSERT_TRUE(node_
                  ->Run([&]() -> Status {
                    SL_ASSIGN_OR_RETURN(const net::LinkInfo link, net::Netlink::Open()->GetLink("br0"));
                    br0 = link.ifindex;
                    return OkStatus();
                  })
                  .ok());
  EXPECT_EQ(bridge_of_a(), br0);
  const std::pair<const char*, const char*> departures[] = {
      {"link set veth0 type bridge_slave isolated on\n", "link set veth0 type bridge_slave isolated off\n"},
      {"link set veth0 type bridge_slave locked on\n", "link set veth0 type bridge_slave locked off\n"},
      {"link set veth0 type bridge_slave state 1\n", "link set veth0 type bridge_slave state 3\n"},
      {"link set br0 down\n", "link set br0 up\n"},
      {"link set veth0 nomaster\n", "link set veth0 master br0\n"},
  };
  for (const auto& [leave, come_back] : departures) {
    IpInNode(leave);
    EXPECT_EQ(bridge_of_a(), 0U) << leave;
    const std::uint32_t master = std::string(leave) == "link set veth0 nomaster\n" ? 0U : br0;
    EXPECT_EQ(BindHere(ByNetNs(a_.netns_path))->facts.master, master) << leave;
    IpInNode(come_back);
    EXPECT_EQ(bridge_of_a(), br0) << come_back;
  }
}

// With a gateway on the bridge, packets that the host routes arrive from the gateway's device, if the host reaches the
// pod through it.
TEST_F(Binder, TheMasterIsWhereTheHostSendsToThePod) {
  MakeNode(TestNode::Wiring::kBridged);
  const auto index = [&](const std::string& name) {
    std::uint32_t ifindex = 0;
    EXPECT_TRUE(node_->netns()
                    .Run([&] {
                      const auto link = net::Netlink::Open()->GetLink(name);
                      if (link.ok()) ifindex = link->ifindex;
                      return link.status();
                    })
                    .ok());
    return ifindex;
  };
  const auto master = [&] { return BindHere(ByNetNs(a_.netns_path))->facts.master; };
  IpInNode(
      "link add mv0 link br0 type macvlan mode bridge\nlink set mv0 up\n"
      "link add gw0 type veth peer name gw0p\nlink set gw0p master br0 up\nlink set gw0 up\n"
      "link add far0 type veth peer name far0p\nlink set far0 up\nlink set far0p up\n");
  EXPECT_EQ(master(), index("br0")) << "no gateway";
  IpInNode(fmt::format("route add {}/32 dev mv0\n", a_.ip4));
  EXPECT_EQ(master(), index("mv0"));
  // A device outside the bridge is ignored, and so is one without information; another pod's route does not matter
  // here.
  for (const char* other : {"far0", "gw0"}) {
    IpInNode(fmt::format("route replace {}/32 dev {}\n", a_.ip4, other));
    EXPECT_EQ(master(), index("br0")) << other;
  }
  IpInNode(fmt::format("route del {}/32\nroute add {}/32 dev mv0\n", a_.ip4, b_.ip4));
  EXPECT_EQ(master(), index("br0")) << "another pod's";
  IpInNode(fmt::format("route add unreachable {}/32\n", a_.ip4));
  EXPECT_EQ(master(), index("br0")) << "no route";
}

// Packets routed out of a bridge in a VRF seem to arrive from the VRF.
TEST_F(Binder, TheMasterIsTheOneThatRoutes) {
  MakeNode(TestNode::Wiring::kBridged);
  const Status made = node_->netns().Ip("link add red type vrf table 10\nlink set red up\nlink set br0 master red\n");
  if (!made.ok()) GTEST_SKIP() << "this kernel has no VRF (CONFIG_NET_VRF): " << made;
  std::uint32_t red = 0;
  ASSERT_TRUE(node_->netns()
                  .Run([&] {
                    const auto link = net::Netlink::Open()->GetLink("red");
                    if (link.ok()) red = link->ifindex;
                    return link.status();
                  })
                  .ok());
  EXPECT_EQ(BindHere(ByNetNs(a_.netns_path))->facts.master, red);
}

TEST_F(Binder, TakesNoRedirectThroughAVlanFilteringBridge) {
  MakeNode(TestNode::Wiring::kBridged);
  const Status on = node_->netns().Ip("link set br0 type bridge vlan_filtering 1\n");
  if (!on.ok()) GTEST_SKIP() << "missing in this kernel: VLAN filtering of bridges: " << on;
  EXPECT_EQ(BindHere(ByNetNs(a_.netns_path))->facts.bridge, 0U);
}

TEST_F(Binder, SaysThatTheNamespaceDoesNotExist) {
  EXPECT_THAT(Refusal(ByNetNs("/run/netns/gone"), absl::StatusCode::kNotFound),
              StartsWith("Workload shop/web-0: spec.netns: network namespace /run/netns/gone does not exist"));
}

TEST_F(Binder, SaysThatTheInterfaceDoesNotExist) {
  policy::Workload workload = ByNetNs(a_.netns_path);
  workload.interface = "eth7";
  EXPECT_EQ(Refusal(workload, absl::StatusCode::kNotFound),
            "Workload shop/web-0: spec.netns: " + a_.netns_path + ": interface eth7 does not exist");
}

TEST_F(Binder, SaysThatTheInterfaceHasNoAddress) {
  IpIn(a_, "addr flush dev eth0\naddr add 169.254.7.7/16 dev eth0\n");
  EXPECT_THAT(Refusal(ByNetNs(a_.netns_path), absl::StatusCode::kFailedPrecondition),
              HasSubstr("interface eth0 has no global address; give it one, or set spec.ips"));
}

TEST_F(Binder, SaysThatTheInterfaceIsNoVeth) {
  IpIn(a_, "link add d0 type bridge\naddr add 10.8.0.8/32 dev d0\n");
  policy::Workload workload = ByNetNs(a_.netns_path);
  workload.interface = "d0";
  EXPECT_THAT(Refusal(workload, absl::StatusCode::kFailedPrecondition),
              HasSubstr("interface d0 is not a veth but bridge"));
  workload.interface = "lo";
  EXPECT_THAT(Refusal(workload, absl::StatusCode::kFailedPrecondition), HasSubstr("interface lo is not a veth"));
}

TEST_F(Binder, RefusesItsOwnNamespace) {
  EXPECT_THAT(Refusal(ByNetNs(node_->netns().path()), absl::StatusCode::kFailedPrecondition),
              HasSubstr("the agent's own network namespace"));
}

// Pods of another node have the same interface indices as ours; only the namespace distinguishes them.
TEST_F(Binder, RefusesAPodOfAnotherNode) {
  const auto other = TestNode::Create({.pods = {"a", "b"}});
  ASSERT_TRUE(other.ok()) << other.status();
  ASSERT_EQ((*other)->pod("a").host_ifindex, a_.host_ifindex);
  ASSERT_EQ((*other)->pod("a").pod_ifindex, a_.pod_ifindex);
  EXPECT_THAT(Refusal(ByNetNs((*other)->pod("a").netns_path), absl::StatusCode::kFailedPrecondition),
              HasSubstr("is not in the agent's network namespace"));
  EXPECT_TRUE(BindIn((*other)->netns(), ByNetNs((*other)->pod("a").netns_path)).ok());
}

TEST_F(Binder, RefusesAVethWithBothEndsInside) {
  IpIn(a_, "link add x0 type veth peer name x1\naddr add 10.8.0.8/32 dev x0\n");
  policy::Workload workload = ByNetNs(a_.netns_path);
  workload.interface = "x0";
  EXPECT_THAT(Refusal(workload, absl::StatusCode::kFailedPrecondition),
              HasSubstr("is not in the agent's network namespace"));
}

TEST_F(Binder, BindsAHostInterfaceWithTheAddressesOfTheFile) {
  policy::Workload workload = ByHostInterface(a_.host_interface);
  workload.ips = {Ip(a_.ip6), Ip(a_.ip4)};
  const auto bound = BindHere(workload);
  ASSERT_TRUE(bound.ok()) << bound.status();
  EXPECT_EQ(bound->binding.ifindex, a_.host_ifindex);
  EXPECT_EQ(bound->host_interface, a_.host_interface);
  EXPECT_THAT(bound->binding.ips, ElementsAreArray(workload.ips));
  EXPECT_THAT(bound->facts.pod_mac, ElementsAre(2, 0, 0, 2, 1, 0)) << "the kernel tells of the other end";
  EXPECT_EQ(Address(bound->facts.link_local), Ip("fe80::ff:fe02:100"));
  EXPECT_FALSE(bound->takes_frames);
}

TEST_F(Binder, SaysWhatAHostInterfaceLacks) {
  EXPECT_EQ(Refusal(ByHostInterface("vethgone"), absl::StatusCode::kNotFound),
            "Workload shop/web-0: spec.hostInterface: interface vethgone does not exist");
  EXPECT_THAT(Refusal(ByHostInterface("lo"), absl::StatusCode::kFailedPrecondition),
              HasSubstr("interface lo is not a veth"));
  EXPECT_THAT(Refusal(ByHostInterface(a_.host_interface), absl::StatusCode::kFailedPrecondition),
              HasSubstr("spec.ips must be set"));
}

}  // namespace
}  // namespace sluice::node
