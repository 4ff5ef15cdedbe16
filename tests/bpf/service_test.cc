// Packets that leave a pod with a Service's address: the packet path gives them a backend's, decides about that one,
// and puts the Service's address into the answers (bpf/lib/translate.bpf.h). What comes out is compared byte by byte
// with the packet to or from the backend, checksums included.
#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "bpf/abi/service.h"
#include "kernel/bpf/map.h"
#include "tests/support/sample_cluster.h"

namespace sluice::test {
namespace {

using policy::Address;

// The frame with its TCP, UDP or ICMPv6 checksum, which packets of tests otherwise lack.
Frame Whole(const Packet& packet) {
  Frame frame = packet.ToFrame();
  const bool is_v4 = frame[12] == 0x08;
  const std::size_t ip = 14, l4 = is_v4 ? ip + 20 : ip + 40, addresses = is_v4 ? ip + 12 : ip + 8;
  const std::uint8_t protocol = is_v4 ? frame[ip + 9] : frame[ip + 6];
  if (protocol != 6 && protocol != 17 && protocol != 58) return frame;
  const std::size_t at = l4 + (protocol == 6 ? 16 : protocol == 17 ? 6 : 2);
  std::uint32_t sum = protocol + static_cast<std::uint32_t>(frame.size() - l4);
  const auto add = [&](std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to; i += 2)
      sum += static_cast<std::uint32_t>(frame[i] << 8) | (i + 1 < to ? frame[i + 1] : 0u);
  };
  frame[at] = frame[at + 1] = 0;
  add(addresses, l4);
  add(l4, frame.size());
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  frame[at] = static_cast<std::uint8_t>(~sum >> 8);
  frame[at + 1] = static_cast<std::uint8_t>(~sum);
  return frame;
}

class ServicePackets : public SampleCluster {
 protected:
  static constexpr const char *kService = "10.96.0.10", *kService6 = "fd96::10";
  static constexpr std::uint16_t kPort = 80;
  struct Backend {
    std::string address;
    std::uint16_t port;
  };

  void SetUp() override {
    SampleCluster::SetUp();
    if (fixture_ == nullptr) return;
    fixture_->may_translate = true;
    Clear<sl_service_key, sl_service>("services");
    Clear<sl_service_flow_key, sl_service_flow>("service_flows");
    Clear<sl_affinity_key, sl_affinity>("service_affinity");
  }
  void TearDown() override {
    if (fixture_ != nullptr) fixture_->may_translate = false;
  }
  template <typename K, typename V>
  bpf::Map<K, V> Map(const char* name) {
    auto map = bpf::Map<K, V>::Bind(fixture_->datapath().object().map_fd(name), name);
    EXPECT_TRUE(map.ok()) << map.status();
    return *std::move(map);
  }
  template <typename K, typename V>
  void Clear(const char* name) {
    const auto map = Map<K, V>(name);
    std::vector<K> keys;
    EXPECT_TRUE(map.ForEach([&](const K& key, const V&) { keys.push_back(key); }).ok());
    for (const K& key : keys) EXPECT_TRUE(map.Delete(key).ok());
  }

  // Each call writes the backends to a new range.
  void PutService(std::uint32_t number, std::vector<Backend> backends, std::uint32_t affinity = 0,
                  const std::string& address = kService, std::uint8_t protocol = policy::kTcp) {
    std::vector<std::pair<Address, std::uint16_t>> sorted;
    for (const Backend& one : backends) sorted.emplace_back(*Address::Parse(one.address), one.port);
    std::sort(sorted.begin(), sorted.end());
    sl_service service{.number = number, .first = next_, .count = static_cast<std::uint32_t>(sorted.size())};
    service.affinity = affinity;
    for (const auto& [ip, port] : sorted) {
      const sl_service_backend backend{ip.abi(), htons(port), {}};
      EXPECT_TRUE((Map<std::uint32_t, sl_service_backend>("service_backends").Put(next_++, backend).ok()));
    }
    const sl_service_key key{Address::Parse(address)->abi(), htons(kPort), protocol, 0};
    EXPECT_TRUE((Map<sl_service_key, sl_service>("services").Put(key, service).ok()));
    EXPECT_TRUE((Map<std::uint32_t, sl_service_key>("service_numbers").Put(number, key).ok()));
  }
  void RemoveService() {
    const sl_service_key key{Address::Parse(kService)->abi(), htons(kPort), policy::kTcp, 0};
    EXPECT_TRUE((Map<sl_service_key, sl_service>("services").Delete(key).ok()));
  }
  // web may reach only db, at 5432.
  static std::string OnlyDb() {
    return Policy("web", "web",
                  "  policyTypes: [Egress]\n"
                  "  egress: [{to: [{podSelector: {matchLabels: {app: db}}}], ports: [{port: 5432}]}]\n");
  }
  static Packet Udp4(const std::string& src, const std::string& dst, std::uint16_t sport, std::uint16_t dport) {
    return Eth{} / Ipv4{.src = src, .dst = dst} / Udp{.sport = sport, .dport = dport} / Payload{9};
  }
  Evaluated FromPod(int interface, const Packet& packet) { return SampleCluster::FromPod(interface, Whole(packet)); }
  Evaluated FromPod(int interface, const Frame& frame) { return SampleCluster::FromPod(interface, frame); }
  Evaluated ToPod(int interface, int from, const Packet& packet) {
    return SampleCluster::ToPod(interface, from, Whole(packet));
  }
  Evaluated Send(std::uint8_t flags = kSyn, std::uint16_t sport = 40000) {
    return FromPod(kWeb, Tcp4(kWebIp, kService, kPort, flags, sport));
  }

  std::uint32_t next_ = 1;
};

TEST_F(ServicePackets, APacketGoesToTheBackendAndItsAnswerComesFromTheService) {
  Enforce(DbPolicy() + OnlyDb());
  PutService(7, {{kDbIp, 5432}});
  const Evaluated out = Send();
  EXPECT_TRUE(out.forwarded);
  EXPECT_EQ(out.frame, Whole(ToDb(kSyn)));
  EXPECT_TRUE(ToPod(kDb, kWeb, ToDb(kSyn)).forwarded);
  EXPECT_EQ(ToPod(kDb, kWeb, ToDb(kSyn)).frame, Whole(ToDb(kSyn))) << "the backend sees its own address";
  const Evaluated answer = FromPod(kDb, ToWeb(kSyn | kAck));
  EXPECT_TRUE(answer.forwarded);
  EXPECT_EQ(answer.frame, Whole(ToWeb(kSyn | kAck))) << "not before the client's own hook";
  const Evaluated in = ToPod(kWeb, kDb, ToWeb(kSyn | kAck));
  EXPECT_TRUE(in.forwarded);
  EXPECT_EQ(in.frame, Whole(Tcp4(kService, kWebIp, 40000, kSyn | kAck, kPort)));
  const auto flows = Flows();
  ASSERT_EQ(flows.size(), 1u);
  EXPECT_EQ(flows[0].entry.service, 7u);
  EXPECT_TRUE(flows[0].entry.flags & SL_CT_TRANSLATED);
}

TEST_F(ServicePackets, PolicyDecidesAboutTheBackend) {
  Enforce(OnlyDb());
  PutService(7, {{kDbIp, 5432}});
  EXPECT_TRUE(Send().forwarded);
  PutService(7, {{kDbIp, 5433}});
  EXPECT_EQ(Send(kSyn, 40001).reason, SL_DROP_POLICY_DENIED) << "another port of the pod";
  PutService(7, {{kOtherIp, 5432}});
  EXPECT_EQ(Send(kSyn, 40002).reason, SL_DROP_POLICY_DENIED) << "another pod";
  RemoveService();
  EXPECT_EQ(Send(kSyn, 40003).reason, SL_DROP_POLICY_DENIED) << "no Service: an address outside";
}

TEST_F(ServicePackets, Ipv6AndUdpAreTranslatedToo) {
  Enforce();
  PutService(8, {{kDbIp6, 5432}}, 0, kService6);
  const Evaluated out6 = FromPod(kWeb, Tcp6(kWebIp6, kService6, kPort));
  EXPECT_EQ(out6.frame, Whole(Tcp6(kWebIp6, kDbIp6, 5432)));
  const Evaluated in6 = ToPod(kWeb, kDb, Tcp6(kDbIp6, kWebIp6, 40000, kSyn | kAck, 5432));
  EXPECT_EQ(in6.frame, Whole(Tcp6(kService6, kWebIp6, 40000, kSyn | kAck, kPort)));
  PutService(9, {{kOtherIp, 53}}, 0, kService, policy::kUdp);
  EXPECT_EQ(FromPod(kWeb, Udp4(kWebIp, kService, 5000, kPort)).frame, Whole(Udp4(kWebIp, kOtherIp, 5000, 53)));
  EXPECT_EQ(ToPod(kWeb, kOther, Udp4(kOtherIp, kWebIp, 53, 5000)).frame, Whole(Udp4(kService, kWebIp, kPort, 5000)));
}

TEST_F(ServicePackets, AUdpPacketWithoutAChecksumStaysWithout) {
  PutService(9, {{kOtherIp, 53}}, 0, kService, policy::kUdp);
  Frame sent = Whole(Udp4(kWebIp, kService, 5000, kPort)), expected = Whole(Udp4(kWebIp, kOtherIp, 5000, 53));
  for (Frame* frame : {&sent, &expected}) (*frame)[14 + 20 + 6] = (*frame)[14 + 20 + 7] = 0;
  EXPECT_EQ(FromPod(kWeb, sent).frame, expected);
}

TEST_F(ServicePackets, AConnectionKeepsItsBackend) {
  Enforce();
  PutService(7, {{kDbIp, 5432}, {kOtherIp, 5432}, {kRemoteIp, 5432}});
  std::set<Frame> seen;
  for (std::uint16_t port = 41000; port < 41040; ++port) {
    const Frame first = Send(kSyn, port).frame;
    seen.insert(Frame(first.begin() + 30, first.begin() + 34));
    const auto same = [&](std::uint8_t flags) {
      const Frame next = Send(flags, port).frame;
      return Frame(next.begin() + 30, next.begin() + 38) == Frame(first.begin() + 30, first.begin() + 38);
    };
    EXPECT_TRUE(same(kSyn)) << "sent again";
    EXPECT_TRUE(same(kAck));
  }
  EXPECT_EQ(seen.size(), 3u) << "each backend has its part";
}

TEST_F(ServicePackets, AConnectionOutlivesItsPlaceInTheServiceButANewOneDoesNot) {
  Enforce();
  PutService(7, {{kDbIp, 5432}});
  ASSERT_TRUE(Send().forwarded);
  PutService(7, {{kOtherIp, 5432}});
  EXPECT_EQ(Send(kAck).frame, Whole(ToDb(kAck))) << "the pod is ending, and still serves what it has";
  EXPECT_EQ(Send(kSyn, 40001).frame, Whole(Tcp4(kWebIp, kOtherIp, 5432, kSyn, 40001)));
}

TEST_F(ServicePackets, AFlowThatWasPushedOutOfTheTableIsFoundAgain) {
  Enforce();
  PutService(7, {{kDbIp, 5432}, {kOtherIp, 5432}, {kRemoteIp, 5432}});
  const Frame first = Send().frame;
  Clear<sl_service_flow_key, sl_service_flow>("service_flows");
  const Frame next = Send(kAck).frame;
  EXPECT_EQ(Frame(next.begin() + 30, next.begin() + 38), Frame(first.begin() + 30, first.begin() + 38));
}

TEST_F(ServicePackets, WithoutBackendsItIsDroppedForThatReason) {
  PutService(7, {});
  const Evaluated out = Send();
  EXPECT_FALSE(out.forwarded);
  EXPECT_EQ(out.reason, SL_DROP_SERVICE_NO_BACKEND);
  PutService(7, {{kDbIp, 5432}});
  EXPECT_TRUE(Send().forwarded) << "as soon as it has one";
}

TEST_F(ServicePackets, SessionAffinityHoldsUntilItsTimeIsOver) {
  Enforce();
  PutService(7, {{kDbIp, 5432}, {kOtherIp, 5432}, {kRemoteIp, 5432}}, 100);
  const auto backend = [&](std::uint16_t port) {
    const Frame frame = Send(kSyn, port).frame;
    return Frame(frame.begin() + 30, frame.begin() + 34);
  };
  fixture_->SetClock(2000);
  const Frame first = backend(42000);
  for (std::uint16_t port = 42001; port < 42030; ++port) EXPECT_EQ(backend(port), first);
  std::set<Frame> later;
  for (std::uint16_t i = 0; i < 40; ++i) {
    fixture_->SetClock(3000 + i * 101u);
    later.insert(backend(43000 + i));
  }
  EXPECT_GT(later.size(), 1u) << "a client that was silent for longer may get another one";
}

TEST_F(ServicePackets, TwoServicesWithOneBackendDoNotMeetInOneFlow) {
  Enforce();
  PutService(7, {{kDbIp, 5432}});
  PutService(8, {{kDbIp, 5432}}, 0, "10.96.0.11");
  ASSERT_TRUE(Send().forwarded);
  const Evaluated second = FromPod(kWeb, Tcp4(kWebIp, "10.96.0.11", kPort));
  EXPECT_EQ(second.reason, SL_DROP_SERVICE_NO_BACKEND) << "its answers could not be told from the first one's";
  PutService(8, {{kDbIp, 5432}, {kOtherIp, 5432}}, 0, "10.96.0.11");
  EXPECT_EQ(FromPod(kWeb, Tcp4(kWebIp, "10.96.0.11", kPort)).frame, Whole(Tcp4(kWebIp, kOtherIp, 5432)));
  EXPECT_EQ(ToPod(kWeb, kDb, ToWeb(kSyn | kAck)).frame, Whole(Tcp4(kService, kWebIp, 40000, kSyn | kAck, kPort)));
}

TEST_F(ServicePackets, ADirectFlowOfTheSamePortsIsNotTakenOver) {
  Enforce();
  ASSERT_TRUE(FromPod(kWeb, ToDb(kSyn)).forwarded);
  PutService(7, {{kDbIp, 5432}});
  EXPECT_EQ(Send().reason, SL_DROP_SERVICE_NO_BACKEND);
  EXPECT_EQ(ToPod(kWeb, kDb, ToWeb(kSyn | kAck)).frame, Whole(ToWeb(kSyn | kAck)));
}

TEST_F(ServicePackets, AnAnswerToTheServicesOwnAddressIsNoRequest) {
  Enforce(OnlyDb());
  const auto request = Udp4(kNodeIp, kWebIp, kPort, 9000), answer = Udp4(kWebIp, kNodeIp, 9000, kPort);
  PutService(9, {{kDbIp, 53}}, 0, kNodeIp, policy::kUdp);  // a node port
  ASSERT_TRUE(ToPod(kWeb, kNode, request).forwarded);
  const Evaluated out = FromPod(kWeb, answer);
  EXPECT_TRUE(out.forwarded);
  EXPECT_EQ(out.frame, Whole(answer));
  EXPECT_EQ(FromPod(kWeb, Udp4(kWebIp, kNodeIp, 9001, kPort)).reason, SL_DROP_POLICY_DENIED)
      << "a request to the backend";
}

TEST_F(ServicePackets, ATranslatedFlowTakesNoShortCut) {
  Configure(SL_SETTING_REDIRECT | SL_SETTING_REDIRECT_ALWAYS);
  Enforce();
  PutService(7, {{kDbIp, 5432}, {kRemoteIp, 5432}});
  for (std::uint16_t port = 40000; port < 40020; ++port) {
    const Evaluated out = Send(kSyn, port);
    EXPECT_TRUE(out.forwarded && !out.redirected);
    EXPECT_FALSE(Send(kAck, port).redirected);
    EXPECT_FALSE(FromPod(kDb, Tcp4(kDbIp, kWebIp, port, kAck, 5432)).redirected);
    EXPECT_FALSE(FromWire(Tcp4(kRemoteIp, kWebIp, port, kAck, 5432)).redirected);
  }
}

TEST_F(ServicePackets, AnIcmpErrorQuotesWhatThePodSent) {
  Enforce();
  PutService(7, {{kRemoteIp, 5432}});
  ASSERT_TRUE(Send().forwarded);
  const Packet to_backend = Tcp4(kWebIp, kRemoteIp, 5432), to_service = Tcp4(kWebIp, kService, kPort);
  const auto error = [](const Packet& about) {
    return Eth{} / Ipv4{.src = "192.0.2.77", .dst = kWebIp} / Icmp{.type = 3, .code = 4} / Raw{about.ToQuote(28)};
  };
  const Evaluated in = ToPod(kWeb, kUplink, error(to_backend));
  EXPECT_TRUE(in.forwarded);
  EXPECT_EQ(in.frame, Whole(error(to_service)));
  PutService(8, {{kRemoteIp6, 5432}}, 0, kService6);
  ASSERT_TRUE(FromPod(kWeb, Tcp6(kWebIp6, kService6, kPort)).forwarded);
  const auto error6 = [](const Packet& about) {
    return Eth{} / Ipv6{.src = "2001:db8::77", .dst = kWebIp6} / Icmp{.type = 2} / Raw{about.ToQuote(48)};
  };
  const Evaluated in6 = ToPod(kWeb, kUplink, error6(Tcp6(kWebIp6, kRemoteIp6, 5432)));
  EXPECT_TRUE(in6.forwarded);
  EXPECT_EQ(in6.frame, Whole(error6(Tcp6(kWebIp6, kService6, kPort))));
}

// What others translate after the hook.

TEST_F(ServicePackets, AnEarlierConnectionPassesIfEachBackendIsAllowed) {
  Enforce(OnlyDb());
  PutService(7, {{kDbIp, 5432}});
  const Evaluated out = Send(kAck);
  EXPECT_TRUE(out.forwarded);
  EXPECT_EQ(out.frame, Whole(Tcp4(kWebIp, kService, kPort, kAck))) << "whoever opened it translates it";
  EXPECT_TRUE(ToPod(kWeb, kElsewhere, Tcp4(kService, kWebIp, 40000, kAck, kPort)).forwarded);
  PutService(7, {{kDbIp, 5432}, {kOtherIp, 5432}});
  EXPECT_EQ(Send(kAck).reason, SL_DROP_POLICY_DENIED) << "it could be a connection to the new one";
  PutService(7, {{kDbIp, 5432}});
  EXPECT_TRUE(Send(kAck, 40001).forwarded);
  Enforce(Policy("web", "web", "  policyTypes: [Egress]\n"));
  EXPECT_EQ(Send(kAck, 40001).reason, SL_DROP_POLICY_DENIED) << "a new generation is asked about the backends";
}

TEST_F(ServicePackets, FragmentsPassIfEachBackendIsAllowed) {
  Enforce(Policy("web", "web",
                 "  policyTypes: [Egress]\n"
                 "  egress: [{to: [{podSelector: {matchLabels: {app: db}}}]}]\n"));
  PutService(9, {{kDbIp, 53}}, 0, kService, policy::kUdp);
  const auto first = Eth{} / Ipv4{.src = kWebIp, .dst = kService, .id = 5, .more_fragments = true} /
                     Udp{.sport = 5000, .dport = kPort} / Payload{8};
  const auto later =
      Eth{} / Ipv4{.src = kWebIp, .dst = kService, .protocol = 17, .id = 5, .fragment_offset = 2} / Payload{8};
  EXPECT_EQ(FromPod(kWeb, first).frame, Whole(first));
  EXPECT_TRUE(FromPod(kWeb, later).forwarded);
  PutService(9, {{kOtherIp, 53}}, 0, kService, policy::kUdp);
  EXPECT_FALSE(FromPod(kWeb, first).forwarded);
  EXPECT_FALSE(FromPod(kWeb, later).forwarded);
}

TEST_F(ServicePackets, SctpToAnotherPortIsLeftToOthers) {
  Enforce(
      Policy("web", "web",
             "  policyTypes: [Egress]\n"
             "  egress: [{to: [{podSelector: {matchLabels: {app: db}}}], ports: [{port: 5432, protocol: SCTP}]}]\n"));
  const auto init = [](const std::string& to, std::uint16_t port) {
    return Eth{} / Ipv4{.src = kWebIp, .dst = to} / Sctp{.sport = 40000, .dport = port} / Raw{{1, 0, 0, 20}};
  };
  PutService(10, {{kDbIp, 5432}}, 0, kService, policy::kSctp);
  const Evaluated left = FromPod(kWeb, init(kService, kPort));
  EXPECT_TRUE(left.forwarded);
  EXPECT_EQ(left.frame, Whole(init(kService, kPort)));
  PutService(10, {{kOtherIp, 5432}}, 0, kService, policy::kSctp);
  EXPECT_FALSE(FromPod(kWeb, init(kService, kPort)).forwarded);
  Enforce();
  PutService(10, {{kDbIp, kPort}}, 0, kService, policy::kSctp);
  ASSERT_TRUE(fixture_->ForgetFlows().ok());
  EXPECT_EQ(FromPod(kWeb, init(kService, kPort)).frame, Whole(init(kDbIp, kPort))) << "the same port";
}

TEST_F(ServicePackets, APodThatIsItsOnlyBackendMayReachItself) {
  Enforce(Policy("web", "web", "  policyTypes: [Egress, Ingress]\n"));
  PutService(7, {{kWebIp, 8080}});
  const Evaluated out = Send();
  EXPECT_TRUE(out.forwarded);
  EXPECT_EQ(out.frame, Whole(Tcp4(kWebIp, kService, kPort)));
  PutService(7, {{kWebIp, 8080}, {kDbIp, 5432}});
  for (std::uint16_t port = 40001; port < 40020; ++port)
    EXPECT_EQ(Send(kSyn, port).reason, SL_DROP_POLICY_DENIED) << "the other one";
}

// The host has put its own address in the place of the source: the packet still comes from the pod itself.
TEST_F(ServicePackets, APodThatIsItsOnlyBackendMayReachItselfByTheNodesAddress) {
  Enforce(Policy("web", "web", "  policyTypes: [Egress, Ingress]\n"));
  const auto request = [](std::uint8_t flags, std::uint16_t sport = 50000) {
    return Tcp4(kNodeIp, kWebIp, 8080, flags, sport);
  };
  EXPECT_TRUE(ToPod(kWeb, kWeb, request(kSyn)).forwarded);
  EXPECT_TRUE(FromPod(kWeb, Tcp4(kWebIp, kNodeIp, 50000, kSyn | kAck, 8080)).forwarded);
  Enforce(Policy("web", "web", "  policyTypes: [Ingress, Egress]\n"));
  EXPECT_TRUE(ToPod(kWeb, kWeb, request(kAck)).forwarded) << "decided again";
  EXPECT_EQ(ToPod(kWeb, kDb, request(kSyn, 50001)).reason, SL_DROP_POLICY_DENIED) << "another pod's, by the node";
}

TEST_F(ServicePackets, TooManyBackendsForOneDecisionAreRefused) {
  Enforce();
  std::vector<Backend> many;
  for (int i = 0; i <= SL_SERVICE_SCAN; ++i) many.push_back({fmt::format("10.3.{}.{}", i / 200, 1 + i % 200), 80});
  PutService(7, many);
  EXPECT_EQ(Send(kAck).reason, SL_DROP_SERVICE_NO_BACKEND);
  EXPECT_TRUE(Send(kSyn, 40001).forwarded);
}

TEST_F(ServicePackets, ASpoofedSourceGetsNothingTranslated) {
  PutService(7, {{kDbIp, 5432}});
  EXPECT_EQ(FromPod(kOther, Tcp4(kWebIp, kService, kPort)).reason, SL_DROP_SPOOFED_SOURCE);
  int entries = 0;
  EXPECT_TRUE((Map<sl_service_flow_key, sl_service_flow>("service_flows")
                   .ForEach([&](const auto&, const auto&) { ++entries; })
                   .ok()));
  EXPECT_EQ(entries, 0);
}

// The verdict for a packet to a Service is the one for the same packet to the backend that it gets.
TEST_F(ServicePackets, VerdictsAreThoseOfTheBackends) {
  std::mt19937 random(20261129);
  const std::vector<std::string> addresses = {kDbIp, kOtherIp, kRemoteIp, "192.0.2.9", kNodeIp};
  int allowed = 0, denied = 0;
  for (int round = 0; round < 150; ++round) {
    std::string policies;
    for (const char* app : {"db", "other", "remote", "web"}) {
      if (random() % 2 == 0) continue;
      const bool egress = std::string(app) == "web";
      policies +=
          Policy(std::string("p-") + app, app,
                 fmt::format("  policyTypes: [{0}]\n  {1}: [{{{2}: [{3}], ports: [{{port: {4}}}]}}]\n",
                             egress ? "Egress" : "Ingress", egress ? "egress" : "ingress", egress ? "to" : "from",
                             random() % 3 == 0 ? std::string("{ipBlock: {cidr: 192.0.2.0/24}}")
                                               : fmt::format("{{podSelector: {{matchLabels: {{app: {}}}}}}}",
                                                             egress ? (random() % 2 ? "db" : "other") : "web"),
                             5432 + random() % 2));
    }
    Enforce(policies);
    const Backend backend{addresses[random() % addresses.size()], static_cast<std::uint16_t>(5432 + random() % 2)};
    PutService(100 + round, {backend});
    ASSERT_TRUE(fixture_->ForgetFlows().ok());
    const Evaluated direct = FromPod(kWeb, Tcp4(kWebIp, backend.address, backend.port));
    ASSERT_TRUE(fixture_->ForgetFlows().ok());
    const Evaluated translated = Send();
    EXPECT_EQ(translated.reason, direct.reason) << backend.address << ":" << backend.port << "\n" << policies;
    ASSERT_TRUE(fixture_->ForgetFlows().ok());
    if (direct.forwarded) {
      const Evaluated earlier = Send(kAck);
      EXPECT_TRUE(earlier.forwarded) << "others translate it: " << backend.address << "\n" << policies;
    }
    (direct.forwarded ? allowed : denied) += 1;
  }
  EXPECT_GT(allowed, 20);
  EXPECT_GT(denied, 20);
}

// A pod that floods its Services with raw packets takes no flow away from others.
TEST_F(ServicePackets, AFloodByOnePodLeavesTheOthersConnections) {
  Enforce();
  PutService(7, {{kDbIp, 5432}, {kRemoteIp, 5432}});
  const Frame first = Send().frame;
  const std::size_t table = 65536 + 20000;
  const auto flows = Map<sl_service_flow_key, sl_service_flow>("service_flows");
  const sl_service_flow one{{Address::Parse(kDbIp)->abi(), htons(5432), {}}, 7};
  for (std::uint32_t i = 0; i < table; ++i) {  // as so many packets of `other` would leave it
    const sl_service_flow_key key{Address::Parse(kOtherIp)->abi(),
                                  Address::Parse(kService)->abi(),
                                  static_cast<__be16>(i),
                                  static_cast<__be16>(i >> 16),
                                  policy::kTcp,
                                  {}};
    ASSERT_TRUE(flows.Put(key, one).ok());
  }
  const Frame next = Send(kAck).frame;
  EXPECT_EQ(Frame(next.begin() + 30, next.begin() + 38), Frame(first.begin() + 30, first.begin() + 38));
}

}  // namespace
}  // namespace sluice::test
