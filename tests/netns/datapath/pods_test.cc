// Local pods with real sockets: verdicts at both ends, the short cut and its absence, and the ICMP errors that pods
// need.
#include "tests/netns/datapath/rig.h"

#include <gmock/gmock.h>

namespace sluice::test {
namespace {

using testing::HasSubstr;

class Pods : public DatapathRig, public testing::WithParamInterface<TestNode::Wiring> {
 protected:
  void SetUp() override {
    DatapathRig::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    Build({.wiring = GetParam(), .pods = {}});
    if (!HasFatalFailure()) Open();
  }
};

TEST_P(Pods, AllowedPassesAndDeniedMeetsSilenceWithAndWithoutTheShortCut) {
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

class RoutedPods : public DatapathRig {
 protected:
  void SetUp() override {
    DatapathRig::SetUp();
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
