// The node's uplink: native XDP and its redirect to pods that accept frames, and generic XDP where the driver has no
// native XDP.
#include <bpf/bpf.h>
#include <linux/bpf.h>

#include <filesystem>
#include <iterator>

#include "tests/netns/datapath/conversation.h"
#include "tests/netns/datapath/fixture.h"

namespace sluice::test {
namespace {

class Uplink : public DatapathFixture {
 protected:
  void SetUp() override {
    DatapathFixture::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    Build({.wiring = Wiring::kRouted, .pods = {}, .outside = true});
    if (HasFatalFailure()) return;
    // Packets from a real card have their checksums; a veth leaves them to hardware that it does not have.
    Run("outside", {"ethtool", "-K", "eth0", "tx", "off"});
    Open();
  }

  StatusOr<datapath::XdpMode> Attach(const std::string& interface) {
    StatusOr<datapath::XdpMode> mode = Status(absl::StatusCode::kInternal, "not attached");
    const Status ran = node_->Run([&] {
      mode = datapath_->AttachUplink(interface);
      return mode.status();
    });
    return ran.ok() ? mode : StatusOr<datapath::XdpMode>(ran);
  }

  std::string ModeOf(const std::string& interface) const {
    for (const auto& attached : datapath_->Attached())
      if (attached.interface == interface) return attached.mode;
    return "";
  }
};

TEST_F(Uplink, NativeWithTheRedirectToPodsThatTakeFrames) {
  Run("web", {"ethtool", "-K", "eth0", "gro", "on"});
  Run("db", {"ethtool", "-K", "eth0", "gro", "on"});
  Enforce(DbPolicy());
  const auto mode = Attach("uplink");
  ASSERT_TRUE(mode.ok()) << mode.status();
  EXPECT_EQ(*mode, datapath::XdpMode::kNative);
  EXPECT_EQ(ModeOf("uplink"), "xdp native");
  for (const bool redirect : {false, true}) {
    SCOPED_TRACE(redirect ? "redirect on" : "redirect off");
    Configure(redirect ? SL_SETTING_REDIRECT | SL_SETTING_REDIRECT_ALWAYS : 0);
    const auto devmap = Count(SL_COUNTER_REDIRECT_DEVMAP);
    const auto denied = Packets(SL_HOOK_XDP_UPLINK, SL_DROP_POLICY_DENIED);
    ExpectAll("outside", "web", ProbeOutcome::kAllowed);
    ExpectAll("outside", "db", ProbeOutcome::kTimeout);
    if (redirect)
      EXPECT_GE(Count(SL_COUNTER_REDIRECT_DEVMAP) - devmap, 4u);
    else
      EXPECT_EQ(Count(SL_COUNTER_REDIRECT_DEVMAP), devmap);
    EXPECT_GE(Packets(SL_HOOK_XDP_UPLINK, SL_DROP_POLICY_DENIED) - denied, 4u);
    EXPECT_EQ(Packets(SL_HOOK_TC_TO_POD, SL_DROP_POLICY_DENIED), 0u) << "decided on the card";
  }
  // Answers to a pod's requests come in by the same path.
  ExpectAll("db", "outside", ProbeOutcome::kAllowed);
}

TEST_F(Uplink, TheRedirectOnceTheHostHasLetTheFlowPass) {
  Run("web", {"ethtool", "-K", "eth0", "gro", "on"});
  Enforce();
  ASSERT_TRUE(Attach("uplink").ok());
  Configure(SL_SETTING_REDIRECT);
  for (const std::uint8_t protocol : {policy::kTcp, policy::kUdp}) {
    const auto before = Count(SL_COUNTER_REDIRECT_DEVMAP);
    const auto to = policy::Address::Parse(Pod("web").ip4);
    ASSERT_TRUE(to.ok());
    const auto talk = Conversation::Open({.client = &node_->netns(Pod("outside")),
                                          .server = &node_->netns(Pod("web")),
                                          .to = *to,
                                          .port = 8080,
                                          .protocol = protocol});
    ASSERT_TRUE(talk.ok()) << talk.status();
    EXPECT_EQ(Count(SL_COUNTER_REDIRECT_DEVMAP), before) << "the handshake, or the question, passes the host";
    for (int i = 0; i < 8; ++i) EXPECT_TRUE((*talk)->Exchange()) << i;
    EXPECT_GE(Count(SL_COUNTER_REDIRECT_DEVMAP) - before, 7u);
    EXPECT_TRUE((*talk)->Close());
  }
}

TEST_F(Uplink, WhatTheHostDropsIsNotRedirected) {
  Run("web", {"ethtool", "-K", "eth0", "gro", "on"});
  Enforce();
  ASSERT_TRUE(Attach("uplink").ok());
  Configure(SL_SETTING_REDIRECT);
  const Status set = node_->Run([] {
    return RunChecked({"nft", "-f", "-"},
                      "table inet filter {\n chain forward { type filter hook forward priority 0; iifname uplink drop\n"
                      " }\n}\n");
  });
  ASSERT_TRUE(set.ok()) << set;
  ExpectAll("outside", "web", ProbeOutcome::kTimeout);
  EXPECT_EQ(Count(SL_COUNTER_REDIRECT_DEVMAP), 0u);
}

TEST_F(Uplink, APodThatTakesNoFramesIsReachedThroughTheStack) {
  Run("web", {"ethtool", "-K", "eth0", "gro", "off"});
  Enforce(DbPolicy());
  const auto mode = Attach("uplink");
  ASSERT_TRUE(mode.ok()) << mode.status();
  Configure(SL_SETTING_REDIRECT);
  ExpectAll("outside", "web", ProbeOutcome::kAllowed);
  EXPECT_EQ(Count(SL_COUNTER_REDIRECT_DEVMAP), 0u);
  EXPECT_GE(Packets(SL_HOOK_TC_TO_POD, SL_DROP_NONE), 8u);
}

TEST_F(Uplink, GenericWhereTheDriverHasNoXdp) {
  const Status made = node_->netns().Ip("link add plain0 type bridge\nlink set plain0 up\n");
  ASSERT_TRUE(made.ok()) << made;
  const auto mode = Attach("plain0");
  ASSERT_TRUE(mode.ok()) << mode.status();
  EXPECT_EQ(*mode, datapath::XdpMode::kGeneric);
  EXPECT_EQ(ModeOf("plain0"), "xdp generic");
}

// The agent retries while the card is taken.
TEST_F(Uplink, ACardThatAnotherProgramHasCostsNoDescriptor) {
  const bpf_insn passes[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = XDP_PASS},
                             {.code = BPF_JMP | BPF_EXIT}};
  const Fd other(bpf_prog_load(BPF_PROG_TYPE_XDP, "pass_all", "GPL", passes, std::size(passes), nullptr));
  ASSERT_TRUE(other.valid());
  Fd link;
  ASSERT_TRUE(node_
                  ->Run([&] {
                    link = Fd(
                        bpf_link_create(other.get(), static_cast<int>(Pod("outside").host_ifindex), BPF_XDP, nullptr));
                    return OkStatus();
                  })
                  .ok());
  ASSERT_TRUE(link.valid());
  const auto descriptors = [] {
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return std::distance(begin(all), end(all));
  };
  StatusOr<datapath::XdpMode> mode = Attach("uplink");
  const auto before = descriptors();
  for (int i = 0; i < 20; ++i) mode = Attach("uplink");
  EXPECT_EQ(descriptors(), before);
  EXPECT_EQ(mode.status().code(), absl::StatusCode::kFailedPrecondition) << mode.status();
  EXPECT_NE(mode.status().message().find("(pass_all)"), std::string::npos) << mode.status();
}

TEST_F(Uplink, NamesAnInterfaceThatIsNotThere) {
  const auto mode = Attach("nowhere0");
  EXPECT_EQ(mode.status().code(), absl::StatusCode::kNotFound) << mode.status();
  EXPECT_NE(mode.status().message().find("nowhere0"), std::string::npos) << mode.status();
}

TEST_F(Uplink, ACardThatComesBackIsAnotherOne) {
  Enforce(DbPolicy());
  // More often than there are slots for uplinks.
  for (int time = 0; time <= SL_MAX_UPLINKS; ++time) {
    ASSERT_TRUE(node_->netns().Ip("link add card0 type veth peer name card1\nlink set card0 up\n").ok());
    const auto mode = Attach("card0");
    ASSERT_TRUE(mode.ok()) << mode.status();
    EXPECT_EQ(ModeOf("card0"), "xdp native");
    ASSERT_TRUE(node_->netns().Ip("link del card0\n").ok());
    const Status released = node_->Run([&] { return datapath_->ReleaseOtherUplinks({"card0"}); });
    ASSERT_TRUE(released.ok()) << released;
    EXPECT_EQ(ModeOf("card0"), "");
  }
}

TEST_F(Uplink, IsReleasedWhenItIsNamedNoMore) {
  Enforce(DbPolicy());
  ASSERT_TRUE(Attach("uplink").ok());
  ExpectAll("outside", "web", ProbeOutcome::kAllowed);
  EXPECT_GT(Packets(SL_HOOK_XDP_UPLINK, SL_DROP_NONE), 0u);
  const Status released = node_->Run([&] { return datapath_->ReleaseOtherUplinks({}); });
  ASSERT_TRUE(released.ok()) << released;
  EXPECT_EQ(ModeOf("uplink"), "");
  const auto before = Packets(SL_HOOK_XDP_UPLINK, SL_DROP_NONE);
  ExpectAll("outside", "web", ProbeOutcome::kAllowed);
  EXPECT_EQ(Packets(SL_HOOK_XDP_UPLINK, SL_DROP_NONE), before);
}

}  // namespace
}  // namespace sluice::test
