// Multicast and broadcast: one packet makes one flow between the sender and the group, and one between each receiver
// and the sender. Each is decided for its own ends, independently of the others.
#include <gtest/gtest.h>

#include "tests/support/sample_cluster.h"

namespace sluice::test {
namespace {

struct Group {
  const char *src, *to, *mac;
};
constexpr Group kGroups[] = {
    {"10.0.0.1", "224.0.0.251", "01:00:5e:00:00:fb"},
    {"10.0.0.1", "255.255.255.255", "ff:ff:ff:ff:ff:ff"},
    {"10.0.0.1", "10.0.0.255", "ff:ff:ff:ff:ff:ff"},  // a subnet broadcast; only the frame shows it
    {"fd00::1", "ff02::fb", "33:33:00:00:00:fb"},
};

class Groups : public SampleCluster, public ::testing::WithParamInterface<Group> {
 protected:
  void SetUp() override {
    SampleCluster::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    for (const auto& [interface, ip] : {std::pair{kWeb, kWebIp}, {kDb, kDbIp}, {kOther, kOtherIp}}) {
      const sl_interface facts{.address = policy::Address::Parse(ip)->abi()};
      ASSERT_TRUE(fixture_->datapath().DescribeInterface(ifindex(interface), facts).ok());
    }
  }
  static Packet Said() {
    const Group& group = GetParam();
    const Eth eth{.dst = group.mac};
    const Udp udp{.sport = 5353, .dport = 5353};
    if (std::string(group.to).find(':') != std::string::npos)
      return eth / Ipv6{.src = group.src, .dst = group.to} / udp / Payload{20};
    return eth / Ipv4{.src = group.src, .dst = group.to} / udp / Payload{20};
  }
  // web may send to these apps and, with `group`, to the addresses above.
  static std::string Web(const std::vector<std::string>& apps, bool group) {
    std::string peers;
    for (const std::string& app : apps) peers += "{podSelector: {matchLabels: {app: " + app + "}}}, ";
    for (const Group& each : kGroups) {
      const bool is_v6 = std::string(each.to).find(':') != std::string::npos;
      if (group) peers += fmt::format("{{ipBlock: {{cidr: \"{}/{}\"}}}}, ", each.to, is_v6 ? 128 : 32);
    }
    return Policy("web", "web", "  policyTypes: [Egress]\n  egress: [{to: [" + peers + "]}]\n");
  }
  Evaluated Sent() { return FromPod(kWeb, Said()); }
  Evaluated At(int interface) { return ToPod(interface, kWeb, Said()); }
  void EverybodyHears() {
    Enforce(Web({"db", "other"}, true));
    ASSERT_TRUE(Sent().forwarded);
    ASSERT_TRUE(At(kDb).forwarded);
    ASSERT_TRUE(At(kOther).forwarded);
  }
};

INSTANTIATE_TEST_SUITE_P(Addresses, Groups, ::testing::ValuesIn(kGroups));

TEST_P(Groups, EachHasOneFlow) {
  EverybodyHears();
  EXPECT_EQ(Flows().size(), 3u);
  for (int round = 0; round < 3; ++round) {
    const Evaluated sent = Sent(), at_db = At(kDb), at_other = At(kOther);
    EXPECT_TRUE(sent.forwarded && at_db.forwarded && at_other.forwarded);
    for (const Evaluated* evaluated : {&sent, &at_db, &at_other}) EXPECT_TRUE(evaluated->events.empty());
  }
  EXPECT_EQ(Flows().size(), 3u);
  for (const auto& flow : Flows()) EXPECT_EQ(flow.entry.forward_packets, 4u);
}

TEST_P(Groups, WhatItsSenderMayNoMoreDoesNotLeaveIt) {
  EverybodyHears();
  Enforce(Web({"db", "other"}, false));
  EXPECT_EQ(Sent().reason, SL_DROP_POLICY_DENIED);
}

TEST_P(Groups, OneReceiverThatMayNotIsAlone) {
  EverybodyHears();
  Enforce(Web({"db", "other"}, true) + Isolate("db"));
  for (int round = 0; round < 2; ++round) {
    EXPECT_TRUE(Sent().forwarded);
    EXPECT_EQ(At(kDb).reason, SL_DROP_POLICY_DENIED);
    EXPECT_TRUE(At(kOther).forwarded);
  }
  Enforce(Web({"db"}, true));
  for (int round = 0; round < 2; ++round) {
    EXPECT_TRUE(Sent().forwarded);
    EXPECT_TRUE(At(kDb).forwarded);
    EXPECT_EQ(At(kOther).reason, SL_DROP_POLICY_DENIED);
  }
}

TEST_P(Groups, OneReceiverInQuarantineIsAlone) {
  EverybodyHears();
  ASSERT_TRUE(fixture_->datapath().SetQuarantine(3, true).ok());
  EXPECT_TRUE(Sent().forwarded);
  EXPECT_EQ(At(kOther).reason, SL_DROP_QUARANTINED);
  EXPECT_TRUE(At(kDb).forwarded);
  ASSERT_TRUE(fixture_->datapath().SetQuarantine(3, false).ok());
  EXPECT_TRUE(At(kOther).forwarded);
}

TEST_P(Groups, AnAddressOfAnotherWorkloadIsNoGroup) {
  Enforce();
  const Packet packet = Eth{.dst = "ff:ff:ff:ff:ff:ff"} / Ipv4{.src = kWebIp, .dst = kDbIp} / Udp{.dport = 53};
  EXPECT_EQ(ToPod(kOther, kWeb, packet).reason, SL_DROP_WRONG_RECEIVER);
  EXPECT_TRUE(ToPod(kDb, kWeb, packet).forwarded);
  EXPECT_TRUE(FromPod(kWeb, packet).forwarded);
  EXPECT_EQ(Flows().size(), 1u);
}

}  // namespace
}  // namespace sluice::test
