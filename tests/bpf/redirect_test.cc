// Redirects happen only when the host's own forwarding leads to the same veth. The frame then looks as if a router (or
// a bridge) had forwarded it.
#include <gtest/gtest.h>

#include "testbed/command.h"
#include "tests/support/sample_cluster.h"

namespace sluice::test {
namespace {

std::string HostMac(int i) { return fmt::format("02:00:00:00:01:{:02x}", i); }
std::string PodMac(int i) { return fmt::format("02:00:00:00:02:{:02x}", i); }

sl_interface Facts(const std::string& mac, std::uint32_t bridge = 0) {
  sl_interface facts{.bridge = bridge};
  for (int i = 0; i < 6; ++i) facts.pod_mac[i] = static_cast<__u8>(std::stoi(mac.substr(3 * i, 2), nullptr, 16));
  return facts;
}

class Redirect : public SampleCluster {
 protected:
  static constexpr std::uint32_t kFromTheFirstOn = SL_SETTING_REDIRECT | SL_SETTING_REDIRECT_ALWAYS;

  // The fixture's namespace becomes a router with host routes to web and db.
  static void SetUpTestSuite() {
    SampleCluster::SetUpTestSuite();
    if (fixture_ == nullptr) return;
    std::string lines;
    for (const auto& [interface, v4, v6] : {std::tuple{kWeb, kWebIp, kWebIp6}, std::tuple{kDb, kDbIp, kDbIp6}}) {
      lines += fmt::format("route add {} dev p{}\nroute add {} dev p{}\n", v4, int{interface}, v6, int{interface});
      for (const char* address : {v4, v6})
        lines +=
            fmt::format("neigh add {} lladdr {} dev p{} nud permanent\n", address, PodMac(interface), int{interface});
    }
    const Status wired = RunChecked({"ip", "-batch", "-"}, lines);
    ASSERT_TRUE(wired.ok()) << wired;
    for (const char* family : {"net.ipv4.conf.all.forwarding=1", "net.ipv6.conf.all.forwarding=1"}) {
      const Status set = RunChecked({"sysctl", "-qw", family});
      ASSERT_TRUE(set.ok()) << set;
    }
  }

  void SetUp() override {
    SampleCluster::SetUp();
    Configure(kFromTheFirstOn);
    Bridge(0, 0);
    sl_uplink uplink{.ifindex = ifindex(kUplink)};
    std::copy_n(Facts(HostMac(kUplink)).pod_mac, 6, uplink.mac);
    const Status described = fixture_->datapath().DescribeUplink(uplink);
    ASSERT_TRUE(described.ok()) << described;
  }

  void Describe(int interface, const sl_interface& facts) {
    const Status status = fixture_->datapath().DescribeInterface(ifindex(interface), facts);
    ASSERT_TRUE(status.ok()) << status;
  }
  void Bridge(std::uint32_t web_bridge, std::uint32_t db_bridge) {
    Describe(kWeb, Facts(PodMac(kWeb), web_bridge));
    Describe(kDb, Facts(PodMac(kDb), db_bridge));
  }

  static Frame Ipv4Frame(const Eth& eth, std::uint8_t ttl = 64, const char* src = kWebIp, int options = 0) {
    return (eth / Ipv4{.src = src, .dst = kDbIp, .ttl = ttl, .option_words = options} / Tcp{.dport = 5432}).ToFrame();
  }
  static Frame Ipv6Frame(const Eth& eth, std::uint8_t hop_limit = 64, const char* src = kWebIp6) {
    return (eth / Ipv6{.src = src, .dst = kDbIp6, .hop_limit = hop_limit} / Tcp{.dport = 5432}).ToFrame();
  }
  static Eth ToRouter(int interface = kWeb) { return {.dst = HostMac(interface), .src = PodMac(interface)}; }
  static Eth ToReceiver() { return {.dst = PodMac(kDb), .src = HostMac(kDb)}; }

  static Moves Peer(std::uint64_t bytes) {
    return Moves()
        .Packet(SL_HOOK_TC_FROM_POD, SL_DROP_NONE, bytes)
        .Egress(1, SL_DROP_NONE, bytes)
        .Ingress(2, SL_DROP_NONE, bytes)
        .Count(SL_COUNTER_FLOW_NEW)
        .Count(SL_COUNTER_REDIRECT_PEER)
        .Added("pending");
  }
};

TEST_F(Redirect, RoutedToTheOtherPodAsARouterDoesIt) {
  for (const int options : {0, 10}) {
    ASSERT_TRUE(fixture_->ForgetFlows().ok());
    const Evaluated v4 = FromPod(kWeb, Ipv4Frame(ToRouter(), 64, kWebIp, options));
    EXPECT_TRUE(v4.redirected);
    EXPECT_EQ(v4.frame, Ipv4Frame(ToReceiver(), 63, kWebIp, options)) << "TTL, checksum and MACs";
    EXPECT_EQ(v4.moves, Peer(v4.bytes));
  }
  const Evaluated v6 = FromPod(kWeb, Ipv6Frame(ToRouter()));
  EXPECT_TRUE(v6.redirected);
  EXPECT_EQ(v6.frame, Ipv6Frame(ToReceiver(), 63));
  EXPECT_EQ(v6.moves, Peer(v6.bytes));
}

TEST_F(Redirect, ChecksumCarriesAtEveryTtl) {
  for (int ttl = 2; ttl < 256; ++ttl) {
    const auto evaluated = FromPod(kWeb, Ipv4Frame(ToRouter(), static_cast<std::uint8_t>(ttl)));
    ASSERT_EQ(evaluated.frame, Ipv4Frame(ToReceiver(), static_cast<std::uint8_t>(ttl - 1))) << ttl;
  }
}

TEST_F(Redirect, SwitchedOffTheFrameGoesToTheStackAsItCame) {
  Configure(0);
  const Evaluated evaluated = FromPod(kWeb, Ipv4Frame(ToRouter()));
  EXPECT_TRUE(evaluated.forwarded);
  EXPECT_FALSE(evaluated.redirected);
  EXPECT_EQ(evaluated.frame, Ipv4Frame(ToRouter()));
}

TEST_F(Redirect, ATtlThatEndsHereIsLeftToTheStack) {
  for (const std::uint8_t ttl : {0, 1}) {
    const Evaluated v4 = FromPod(kWeb, Ipv4Frame(ToRouter(), ttl));
    EXPECT_TRUE(v4.forwarded && !v4.redirected) << int{ttl};
    const Evaluated v6 = FromPod(kWeb, Ipv6Frame(ToRouter(), ttl));
    EXPECT_TRUE(v6.forwarded && !v6.redirected) << int{ttl};
  }
}

TEST_F(Redirect, NotWhereTheHostWouldSendItElsewhere) {
  ASSERT_TRUE(RunChecked({"ip", "route", "replace", kDbIp, "dev", "p6"}).ok());
  const Evaluated evaluated = FromPod(kWeb, Ipv4Frame(ToRouter()));
  ASSERT_TRUE(RunChecked({"ip", "route", "replace", kDbIp, "dev", "p1"}).ok());
  EXPECT_TRUE(evaluated.forwarded && !evaluated.redirected);
}

TEST_F(Redirect, NotBeyondTheRoutesMtu) {
  ASSERT_TRUE(RunChecked({"ip", "route", "replace", kDbIp, "dev", "p1", "mtu", "lock", "600"}).ok());
  const Frame big = (ToRouter() / Ipv4{.src = kWebIp, .dst = kDbIp} / Tcp{.dport = 5432} / Payload{800}).ToFrame();
  const Evaluated evaluated = FromPod(kWeb, big);
  const Evaluated segments = FromPod(kWeb, big, 2);
  const Evaluated small = FromPod(kWeb, Ipv4Frame(ToRouter()));
  ASSERT_TRUE(RunChecked({"ip", "route", "replace", kDbIp, "dev", "p1"}).ok());
  EXPECT_TRUE(evaluated.forwarded && !evaluated.redirected) << "the stack answers fragmentation needed";
  EXPECT_TRUE(small.redirected);
  EXPECT_TRUE(segments.forwarded);
}

TEST_F(Redirect, NotATaggedFrameAndNotADeniedOne) {
  const Evaluated tagged =
      FromPod(kWeb, (ToRouter() / Vlan{} / Ipv4{.src = kWebIp, .dst = kDbIp} / Tcp{.dport = 5432}).ToFrame());
  EXPECT_TRUE(tagged.forwarded && !tagged.redirected);
  const Evaluated denied = FromPod(kWeb, (ToRouter() / Ipv4{.src = kWebIp, .dst = kDbIp} / Tcp{.dport = 1}).ToFrame());
  EXPECT_FALSE(denied.forwarded);
}

TEST_F(Redirect, BridgedToTheOtherPodUnchanged) {
  Bridge(99, 99);
  const Eth frame{.dst = PodMac(kDb), .src = PodMac(kWeb)};
  const Evaluated v4 = FromPod(kWeb, Ipv4Frame(frame, 1));
  EXPECT_TRUE(v4.redirected) << "a bridge looks at no TTL";
  EXPECT_EQ(v4.frame, Ipv4Frame(frame, 1));
  EXPECT_EQ(v4.moves, Peer(v4.bytes));
  const Evaluated v6 = FromPod(kWeb, Ipv6Frame(frame));
  EXPECT_TRUE(v6.redirected);
  EXPECT_EQ(v6.frame, Ipv6Frame(frame));
}

TEST_F(Redirect, NotAcrossBridgesNorToAnotherMac) {
  const Eth frame{.dst = PodMac(kDb), .src = PodMac(kWeb)};
  for (const auto& [web_bridge, db_bridge] : {std::pair{99u, 98u}, std::pair{0u, 0u}, std::pair{0u, 99u}}) {
    Bridge(web_bridge, db_bridge);
    const Evaluated evaluated = FromPod(kWeb, Ipv4Frame(frame));
    EXPECT_TRUE(evaluated.forwarded && !evaluated.redirected) << web_bridge << " " << db_bridge;
  }
  Bridge(99, 99);
  const Evaluated evaluated = FromPod(kWeb, Ipv4Frame({.dst = PodMac(kOther), .src = PodMac(kWeb)}));
  EXPECT_TRUE(evaluated.forwarded && !evaluated.redirected);
}

// The packets of a flow share a cached next hop in each direction, for at most a quarter of a second.
TEST_F(Redirect, AnAnsweredFlowFollowsTheHostsRoutesWithinAQuarterOfASecond) {
  const auto to_db = [](std::uint8_t flags) {
    return (ToRouter() / Ipv4{.src = kWebIp, .dst = kDbIp} / Tcp{.sport = 40000, .dport = 5432, .flags = flags})
        .ToFrame();
  };
  const auto to_web = [](std::uint8_t flags) {
    return (ToRouter(kDb) / Ipv4{.src = kDbIp, .dst = kWebIp} / Tcp{.sport = 5432, .dport = 40000, .flags = flags})
        .ToFrame();
  };
  const auto sent_on = [](int from, int to, std::uint8_t flags) {
    const Eth eth{.dst = PodMac(to), .src = HostMac(to)};
    return (eth / Ipv4{.src = from == kWeb ? kWebIp : kDbIp, .dst = to == kWeb ? kWebIp : kDbIp, .ttl = 63} /
            Tcp{.sport = static_cast<std::uint16_t>(from == kWeb ? 40000 : 5432),
                .dport = static_cast<std::uint16_t>(to == kWeb ? 40000 : 5432),
                .flags = flags})
        .ToFrame();
  };
  const auto both_redirected = [&](const char* when) {
    const Evaluated there = FromPod(kWeb, to_db(kAck)), back = FromPod(kDb, to_web(kAck));
    EXPECT_TRUE(there.redirected && back.redirected) << when;
    EXPECT_EQ(there.frame, sent_on(kWeb, kDb, kAck)) << when;
    EXPECT_EQ(back.frame, sent_on(kDb, kWeb, kAck)) << when;
  };
  fixture_->SetClock(1000);
  ASSERT_TRUE(FromPod(kWeb, to_db(kSyn)).redirected);
  ASSERT_TRUE(FromPod(kDb, to_web(kSyn | kAck)).redirected);
  both_redirected("the ways are looked for");
  both_redirected("the ways are known");

  ASSERT_TRUE(RunChecked({"ip", "route", "replace", kDbIp, "dev", "p6"}).ok());
  EXPECT_TRUE(FromPod(kWeb, to_db(kAck)).redirected) << "as was known a moment ago";
  fixture_->SetClock(1001);
  const Evaluated elsewhere = FromPod(kWeb, to_db(kAck)), again = FromPod(kWeb, to_db(kAck));
  const Evaluated back = FromPod(kDb, to_web(kAck));
  ASSERT_TRUE(RunChecked({"ip", "route", "replace", kDbIp, "dev", "p1"}).ok());
  EXPECT_TRUE(elsewhere.forwarded && !elsewhere.redirected);
  EXPECT_TRUE(again.forwarded && !again.redirected) << "that there is none is known too";
  EXPECT_EQ(again.frame, to_db(kAck)) << "to the stack as it came";
  EXPECT_TRUE(back.redirected) << "the other direction has its own";
  fixture_->SetClock(1002);
  both_redirected("the route is back");

  ASSERT_TRUE(RunChecked({"ip", "route", "replace", kDbIp, "dev", "p1", "mtu", "lock", "600"}).ok());
  fixture_->SetClock(1003);
  both_redirected("short ones fit");
  const Evaluated big = FromPod(kWeb, (ToRouter() / Ipv4{.src = kWebIp, .dst = kDbIp} /
                                       Tcp{.sport = 40000, .dport = 5432, .flags = kAck} / Payload{800})
                                          .ToFrame());
  ASSERT_TRUE(RunChecked({"ip", "route", "replace", kDbIp, "dev", "p1"}).ok());
  EXPECT_TRUE(big.forwarded && !big.redirected) << "beyond the way's MTU";

  const Frame last =
      (ToRouter() / Ipv4{.src = kWebIp, .dst = kDbIp, .ttl = 1} / Tcp{.sport = 40000, .dport = 5432, .flags = kAck})
          .ToFrame();
  const Evaluated ends = FromPod(kWeb, last);
  EXPECT_TRUE(ends.forwarded && !ends.redirected) << "the TTL ends here";
  EXPECT_EQ(ends.frame, last);
}

// A next hop that is too old is looked up for a plain packet as for any other: whichever end sends, in IPv6 too.
TEST_F(Redirect, AnAnsweredFlowOfIpv6AsksForItsWayAgain) {
  const Tcp there{.sport = 40000, .dport = 5432}, back{.sport = 5432, .dport = 40000};
  const auto frame = [](const Eth& eth, bool to_db, Tcp tcp, std::uint8_t flags, std::uint8_t hop_limit) {
    tcp.flags = flags;
    return (eth / Ipv6{.src = to_db ? kWebIp6 : kDbIp6, .dst = to_db ? kDbIp6 : kWebIp6, .hop_limit = hop_limit} / tcp)
        .ToFrame();
  };
  fixture_->SetClock(1000);
  ASSERT_TRUE(FromPod(kWeb, frame(ToRouter(), true, there, kSyn, 64)).redirected);
  ASSERT_TRUE(FromPod(kDb, frame(ToRouter(kDb), false, back, kSyn | kAck, 64)).redirected);
  ASSERT_TRUE(FromPod(kWeb, frame(ToRouter(), true, there, kAck, 64)).redirected);
  const auto moves = [](std::uint32_t from, std::uint32_t to, std::uint64_t bytes) {
    return Moves()
        .Packet(SL_HOOK_TC_FROM_POD, SL_DROP_NONE, bytes)
        .Egress(from, SL_DROP_NONE, bytes)
        .Ingress(to, SL_DROP_NONE, bytes)
        .Count(SL_COUNTER_REDIRECT_PEER)
        .Changed("established");
  };
  const Eth to_web{.dst = PodMac(kWeb), .src = HostMac(kWeb)};
  for (int second = 1001; second < 1004; ++second) {
    fixture_->SetClock(second);
    for (const char* when : {"too old", "known"}) {
      const Evaluated forth = FromPod(kWeb, frame(ToRouter(), true, there, kAck, 64));
      EXPECT_EQ(forth.frame, frame(ToReceiver(), true, there, kAck, 63)) << when << second;
      EXPECT_EQ(forth.moves, moves(1, 2, forth.bytes)) << when << second;
      const Evaluated answer = FromPod(kDb, frame(ToRouter(kDb), false, back, kAck, 64));
      EXPECT_EQ(answer.frame, frame(to_web, false, back, kAck, 63)) << when << second;
      EXPECT_EQ(answer.moves, moves(2, 1, answer.bytes)) << when << second;
    }
  }
}

// Without SL_SETTING_REDIRECT_ALWAYS: only flows whose packets were seen to pass the host unchanged, in both
// directions.
class SeenToPass : public Redirect {
 protected:
  void SetUp() override {
    Redirect::SetUp();
    Configure(SL_SETTING_REDIRECT);
  }
  static Frame There(std::uint8_t flags, int payload = 0) {
    return (ToRouter() / Ipv4{.src = kWebIp, .dst = kDbIp} / Tcp{.sport = 40000, .dport = 5432, .flags = flags} /
            Payload{payload})
        .ToFrame();
  }
  static Frame Back(std::uint8_t flags) {
    return (ToRouter(kDb) / Ipv4{.src = kDbIp, .dst = kWebIp} / Tcp{.sport = 5432, .dport = 40000, .flags = flags})
        .ToFrame();
  }
  // Sends through the host, which changes nothing.
  void PassThere(std::uint8_t flags) {
    const Evaluated evaluated = FromPod(kWeb, There(flags));
    EXPECT_TRUE(evaluated.forwarded && !evaluated.redirected);
    EXPECT_TRUE(ToPod(kDb, kWeb, There(flags)).forwarded);
  }
  void PassBack(std::uint8_t flags) {
    const Evaluated evaluated = FromPod(kDb, Back(flags));
    EXPECT_TRUE(evaluated.forwarded && !evaluated.redirected);
    EXPECT_TRUE(ToPod(kWeb, kDb, Back(flags)).forwarded);
  }
  void Connect() {
    PassThere(kSyn);
    PassBack(kSyn | kAck);
    PassThere(kAck);
  }
  sl_flow_entry Flow() {
    const auto flows = Flows();
    EXPECT_EQ(flows.size(), 1u);
    return flows.empty() ? sl_flow_entry{} : flows[0].entry;
  }
};

TEST_F(SeenToPass, AfterTheHandshakeAndNotForItsEnd) {
  Connect();
  EXPECT_TRUE(FromPod(kWeb, There(kAck)).redirected);
  EXPECT_TRUE(FromPod(kDb, Back(kAck)).redirected);
  for (const std::uint8_t flags : {kFin, kRst}) {
    const Evaluated end = FromPod(kWeb, There(static_cast<std::uint8_t>(flags | kAck)));
    EXPECT_TRUE(end.forwarded && !end.redirected) << "the host's connection tracking sees it";
  }
  EXPECT_EQ(Flow().forward_packets, 5u) << "each was counted once";
}

TEST_F(SeenToPass, NotFromASynThatNobodyAnswers) {
  for (int i = 0; i < 20; ++i) PassThere(kSyn);
  PassThere(kAck);
  EXPECT_EQ(Flow().forward_packets, 21u);
}

TEST_F(SeenToPass, NotWhereOneDirectionIsLostInTheHost) {
  PassThere(kSyn);
  EXPECT_TRUE(FromPod(kDb, Back(kSyn | kAck)).forwarded);  // translated or dropped by the host
  PassThere(kAck);
  PassThere(kAck);
  const Evaluated back = FromPod(kDb, Back(kAck));
  EXPECT_TRUE(back.forwarded && !back.redirected);
}

TEST_F(SeenToPass, NotWhatTheSendersHookHasUnderAnotherKey) {
  // The client's packets arrive translated: they are counted at tc_to_pod, and their answers pass the host.
  for (const std::uint8_t flags : {kSyn, kAck, kAck}) EXPECT_TRUE(ToPod(kDb, kWeb, There(flags)).forwarded);
  for (int i = 0; i < 3; ++i) {
    const Evaluated back = FromPod(kDb, Back(kAck));
    EXPECT_TRUE(back.forwarded && !back.redirected);
  }
  EXPECT_EQ(Flow().forward_packets, 3u);
  EXPECT_EQ(Flow().reply_packets, 3u);
  EXPECT_TRUE(ToPod(kDb, kWeb, There(kFin | kAck)).forwarded);
  EXPECT_TRUE(Flow().flags & SL_CT_FIN_FORWARD);
  Configure(kFromTheFirstOn);
  EXPECT_FALSE(FromPod(kDb, Back(kAck)).redirected) << "also where the host's path need not be seen";
}

TEST_F(SeenToPass, TheHostsPathAgainFromTimeToTime) {
  fixture_->SetClock(1000);
  Connect();
  fixture_->SetClock(1003);
  EXPECT_TRUE(FromPod(kWeb, There(kAck)).redirected);
  fixture_->SetClock(1006);
  for (int i = 0; i < 3; ++i) {
    const Evaluated again = FromPod(kWeb, There(kAck));
    EXPECT_TRUE(again.forwarded && !again.redirected) << "until one has come through";
  }
  const Evaluated back = FromPod(kDb, Back(kAck));
  EXPECT_TRUE(back.forwarded && !back.redirected);
  PassThere(kAck);
  EXPECT_FALSE(FromPod(kWeb, There(kAck)).redirected) << "the other direction has not passed yet";
  PassBack(kAck);
  EXPECT_TRUE(FromPod(kWeb, There(kAck)).redirected);
  EXPECT_TRUE(FromPod(kDb, Back(kAck)).redirected);
  EXPECT_EQ(Flow().forward_packets, 9u) << "each was counted once";
}

TEST_F(SeenToPass, TcpNotWhereTheHostFollowsItsWindows) {
  ASSERT_TRUE(fixture_->datapath().SetHostTracksTcp(true).ok());
  Configure(SL_SETTING_REDIRECT);  // changes nothing here
  Connect();
  PassThere(kAck);
  PassBack(kAck);
  ASSERT_TRUE(fixture_->datapath().SetHostTracksTcp(false).ok());
  EXPECT_TRUE(FromPod(kWeb, There(kAck)).redirected);
}

TEST_F(SeenToPass, NotPastWhatOthersHaveAtTheInterfaces) {
  Connect();
  const auto describe = [&](int interface, std::uint8_t others, std::uint32_t bridge) {
    sl_interface facts = Facts(PodMac(interface), bridge);
    facts.others = others;
    Describe(interface, facts);
  };
  for (const std::uint32_t bridge : {0u, 99u}) {
    const Eth eth = bridge ? Eth{.dst = PodMac(kDb), .src = PodMac(kWeb)} : ToRouter();
    const Frame frame =
        (eth / Ipv4{.src = kWebIp, .dst = kDbIp} / Tcp{.sport = 40000, .dport = 5432, .flags = kAck}).ToFrame();
    for (const auto& [web, db, passes] : {std::tuple{0, 0, true}, std::tuple{int{SL_OTHERS_SENT}, 0, false},
                                          std::tuple{0, int{SL_OTHERS_RECEIVED}, false},
                                          std::tuple{int{SL_OTHERS_RECEIVED}, int{SL_OTHERS_SENT}, true}}) {
      describe(kWeb, static_cast<std::uint8_t>(web), bridge);
      describe(kDb, static_cast<std::uint8_t>(db), bridge);
      static int second = 1000;
      fixture_->SetClock(++second > 1004 ? second = 1001 : second);  // the next hops are looked up again
      EXPECT_EQ(FromPod(kWeb, frame).redirected, passes) << bridge << " " << web << " " << db;
    }
  }
}

// Another CPU has written one word of a next hop, or is about to: a frame never uses halves of two.
TEST_F(SeenToPass, HalfOfAnAnswerIsNotUsed) {
  Connect();
  const Frame right =
      (ToReceiver() / Ipv4{.src = kWebIp, .dst = kDbIp, .ttl = 63} / Tcp{.sport = 40000, .dport = 5432, .flags = kAck})
          .ToFrame();
  EXPECT_EQ(FromPod(kWeb, There(kAck)).frame, right);
  auto table = bpf::Map<__u32, sl_flow>::Bind(fixture_->datapath().object().map_fd("flows"), "flows");
  ASSERT_TRUE(table.ok()) << table.status();
  const std::uint32_t slot = Flows().at(0).slot;
  const auto change = [&](const std::function<void(sl_flow_route&)>& edit) {
    auto flow = table->Get(slot);
    ASSERT_TRUE(flow.ok() && flow->has_value());
    edit((*flow)->entry.forward_route);
    ASSERT_TRUE(table->Put(slot, **flow).ok());
  };
  constexpr __u64 kTagOne = 1ULL << SL_ROUTE_TAG_SHIFT;
  for (int word = 0; word < 2; ++word) {
    const auto of = [word](sl_flow_route& route) -> __u64& { return word == 0 ? route.destination : route.source; };
    change([&](sl_flow_route& route) { of(route) = (of(route) + kTagOne) ^ 0xff; });  // as in another next hop
    EXPECT_EQ(FromPod(kWeb, There(kAck)).frame, right) << word;
    change(
        [&](sl_flow_route& route) { of(route) = of(route) ^ 0xff ^ (__u64{SL_ROUTE_CLAIMED} << SL_ROUTE_TAG_SHIFT); });
    EXPECT_EQ(FromPod(kWeb, There(kAck)).frame, right) << word;
    static int second = 1000;
    fixture_->SetClock(++second);  // the next look-up
    EXPECT_EQ(FromPod(kWeb, There(kAck)).frame, right);
  }
}

TEST_F(SeenToPass, NotFragmentsAndNotWhatHasNoFlowOfTcpOrUdp) {
  Connect();
  EXPECT_FALSE(FromPod(kWeb, (ToRouter() / Ipv4{.src = kWebIp, .dst = kDbIp, .more_fragments = true} /
                              Tcp{.sport = 40000, .dport = 5432, .flags = kAck} / Payload{64})
                                 .ToFrame())
                   .redirected);
  EXPECT_TRUE(FromPod(kWeb, There(kAck, 64)).redirected);
}

// The host's firewall drops packets with this port; later fragments have no port. Tags belong to another network.
TEST_F(SeenToPass, NeitherFragmentsNorTagsVouchForTheHost) {
  Enforce();
  const Udp there{.sport = 40000, .dport = 53}, back{.sport = 53, .dport = 40000};
  const Packet answer = ToRouter(kDb) / Ipv4{.src = kDbIp, .dst = kWebIp} / back / Payload{20};
  const Frame whole = (ToRouter() / Ipv4{.src = kWebIp, .dst = kDbIp} / there / Payload{20}).ToFrame();
  const Frame first =
      (ToRouter() / Ipv4{.src = kWebIp, .dst = kDbIp, .more_fragments = true} / there / Payload{24}).ToFrame();
  const Frame later =
      (ToRouter() / Ipv4{.src = kWebIp, .dst = kDbIp, .protocol = policy::kUdp, .fragment_offset = 4} / Payload{20})
          .ToFrame();
  const Frame tagged = (ToRouter() / Vlan{} / Ipv4{.src = kWebIp, .dst = kDbIp} / there / Payload{20}).ToFrame();
  for (int round = 0; round < 2; ++round) {
    EXPECT_FALSE(FromPod(kWeb, whole).redirected);
    EXPECT_FALSE(FromPod(kWeb, first).redirected);
    EXPECT_TRUE(FromPod(kWeb, later).forwarded && ToPod(kDb, kWeb, later).forwarded);
    EXPECT_TRUE(FromPod(kWeb, tagged).forwarded && ToPod(kDb, kWeb, tagged).forwarded);
    EXPECT_TRUE(FromPod(kDb, answer.ToFrame()).forwarded && ToPod(kWeb, kDb, answer).forwarded);
  }
  ASSERT_TRUE(ToPod(kDb, kWeb, whole).forwarded);
  EXPECT_TRUE(FromPod(kWeb, whole).redirected) << "it came through itself";
  EXPECT_EQ(Flow().forward_packets, 9u) << "each was counted once";
}

class UplinkRedirect : public Redirect {
 protected:
  void SetUp() override {
    Redirect::SetUp();
    Enforce();
    Describe(kDb, Facts(PodMac(kDb)));
    ASSERT_TRUE(PodDevices().Put(ifindex(kDb), ifindex(kDb)).ok());
  }
  static bpf::Map<__u32, __u32> PodDevices() {
    auto map = bpf::Map<__u32, __u32>::Bind(fixture_->datapath().object().map_fd("pod_devices"), "pod_devices");
    EXPECT_TRUE(map.ok()) << map.status();
    return map.ok() ? *map : bpf::Map<__u32, __u32>();
  }
  static Moves Devmap(std::uint64_t bytes) {
    return Moves()
        .Packet(SL_HOOK_XDP_UPLINK, SL_DROP_NONE, bytes)
        .Ingress(2, SL_DROP_NONE, bytes)
        .Count(SL_COUNTER_FLOW_NEW)
        .Count(SL_COUNTER_REDIRECT_DEVMAP)
        .Added("pending");
  }
};

TEST_F(UplinkRedirect, ToThePodAsARouterDoesIt) {
  const Evaluated v4 = FromWire(Ipv4Frame(ToRouter(kUplink), 64, kRemoteIp));
  EXPECT_TRUE(v4.redirected);
  EXPECT_EQ(v4.frame, Ipv4Frame(ToReceiver(), 63, kRemoteIp));
  EXPECT_EQ(v4.moves, Devmap(v4.bytes));
  const Evaluated v6 = FromWire(Ipv6Frame(ToRouter(kUplink), 64, kRemoteIp6));
  EXPECT_TRUE(v6.redirected);
  EXPECT_EQ(v6.frame, Ipv6Frame(ToReceiver(), 63, kRemoteIp6));
  EXPECT_EQ(v6.moves, Devmap(v6.bytes));
}

TEST_F(UplinkRedirect, ChecksumCarriesAtEveryTtl) {
  for (int ttl = 2; ttl < 256; ++ttl) {
    const auto evaluated = FromWire(Ipv4Frame(ToRouter(kUplink), static_cast<std::uint8_t>(ttl), kRemoteIp));
    ASSERT_EQ(evaluated.frame, Ipv4Frame(ToReceiver(), static_cast<std::uint8_t>(ttl - 1), kRemoteIp)) << ttl;
  }
}

TEST_F(UplinkRedirect, ElseThePacketPassesWithItsVerdictInTheFlow) {
  const Frame frame = Ipv4Frame(ToRouter(kUplink), 64, kRemoteIp);
  const auto expect_pass = [&](const Frame& sent, const char* why, bool vouches = true) {
    ASSERT_TRUE(fixture_->ForgetFlows().ok());
    const Evaluated passed = FromWire(sent);
    EXPECT_TRUE(passed.forwarded && !passed.redirected) << why;
    // tc_to_pod finds the flow's verdict: it counts at the workload, and records that the packet arrived unchanged.
    const Evaluated received = ToPod(kDb, kUplink, sent);
    Moves moves;
    moves.Packet(SL_HOOK_TC_TO_POD, SL_DROP_NONE, received.bytes).Ingress(2, SL_DROP_NONE, received.bytes);
    EXPECT_EQ(received.moves, vouches ? moves.Changed("pending") : moves) << why;
  };
  ASSERT_TRUE(PodDevices().Delete(ifindex(kDb)).ok());
  expect_pass(frame, "the veth takes no frames");
  ASSERT_TRUE(PodDevices().Put(ifindex(kDb), ifindex(kDb)).ok());
  Configure(0);
  expect_pass(frame, "switched off");
  Configure(kFromTheFirstOn);
  expect_pass(Ipv4Frame(ToRouter(kUplink), 1, kRemoteIp), "the TTL ends here");
  expect_pass(Ipv6Frame(ToRouter(kUplink), 1, kRemoteIp6), "the hop limit ends here");
  expect_pass(Ipv4Frame({.dst = PodMac(kUplink), .src = PodMac(kElsewhere)}, 64, kRemoteIp), "not the router's MAC");
  expect_pass((ToRouter(kUplink) / Vlan{} / Ipv4{.src = kRemoteIp, .dst = kDbIp} / Tcp{.dport = 5432}).ToFrame(),
              "tagged", false);
}

TEST_F(UplinkRedirect, AnAnsweredFlowKnowsTheWay) {
  const Eth stranger{.dst = PodMac(kUplink), .src = PodMac(kElsewhere)};
  const auto frame = [](const Eth& eth, std::uint8_t flags, std::uint8_t ttl = 64) {
    return (eth / Ipv4{.src = kRemoteIp, .dst = kDbIp, .ttl = ttl} / Tcp{.dport = 5432, .flags = flags}).ToFrame();
  };
  fixture_->SetClock(1000);
  ASSERT_TRUE(FromWire(frame(ToRouter(kUplink), kSyn)).redirected);
  ASSERT_TRUE(FromPod(kDb, (ToRouter(kDb) / Ipv4{.src = kDbIp, .dst = kRemoteIp} /
                            Tcp{.sport = 5432, .dport = Tcp{}.sport, .flags = kSyn | kAck})
                               .ToFrame())
                  .forwarded);
  ASSERT_TRUE(FromWire(frame(stranger, kAck)).forwarded) << "the end of the handshake";
  for (const char* when : {"the way is looked for", "the way is known"}) {
    const Evaluated evaluated = FromWire(frame(ToRouter(kUplink), kAck));
    EXPECT_TRUE(evaluated.redirected) << when;
    EXPECT_EQ(evaluated.frame, frame(ToReceiver(), kAck, 63)) << when;
    EXPECT_EQ(evaluated.moves, Moves()
                                   .Packet(SL_HOOK_XDP_UPLINK, SL_DROP_NONE, evaluated.bytes)
                                   .Ingress(2, SL_DROP_NONE, evaluated.bytes)
                                   .Count(SL_COUNTER_REDIRECT_DEVMAP)
                                   .Changed("established"))
        << when;
  }
  const Evaluated passed = FromWire(frame(stranger, kAck));
  EXPECT_TRUE(passed.forwarded && !passed.redirected) << "not the router's MAC";
  ASSERT_TRUE(PodDevices().Delete(ifindex(kDb)).ok());
  fixture_->SetClock(1001);
  for (const char* when : {"the way is looked for", "that there is none is known"}) {
    const Evaluated evaluated = FromWire(frame(ToRouter(kUplink), kAck));
    EXPECT_TRUE(evaluated.forwarded && !evaluated.redirected) << when;
    EXPECT_EQ(evaluated.frame, frame(ToRouter(kUplink), kAck)) << when;
  }
}

}  // namespace
}  // namespace sluice::test
