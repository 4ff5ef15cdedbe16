// Host features in the packet path, and the redirect that bypasses them: translation, a firewall, connection tracking,
// queueing disciplines and other programs.
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <linux/bpf.h>

#include <filesystem>

#include "kernel/bpf/hook.h"
#include "kernel/net/conntrack.h"
#include "tests/netns/datapath/conversation.h"
#include "tests/netns/datapath/fixture.h"

namespace sluice::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr char kService[] = "10.96.0.10";
constexpr char kService6[] = "fd00:96::10";
constexpr std::uint16_t kServicePort = 443, kServerPort = 8443;

struct Way {
  TestNode::Wiring wiring = TestNode::Wiring::kRouted;
  std::uint8_t protocol = policy::kTcp;
  bool v6 = false;
};

std::string NameOf(const testing::TestParamInfo<Way>& info) {
  return std::string(info.param.wiring == TestNode::Wiring::kRouted ? "Routed" : "Bridged") +
         (info.param.protocol == policy::kTcp ? "Tcp" : "Udp") + (info.param.v6 ? "6" : "4");
}

class HostPath : public DatapathFixture {
 protected:
  void SetUp() override {
    DatapathFixture::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    const bool bridged = way().wiring == Wiring::kBridged;
    Build({.wiring = way().wiring, .pods = {}, .outside = !bridged});
    if (HasFatalFailure()) return;
    // The host's firewall and translation must also see packets that its bridge forwards.
    if (bridged) {
      if (!std::filesystem::exists("/proc/sys/net/bridge"))
        GTEST_SKIP() << "br_netfilter is not loaded (CONFIG_BRIDGE_NETFILTER)";
      ASSERT_TRUE(node_->netns().Sysctl("net/bridge/bridge-nf-call-iptables", "1").ok());
      ASSERT_TRUE(node_->netns().Sysctl("net/bridge/bridge-nf-call-ip6tables", "1").ok());
    }
    Open();
    if (!HasFatalFailure()) Enforce();
    if (HasFatalFailure()) return;
    Recheck(milliseconds(60'000));  // no recheck during the test
    Configure(SL_SETTING_REDIRECT);
  }
  virtual Way way() const { return {}; }

  void Recheck(milliseconds interval) { ASSERT_TRUE(datapath_->SetRedirectRecheck(interval).ok()); }
  void Nft(const std::string& rules) {
    const Status set = node_->Run([&] { return RunChecked({"nft", "-f", "-"}, rules); });
    ASSERT_TRUE(set.ok()) << set;
  }
  void Tc(const Arguments& arguments) {
    Arguments command = {"tc"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    const Status set = node_->Run([&] { return RunChecked(command); });
    ASSERT_TRUE(set.ok()) << set;
  }
  std::string AddressOf(const TestPod& pod) const { return way().v6 ? pod.ip6 : pod.ip4; }
  std::string Service() const { return way().v6 ? kService6 : kService; }
  const char* Family() const { return way().v6 ? "ip6" : "ip"; }
  const char* Protocol() const { return way().protocol == policy::kTcp ? "tcp" : "udp"; }

  // web talks to db; `address`: db's address as web sees it.
  StatusOr<std::unique_ptr<Conversation>> Talk(const std::string& address, std::uint16_t port = kServerPort) {
    SL_ASSIGN_OR_RETURN(const auto to, policy::Address::Parse(address));
    return Conversation::Open({.client = &node_->netns(Pod("web")),
                               .server = &node_->netns(Pod("db")),
                               .to = to,
                               .port = port,
                               .server_port = kServerPort,
                               .protocol = way().protocol});
  }
  std::unique_ptr<Conversation> TalkDirectly() {
    auto talk = Talk(AddressOf(Pod("db")));
    EXPECT_TRUE(talk.ok()) << talk.status();
    return talk.ok() ? *std::move(talk) : nullptr;
  }

  std::uint64_t Redirects() const { return Count(SL_COUNTER_REDIRECT_PEER); }
  // Number of redirected packets in `exchanges`, all of which must arrive.
  std::uint64_t RedirectsOf(Conversation& talk, int exchanges = 8, std::size_t bytes = 100) {
    const auto before = Redirects();
    for (int i = 0; i < exchanges; ++i) EXPECT_TRUE(talk.Exchange(bytes)) << i;
    return Redirects() - before;
  }
  // Waits a while until `is` returns true.
  template <typename Condition>
  static bool Becomes(Condition is) {
    for (const auto end = steady_clock::now() + std::chrono::seconds(10); steady_clock::now() < end;) {
      if (is()) return true;
      std::this_thread::sleep_for(milliseconds(20));
    }
    return false;
  }
  std::vector<datapath::FlowRecord> FlowsAt(std::uint16_t client_port) {
    auto flows = datapath_->Flows();
    EXPECT_TRUE(flows.ok()) << flows.status();
    if (!flows.ok()) return {};
    std::erase_if(*flows, [&](const datapath::FlowRecord& flow) {
      return ntohs(flow.key.lo_port) != client_port && ntohs(flow.key.hi_port) != client_port;
    });
    return *std::move(flows);
  }
  void TranslateService() {
    Nft(
        fmt::format("table {0} nat {{\n chain pre {{ type nat hook prerouting priority dstnat;\n"
                    "  {0} daddr {1} {2} dport {3} dnat to {4}:{5}\n }}\n}}\n",
                    Family(), Service(), Protocol(), kServicePort, way().v6 ? "[" + Pod("db").ip6 + "]" : Pod("db").ip4,
                    kServerPort));
    if (way().wiring == Wiring::kRouted) return;
    for (const char* pod : {"web", "db", "other"})
      ASSERT_TRUE(node_->netns(Pod(pod)).Ip(fmt::format("route replace {} via {}\n", Service(), Gateway())).ok());
  }
  std::string Gateway() const { return way().v6 ? node_->ip6() : node_->ip4(); }
};

class EachWay : public HostPath, public testing::WithParamInterface<Way> {
 protected:
  Way way() const override { return GetParam(); }
};
class EachRoutedWay : public EachWay {};
class TwoWays : public EachWay {};  // one of each, where the rest of the path does not matter

TEST_P(EachWay, APlainFlowTakesTheRedirectOnceTheHostHasLetItPassBothWays) {
  const auto talk = TalkDirectly();
  ASSERT_NE(talk, nullptr);
  EXPECT_EQ(Redirects(), 0u) << "a handshake, or a question and its answer";
  EXPECT_TRUE(talk->Exchange());
  EXPECT_GE(RedirectsOf(*talk), 16u);
  const auto flows = FlowsAt(talk->client_port());
  ASSERT_EQ(flows.size(), 1u);
  EXPECT_TRUE(talk->Close());
  if (way().protocol != policy::kTcp) return;
  EXPECT_TRUE(Becomes([&] {
    const auto closed = FlowsAt(talk->client_port());
    return closed.size() == 1 && (closed[0].entry.flags & SL_CT_FIN_FORWARD) &&
           (closed[0].entry.flags & SL_CT_FIN_REPLY);
  }));
}

TEST_P(EachWay, AServiceOnTheSameNodeIsTranslatedThereAndBack) {
  TranslateService();
  const auto talk = Talk(Service(), kServicePort);
  ASSERT_TRUE(talk.ok()) << talk.status();
  EXPECT_EQ(RedirectsOf(**talk, 20), 0u) << "translated packets must pass the host";
  const auto before = FlowsAt((*talk)->client_port());
  ASSERT_EQ(before.size(), 2u) << "as the client names it, and as the server sees it";
  for (const datapath::FlowRecord& flow : before) {
    EXPECT_GE(flow.entry.forward_packets, 20u) << "each hook counts what no earlier one has";
    EXPECT_GE(flow.entry.reply_packets, 20u);
    EXPECT_EQ(flow.state, datapath::FlowState::kEstablished);
  }
  EXPECT_TRUE((*talk)->Close());
  if (way().protocol != policy::kTcp) return;
  EXPECT_TRUE(Becomes([&] {
    const auto closed = FlowsAt((*talk)->client_port());
    return std::all_of(closed.begin(), closed.end(), [](const datapath::FlowRecord& flow) {
      return (flow.entry.flags & SL_CT_FIN_FORWARD) && (flow.entry.flags & SL_CT_FIN_REPLY);
    });
  })) << "the end of a translated connection is seen";
}

TEST_P(EachRoutedWay, ASourceThatTheHostTranslatesStaysTranslated) {
  Nft(
      fmt::format("table {0} nat {{\n chain post {{ type nat hook postrouting priority srcnat;\n"
                  "  {0} daddr {1} {2} dport {3} masquerade\n }}\n}}\n",
                  Family(), AddressOf(Pod("db")), Protocol(), kServerPort));
  const auto talk = TalkDirectly();
  ASSERT_NE(talk, nullptr);
  EXPECT_EQ(RedirectsOf(*talk, 20), 0u);
}

TEST_P(TwoWays, WhatTheHostsFirewallDropsNeverTakesTheRedirect) {
  Nft(fmt::format(
      "table inet filter {{\n chain forward {{ type filter hook forward priority 0;\n  {} dport {} drop\n }}\n}}\n",
      Protocol(), kServerPort));
  EXPECT_FALSE(Talk(AddressOf(Pod("db"))).ok());
  EXPECT_EQ(Redirects(), 0u);
}

TEST_P(TwoWays, ARuleThatTheHostGetsLaterHoldsForFlowsThatGoOn) {
  Recheck(milliseconds(500));
  const auto talk = TalkDirectly();
  ASSERT_NE(talk, nullptr);
  EXPECT_TRUE(talk->Exchange());
  EXPECT_GT(RedirectsOf(*talk), 0u);
  Nft(
      fmt::format("table inet filter {{\n chain forward {{ type filter hook forward priority 0;\n"
                  "  {} dport {} drop\n }}\n}}\n",
                  Protocol(), kServerPort));
  const auto began = steady_clock::now();
  while (talk->Exchange() && steady_clock::now() - began < std::chrono::seconds(10)) {
  }
  const auto went_on = steady_clock::now() - began - milliseconds(2000);  // the last exchange times out
  EXPECT_LT(went_on, milliseconds(2000)) << "for half a second, and what the machine is late";
  const auto before = Redirects();
  EXPECT_FALSE(talk->Exchange());
  EXPECT_EQ(Redirects(), before);
  // After the rules are removed, redirects happen as before.
  Nft("flush ruleset\n");
  const auto again = TalkDirectly();
  ASSERT_NE(again, nullptr);
  EXPECT_TRUE(again->Exchange());
  EXPECT_GT(RedirectsOf(*again), 0u);
}

// From time to time a packet passes the host, which has not seen the packets in between.
TEST_P(EachWay, ConnectionTrackingFindsNothingInvalid) {
  Recheck(milliseconds(300));
  const auto tracks = [&] {
    bool tracked = false;
    EXPECT_TRUE(node_
                    ->Run([&] {
                      tracked = net::TracksTcpWindows();
                      return datapath_->SetHostTracksTcp(tracked);
                    })
                    .ok());
    return tracked;
  };
  EXPECT_FALSE(tracks()) << "no rule asks for it";
  Nft("table inet filter {\n counter refused { }\n chain forward { type filter hook forward priority 0;\n"
      "  ct state invalid counter name refused drop\n }\n}\n");
  for (const bool liberal : {false, true}) {
    SCOPED_TRACE(liberal ? "liberal" : "by the window");
    ASSERT_TRUE(node_->netns().Sysctl("net/netfilter/nf_conntrack_tcp_be_liberal", liberal ? "1" : "0").ok());
    EXPECT_EQ(tracks(), !liberal) << "also before anything was";
    const auto talk = TalkDirectly();
    ASSERT_NE(talk, nullptr);
    const std::uint64_t before = Redirects();
    for (const auto end = steady_clock::now() + std::chrono::seconds(2); steady_clock::now() < end;)
      ASSERT_TRUE(talk->Exchange(way().protocol == policy::kTcp ? 60000 : 1000));
    if (liberal || way().protocol == policy::kUdp) {
      EXPECT_GT(Redirects(), before + 100);
    } else {
      EXPECT_EQ(Redirects(), before);
    }
    EXPECT_TRUE(talk->Close());
    const auto counted = node_->Run([] {
      return RunChecked({"sh", "-c", "nft list counters | grep -q 'packets 0 '"});
    });
    EXPECT_TRUE(counted.ok()) << counted;
  }
}

TEST_P(TwoWays, AQueueingDisciplineAtTheReceiverIsNotPassedBy) {
  const auto sent = [&](const std::string& interface) {
    std::uint64_t packets = 0;
    EXPECT_TRUE(
        node_
            ->Run([&]() -> Status {
              SL_ASSIGN_OR_RETURN(const auto shown, RunCommand({"tc", "-s", "qdisc", "show", "dev", interface}));
              const auto at = shown.output.find(" bytes ");
              if (at == std::string::npos) return InvalidError("no count in: {}", shown.output);
              packets = std::stoull(shown.output.substr(at + 7));
              return OkStatus();
            })
            .ok());
    return packets;
  };
  const std::string& interface = Pod("db").host_interface;
  Tc({"qdisc", "add", "dev", interface, "root", "tbf", "rate", "100mbit", "burst", "100kb", "latency", "50ms"});
  Enforce();  // as after each change that netlink reports
  const auto talk = TalkDirectly();
  ASSERT_NE(talk, nullptr);
  EXPECT_TRUE(talk->Exchange());
  const auto limited = sent(interface);
  const auto redirects = RedirectsOf(*talk, 20);
  EXPECT_GE(sent(interface), limited + 20) << "what db receives is limited";
  EXPECT_GE(redirects, 20u) << "what it sends is not; with TCP, acknowledgements may come on top";
  EXPECT_LT(redirects, 40u);
  Tc({"qdisc", "del", "dev", interface, "root"});
  Enforce();
  EXPECT_TRUE(Becomes([&] { return RedirectsOf(*talk) >= 16; })) << "a flow that goes on takes it again";
}

TEST_P(TwoWays, AFilterOfSomebodyElseIsNotPassedBy) {
  for (const bool sender : {true, false}) {
    SCOPED_TRACE(sender ? "at the sender" : "at the receiver");
    const std::string& interface = Pod(sender ? "web" : "db").host_interface;
    const std::string hook = sender ? "ingress" : "egress";
    // Exists already when our own programs are attached with it, as before kernel 6.6.
    (void)node_->Run([&] { return RunChecked({"tc", "qdisc", "add", "dev", interface, "clsact"}); });
    Tc({"filter", "add", "dev", interface, hook, "protocol", "all", "prio", "5", "u32", "match", "u32", "0", "0",
        "flowid", "1:1"});
    Enforce();
    const auto talk = TalkDirectly();
    ASSERT_NE(talk, nullptr);
    EXPECT_TRUE(talk->Exchange());
    const auto redirects = RedirectsOf(*talk, 20);
    EXPECT_GE(redirects, 20u) << "the answers meet no filter";
    EXPECT_LT(redirects, 40u);
    Tc({"filter", "del", "dev", interface, hook, "protocol", "all", "prio", "5"});
    Enforce();
    EXPECT_TRUE(Becomes([&] { return RedirectsOf(*talk) >= 16; }));
  }
}

TEST_P(TwoWays, AProgramOfSomebodyElseIsNotPassedBy) {
  const bpf_insn pass[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = -1},
                           {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
  const Fd program(bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "other", "GPL", pass, std::size(pass), nullptr));
  ASSERT_TRUE(program.valid()) << errno;
  const std::uint32_t receiver = Pod("db").host_ifindex;
  Fd link;
  int error = 0;
  ASSERT_TRUE(node_
                  ->Run([&] {
                    link = Fd(bpf_link_create(program.get(), static_cast<int>(receiver),
                                              static_cast<bpf_attach_type>(bpf::kTcxEgress), nullptr));
                    error = errno;
                    return OkStatus();
                  })
                  .ok());
  if (!link.valid() && error == EINVAL) GTEST_SKIP() << "this kernel has no TCX (6.6)";
  ASSERT_TRUE(link.valid()) << strerror(error);
  const auto look = [&] { return node_->Run([&] { return datapath_->LookForOthers(); }); };
  ASSERT_TRUE(look().ok());
  const auto talk = TalkDirectly();
  ASSERT_NE(talk, nullptr);
  EXPECT_TRUE(talk->Exchange());
  const auto redirects = RedirectsOf(*talk, 20);
  EXPECT_GE(redirects, 20u);
  EXPECT_LT(redirects, 40u);
  link = Fd();
  EXPECT_TRUE(Becomes([&] { return look().ok() && RedirectsOf(*talk) >= 16; }));
}

constexpr Way kRoutedTcp4, kRoutedUdp4{.protocol = policy::kUdp}, kRoutedTcp6{.v6 = true};
constexpr Way kBridgedTcp4{.wiring = TestNode::Wiring::kBridged};
constexpr Way kBridgedUdp4{.wiring = TestNode::Wiring::kBridged, .protocol = policy::kUdp};
constexpr Way kBridgedUdp6{.wiring = TestNode::Wiring::kBridged, .protocol = policy::kUdp, .v6 = true};

INSTANTIATE_TEST_SUITE_P(Ways, EachWay,
                         testing::Values(kRoutedTcp4, kRoutedUdp4, kBridgedTcp4, kBridgedUdp4, kRoutedTcp6,
                                         kBridgedUdp6),
                         NameOf);
INSTANTIATE_TEST_SUITE_P(Ways, EachRoutedWay, testing::Values(kRoutedTcp4, kRoutedUdp4, kRoutedTcp6), NameOf);
INSTANTIATE_TEST_SUITE_P(Ways, TwoWays, testing::Values(kRoutedTcp4, kBridgedUdp6), NameOf);

class AlwaysPath : public HostPath {};

TEST_F(AlwaysPath, FromTheFirstPacketOnWhereItIsAskedForButNotForTranslatedFlows) {
  Configure(SL_SETTING_REDIRECT | SL_SETTING_REDIRECT_ALWAYS);
  {
    const auto talk = TalkDirectly();
    ASSERT_NE(talk, nullptr);
    EXPECT_GE(Redirects(), 2u) << "the handshake";
    EXPECT_TRUE(talk->Close());
  }
  TranslateService();
  const auto before = Redirects();
  const auto talk = Talk(Service(), kServicePort);
  ASSERT_TRUE(talk.ok()) << talk.status();
  EXPECT_TRUE((*talk)->Exchange());
  EXPECT_EQ(Redirects(), before);
}

}  // namespace
}  // namespace sluice::test
