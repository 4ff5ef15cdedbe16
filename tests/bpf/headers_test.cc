// Additional headers do not change a packet's verdict; every truncation of every sample packet gets a verdict.
#include <gtest/gtest.h>

#include "tests/support/sample_cluster.h"

namespace sluice::test {
namespace {

class Headers : public SampleCluster {
 protected:
  // The kernel refuses a tc test run on an empty packet or half an IP header (net/bpf/test_run.c); XDP gets these too.
  static std::size_t ShortestTcTestRun(const Frame& frame) {
    const int ethertype = frame[12] << 8 | frame[13];
    return ethertype == 0x0800 ? 14 + 20 : ethertype == 0x86dd ? 14 + 40 : 15;
  }
};

TEST_F(Headers, TaggedTwinsAreJudgedAlike) {
  const Ipv4 web4{.src = kWebIp, .dst = kDbIp};
  const Ipv6 web6{.src = kWebIp6, .dst = kDbIp6};
  for (const int port : {5432, 5433}) {
    const Tcp tcp{.dport = static_cast<std::uint16_t>(port)};
    const std::vector<Packet> twins = {
        Eth{} / web4 / tcp, Eth{} / Vlan{} / web4 / tcp, Eth{} / Vlan{.tpid = 0x88a8} / Vlan{} / web4 / tcp,
        Eth{} / web6 / tcp, Eth{} / Vlan{} / web6 / tcp, Eth{} / Vlan{.tpid = 0x88a8} / Vlan{} / web6 / tcp};
    for (const Packet& twin : twins) {
      ASSERT_TRUE(fixture_->ForgetFlows().ok());
      EXPECT_EQ(FromPod(kWeb, twin).forwarded, port == 5432);
      const auto flows = Flows();
      ASSERT_EQ(flows.size(), 1u);
      const bool is_ipv4 = flows[0].key.lo.bytes[10] == 0xff;
      EXPECT_EQ(flows[0].entry.forward_bytes, is_ipv4 ? 40u : 60u) << "layer 3 only";
      EXPECT_EQ(ToPod(kDb, kWeb, twin).forwarded, port == 5432);
    }
  }
  // The same from the wire, for a pod without policy.
  for (const Packet& twin : {Eth{} / Vlan{} / Ipv4{.src = kRemoteIp, .dst = kWebIp} / Udp{},
                             Eth{} / Vlan{.tpid = 0x88a8} / Vlan{} / Ipv6{.src = kRemoteIp6, .dst = kWebIp6} / Udp{}}) {
    const Evaluated evaluated = FromWire(twin);
    EXPECT_EQ(
        evaluated.moves,
        Moves().Packet(SL_HOOK_XDP_UPLINK, SL_DROP_NONE, evaluated.bytes).Count(SL_COUNTER_FLOW_NEW).Added("pending"));
  }
}

TEST_F(Headers, OptionsAndExtensionHeadersAreSteppedOver) {
  for (int words = 0; words <= 10; ++words) {
    const Ipv4 ip{.src = kWebIp, .dst = kDbIp, .option_words = words};
    EXPECT_TRUE(FromPod(kWeb, Eth{} / ip / Tcp{.dport = 5432}).forwarded) << words;
    EXPECT_EQ(FromPod(kWeb, Eth{} / ip / Tcp{.dport = 1}).reason, SL_DROP_POLICY_DENIED) << words;
  }
  Packet chain = Eth{} / Ipv6{.src = kWebIp6, .dst = kDbIp6};
  for (int count = 0; count <= 8; ++count) {
    EXPECT_TRUE(FromPod(kWeb, chain / Tcp{.dport = 5432}).forwarded) << count;
    EXPECT_EQ(FromPod(kWeb, chain / Tcp{.dport = 1}).reason, SL_DROP_POLICY_DENIED) << count;
    const std::uint8_t header = count == 0 ? 0 : count % 2 == 0 ? 43 : 60;
    chain = chain / Ipv6Option{.header = header, .extra_words = static_cast<std::uint8_t>(count)};
  }
}

// The length of a GSO packet above 64 KiB does not fit the field (IPv4 BIG TCP).
TEST_F(Headers, TotalLengthZeroIsForGsoAlone) {
  const auto frame = [](std::uint16_t port, std::uint8_t flags, bool tcp) {
    const Ipv4 ip{.src = kWebIp, .dst = kDbIp};
    Frame bytes = (tcp ? Eth{} / ip / Tcp{.dport = port, .flags = flags} : Eth{} / ip / Udp{.dport = port}).ToFrame();
    bytes[16] = bytes[17] = 0;
    return bytes;
  };
  EXPECT_TRUE(FromPod(kWeb, frame(5432, kSyn, true), 2).forwarded);
  EXPECT_TRUE(FromPod(kWeb, frame(5432, kAck, true), 50).forwarded);
  EXPECT_EQ(FromPod(kWeb, frame(5433, kAck, true), 50).reason, SL_DROP_POLICY_DENIED);
  EXPECT_EQ(FromPod(kWeb, frame(5432, kAck, true)).reason, SL_DROP_MALFORMED_IPV4);
  EXPECT_EQ(FromPod(kWeb, frame(5432, 0, false), 50).reason, SL_DROP_MALFORMED_IPV4);
  EXPECT_EQ(FromWire(frame(5432, kAck, true)).reason, SL_DROP_MALFORMED_IPV4);
}

// RFC 8200, 4.5: the later fragments repeat the fragment header's next header, which may be one more extension.
TEST_F(Headers, LaterFragmentsFollowTheFirstOverExtensionHeaders) {
  const Ipv6 ip{.src = kWebIp6, .dst = kDbIp6};
  const Raw authentication{{6, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}};
  std::uint32_t id = 0;
  for (const bool is_open : {true, false}) {
    const Tcp tcp{.dport = static_cast<std::uint16_t>(is_open ? 5432 : 5433)};
    const int verdict = is_open ? SL_DROP_NONE : SL_DROP_POLICY_DENIED;
    ++id;
    EXPECT_EQ(FromPod(kWeb, Eth{} / ip / Ipv6Fragment{.id = id} / Ipv6Option{.header = 60} / tcp / Payload{60}).reason,
              verdict);
    const Packet later = Eth{} / ip / Ipv6Fragment{.id = id, .offset = 11, .more = false, .next = 60} / Payload{64};
    EXPECT_EQ(FromPod(kWeb, later).reason, verdict);
    ++id;
    EXPECT_EQ(
        FromPod(kWeb, Eth{} / ip / Ipv6Fragment{.id = id, .next = 51} / authentication / tcp / Payload{60}).reason,
        verdict);
    EXPECT_EQ(FromPod(kWeb, Eth{} / ip / Ipv6Fragment{.id = id, .offset = 13, .more = false, .next = 51} / Payload{64})
                  .reason,
              verdict);
    // The later fragment's own next header does not matter either.
    EXPECT_EQ(FromPod(kWeb, Eth{} / ip / Ipv6Fragment{.id = id, .offset = 21, .more = false, .next = 17} / Payload{64})
                  .reason,
              verdict);
  }
  EXPECT_EQ(FromPod(kWeb, Eth{} / ip / Ipv6Fragment{.id = 99, .offset = 13, .next = 60} / Payload{64}).reason,
            SL_DROP_FRAGMENT_NOT_FOUND);
}

TEST_F(Headers, EveryTruncationOfEveryFixtureHasAVerdict) {
  const Ipv4 v4{.src = kWebIp, .dst = kDbIp};
  const Ipv6 v6{.src = kWebIp6, .dst = kDbIp6};
  Ipv4 options = v4;
  options.option_words = 10;
  const std::vector<Packet> fixtures = {
      Eth{} / options / Tcp{.dport = 5432, .words = 15} / Payload{8},
      Eth{} / Vlan{} / Vlan{} / v4 / Udp{.dport = 5432} / Payload{8},
      Eth{} / Vlan{.tpid = 0x88a8} / Vlan{} / v6 / Tcp{.dport = 5432} / Payload{8},
      Eth{} / v6 / Ipv6Option{.header = 0} / Ipv6Option{.header = 43, .extra_words = 2} / Ipv6Option{.header = 60} /
          Ipv6Option{.header = 60} / Ipv6Option{.header = 60} / Ipv6Option{.header = 60} / Ipv6Option{.header = 60} /
          Ipv6Fragment{.more = true} / Tcp{.dport = 5432} / Payload{8},
      Eth{} / v6 / Icmp{.type = 1} / Raw{Tcp6(kDbIp6, kWebIp6, 1).ToQuote(200)},
      Eth{} / v4 / Icmp{.type = 11} / Raw{Tcp4(kDbIp, kWebIp, 1).ToQuote(60)},
      Eth{} / v4 / Icmp{.type = 8} / Payload{56},
      Eth{} / v6 / Icmp{.type = 128} / Payload{56},
      Eth{} / v4 / Sctp{.dport = 5432} / Payload{8},
      Eth{} / v6 / Sctp{.dport = 5432} / Payload{8},
      Eth{.type = 0x0806} / Payload{28},
      Eth{} / Ipv6{.src = "fe80::1", .dst = "ff02::1", .hop_limit = 255} / Icmp{.type = 136} / Payload{16},
  };
  for (const Packet& fixture : fixtures) {
    const Frame whole = fixture.ToFrame();
    for (std::size_t length = 14; length <= whole.size(); ++length) {
      const Frame frame(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
      const auto wire = fixture_->FromWire(frame);
      ASSERT_TRUE(wire.ok()) << "length " << length << ": " << wire.status();
      if (length < ShortestTcTestRun(frame)) continue;
      const auto from_pod = fixture_->FromPod(ifindex(kWeb), frame);
      ASSERT_TRUE(from_pod.ok()) << "length " << length << ": " << from_pod.status();
      const auto to_pod = fixture_->ToPod(ifindex(kDb), ifindex(kElsewhere), frame);
      ASSERT_TRUE(to_pod.ok()) << "length " << length << ": " << to_pod.status();
    }
  }
}

// Shorter than an Ethernet header: the kernel refuses such test runs (tests/unit/bpf/parse_test.cc covers it). If that
// changes, the programs have to give a verdict.
TEST_F(Headers, FramesBelowAnEthernetHeader) {
  for (std::size_t length = 1; length < 14; ++length) {
    const Frame frame(length, 0);
    for (const auto& verdict : {fixture_->FromWire(frame), fixture_->FromPod(ifindex(kWeb), frame),
                                fixture_->ToPod(ifindex(kDb), ifindex(kElsewhere), frame)}) {
      if (verdict.ok())
        EXPECT_EQ(verdict->reason, SL_DROP_MALFORMED_ETHERNET) << length;
      else
        EXPECT_EQ(verdict.status().code(), absl::StatusCode::kInvalidArgument) << length << ": " << verdict.status();
    }
  }
}

}  // namespace
}  // namespace sluice::test
