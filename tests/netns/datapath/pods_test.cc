// Local pods with real sockets: verdicts at both ends, with and without the redirect, and the ICMP errors that pods
// need.
#include <gmock/gmock.h>

#include <cstring>

#include "kernel/bpf/map.h"
#include "tests/netns/datapath/fixture.h"

namespace sluice::test {
namespace {

using testing::HasSubstr;

class Pods : public DatapathFixture, public testing::WithParamInterface<TestNode::Wiring> {
 protected:
  void SetUp() override {
    DatapathFixture::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    Build({.wiring = GetParam(), .pods = {}});
    if (!HasFatalFailure()) Open();
  }
};

// An interface keeps the facts of its first description.
TEST_P(Pods, AMacThatSomebodyChangedInTheKernelIsNotAdopted) {
  Enforce();
  ASSERT_FALSE(HasFatalFailure());
  const auto interfaces = bpf::Map<__u32, sl_interface>::Bind(datapath_->object().map_fd("interfaces"), "interfaces");
  ASSERT_TRUE(interfaces.ok()) << interfaces.status();
  const TestPod& web = Pod("web");
  const sl_interface facts = interfaces->Get(web.host_ifindex)->value();
  sl_interface changed = facts;
  changed.pod_mac[5] ^= 1;
  ASSERT_TRUE(interfaces->Put(web.host_ifindex, changed).ok());
  const Status attached = node_->Run([&] { return datapath_->AttachPod({web.host_ifindex, "web", facts, false}); });
  ASSERT_TRUE(attached.ok()) << attached;
  const sl_interface now = interfaces->Get(web.host_ifindex)->value();
  EXPECT_EQ(std::memcmp(now.pod_mac, facts.pod_mac, sizeof(facts.pod_mac)), 0);
}

// A workload returns on another interface while the first still exists.
TEST_P(Pods, OfTwoInterfacesOfAWorkloadTheOneAttachedLastHasItsMac) {
  Enforce();
  ASSERT_FALSE(HasFatalFailure());
  const auto interfaces = bpf::Map<__u32, sl_interface>::Bind(datapath_->object().map_fd("interfaces"), "interfaces");
  const auto macs =
      bpf::Map<__u32, sl_endpoint_mac>::Bind(datapath_->object().map_fd("endpoint_macs"), "endpoint_macs");
  ASSERT_TRUE(interfaces.ok() && macs.ok());
  const sl_interface web = interfaces->Get(Pod("web").host_ifindex)->value();
  for (const char* const pod : {"other", "web"}) {
    sl_interface facts = interfaces->Get(Pod(pod).host_ifindex)->value();
    facts.endpoint = web.endpoint;
    const Status attached = node_->Run([&] {
      return datapath_->AttachPod({Pod(pod).host_ifindex, pod, facts, false});
    });
    ASSERT_TRUE(attached.ok()) << attached;
  }
  const auto expect_mac_of_web = [&] {
    const sl_endpoint_mac mac = macs->Get(web.endpoint)->value();
    EXPECT_EQ(std::memcmp(mac.mac, web.pod_mac, sizeof(mac.mac)), 0);
  };
  expect_mac_of_web();
  ASSERT_TRUE(node_->Run([&] { return datapath_->Keep(); }).ok());
  const auto repairs = [&] {
    return datapath_->integrity().repairs[static_cast<std::size_t>(datapath::Repaired::kInterface)];
  };
  for (std::uint64_t damages = 1; damages <= 3; ++damages) {
    ASSERT_TRUE(interfaces->Delete(Pod("db").host_ifindex).ok());
    for (int i = 0; i < 1000 && repairs() < damages; ++i) usleep(10000);
    EXPECT_EQ(repairs(), damages) << "nothing else had to be put back";
    expect_mac_of_web();
  }
}

TEST_P(Pods, AllowedPassesAndDeniedMeetsSilenceWithAndWithoutTheRedirect) {
  Enforce(DbPolicy());
  ASSERT_FALSE(HasFatalFailure());
  for (const bool redirect : {false, true}) {
    SCOPED_TRACE(redirect ? "redirect on" : "redirect off");
    Configure(redirect ? SL_SETTING_REDIRECT | SL_SETTING_REDIRECT_ALWAYS : 0);
    const auto peer = Count(SL_COUNTER_REDIRECT_PEER);
    const auto denied = Packets(SL_HOOK_TC_FROM_POD, SL_DROP_POLICY_DENIED);
    ExpectAll("web", "db", ProbeOutcome::kAllowed);
    ExpectAll("other", "db", ProbeOutcome::kTimeout);
    if (redirect)
      EXPECT_GE(Count(SL_COUNTER_REDIRECT_PEER) - peer, 16u) << "both directions of four exchanges";
    else
      EXPECT_EQ(Count(SL_COUNTER_REDIRECT_PEER), peer);
    EXPECT_GE(Packets(SL_HOOK_TC_FROM_POD, SL_DROP_POLICY_DENIED) - denied, 4u);
    EXPECT_EQ(Packets(SL_HOOK_TC_TO_POD, SL_DROP_POLICY_DENIED), 0u) << "decided at the first hook";
  }
}

TEST_P(Pods, ClosedUntilTheWorkloadsAreInForce) {
  const Status attached = node_->Run([&]() -> Status {
    return datapath_->AttachPod({Pod("web").host_ifindex, Pod("web").host_interface, {}});
  });
  ASSERT_TRUE(attached.ok()) << attached;
  ExpectAll("web", "db", ProbeOutcome::kTimeout);
  EXPECT_GT(Packets(SL_HOOK_TC_FROM_POD, SL_DROP_UNKNOWN_ENDPOINT), 0u);
  Enforce();
  ExpectAll("web", "db", ProbeOutcome::kAllowed);
}

TEST_P(Pods, PortUnreachableReachesAnIsolatedPod) {
  Enforce(std::string(DbPolicy()) + IsolateWeb());
  ASSERT_FALSE(HasFatalFailure());
  for (const std::uint32_t flags : {0u, static_cast<std::uint32_t>(SL_SETTING_REDIRECT)}) {
    Configure(flags);
    EXPECT_EQ(Probe("web", "db", 81, policy::kUdp, false), ProbeOutcome::kRefused);
    EXPECT_EQ(Probe("web", "db", 81, policy::kUdp, true), ProbeOutcome::kRefused);
  }
}

TEST_P(Pods, TheNodeReachesItsPods) {
  Enforce(DbPolicy());
  ASSERT_FALSE(HasFatalFailure());
  for (const std::string& address : {Pod("db").ip4, Pod("db").ip6}) {
    const auto destination = policy::Address::Parse(address);
    ASSERT_TRUE(destination.ok());
    const auto results = RunProbes({{.netns_fd = node_->fd(),
                                     .destination = *destination,
                                     .protocol = policy::kTcp,
                                     .port = kPort,
                                     .timeout = std::chrono::seconds(3)}});
    ASSERT_TRUE(results.ok()) << results.status();
    EXPECT_EQ(results->front().outcome, ProbeOutcome::kAllowed) << address;
  }
}

INSTANTIATE_TEST_SUITE_P(Wirings, Pods, testing::Values(TestNode::Wiring::kRouted, TestNode::Wiring::kBridged),
                         [](const auto& info) {
                           return info.param == TestNode::Wiring::kRouted ? "Routed" : "Bridged";
                         });

class RoutedPods : public DatapathFixture {
 protected:
  void SetUp() override {
    DatapathFixture::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    Build({.wiring = Wiring::kRouted, .pods = {}, .outside = true});
    if (!HasFatalFailure()) Open();
    if (!HasFatalFailure()) Enforce(IsolateWeb());
    if (!HasFatalFailure()) Configure(SL_SETTING_REDIRECT);
  }
};

TEST_F(RoutedPods, ATtlThatEndsHereIsAnsweredByTheNode) {
  EXPECT_THAT(Run("web", {"ping", "-c1", "-W3", "-t1", Pod("db").ip4}), HasSubstr("Time to live exceeded"));
  EXPECT_THAT(Run("web", {"ping", "-6", "-c1", "-W3", "-t1", Pod("db").ip6}), HasSubstr("Hop limit"));
  EXPECT_THAT(Run("web", {"ping", "-c1", "-W3", "-t2", Pod("db").ip4}), HasSubstr("ttl=63"));
}

TEST_F(RoutedPods, FragmentationNeededReachesAnIsolatedPod) {
  const Status narrowed = node_->netns().Ip("link set uplink mtu 1400\n");
  ASSERT_TRUE(narrowed.ok()) << narrowed;
  EXPECT_THAT(Run("web", {"ping", "-c1", "-W3", "-Mdo", "-s1472", "192.0.2.2"}), HasSubstr("mtu = 1400"));
  EXPECT_THAT(Run("web", {"ping", "-6", "-c1", "-W3", "-Mdo", "-s1452", "2001:db8::2"}), HasSubstr("mtu=1400"));
}

TEST_F(RoutedPods, FragmentsPassInBothFamilies) {
  EXPECT_THAT(Run("web", {"ping", "-c1", "-W3", "-s4000", Pod("db").ip4}), HasSubstr("1 received"));
  EXPECT_THAT(Run("web", {"ping", "-6", "-c1", "-W3", "-s4000", Pod("db").ip6}), HasSubstr("1 received"));
}

}  // namespace
}  // namespace sluice::test
