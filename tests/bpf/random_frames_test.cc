// Random and mutated frames through all programs: each gives a verdict and one reason and never aborts; a frame that is
// not redirected comes out unchanged (ProgramFixture::Evaluate checks this for every packet).
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "tests/support/sample_cluster.h"

namespace sluice::test {
namespace {

constexpr std::uint64_t kFramesSeed = 4711;
constexpr int kDefaultFrames = 24000;

int Frames() {
  const char* frames = std::getenv("SLUICE_RANDOM_FRAMES");
  return frames == nullptr ? kDefaultFrames : std::atoi(frames);
}

class RandomFrames : public SampleCluster {
 protected:
  static std::vector<Frame> Seeds() {
    const Ipv4 v4{.src = kWebIp, .dst = kDbIp};
    const Ipv6 v6{.src = kWebIp6, .dst = kDbIp6};
    const std::vector<Packet> packets = {
        Eth{} / v4 / Tcp{.dport = 5432} / Payload{20},
        Eth{} / Vlan{} / Vlan{} / v4 / Udp{} / Payload{20},
        Eth{} / Ipv4{.src = kWebIp, .dst = kDbIp, .option_words = 10} / Sctp{} / Payload{20},
        Eth{} / v4 / Icmp{.type = 3} / Raw{Tcp4(kDbIp, kWebIp, 80).ToQuote(60)},
        Eth{} / Ipv4{.src = kWebIp, .dst = kDbIp, .protocol = 6, .id = 5, .fragment_offset = 9} / Payload{40},
        Eth{} / v6 / Ipv6Option{.header = 0} / Ipv6Option{.header = 43, .extra_words = 3} / Ipv6Fragment{} /
            Tcp{.dport = 5432},
        Eth{} / v6 / Ipv6Option{.header = 51, .extra_words = 2} / Udp{} / Payload{20},
        Eth{} / v6 / Icmp{.type = 1} / Raw{Tcp6(kDbIp6, kWebIp6, 80).ToQuote(100)},
        Eth{} / Ipv4{.src = kRemoteIp, .dst = kWebIp} / Tcp{} / Payload{20},
        Eth{} / Ipv6{.src = kRemoteIp6, .dst = kWebIp6} / Udp{} / Payload{20},
    };
    std::vector<Frame> seeds;
    for (const Packet& packet : packets) seeds.push_back(packet.ToFrame());
    return seeds;
  }

  // Random bytes behind an Ethernet header, or a seed with some bytes changed, cut or grown.
  Frame Next(const std::vector<Frame>& seeds) {
    const auto below = [this](std::size_t n) { return static_cast<std::size_t>(random_() % n); };
    Frame frame;
    if (below(4) == 0) {
      frame.resize(14 + below(200));
      for (auto& byte : frame) byte = static_cast<std::uint8_t>(random_());
      const std::uint16_t ethertypes[] = {0x0800, 0x86dd, 0x8100, 0x88a8, 0x0806, 0xffff};
      const std::uint16_t ethertype = ethertypes[below(std::size(ethertypes))];
      frame[12] = ethertype >> 8;
      frame[13] = ethertype & 0xff;
      return frame;
    }
    frame = seeds[below(seeds.size())];
    for (std::size_t changes = below(6); changes > 0; --changes)
      frame[12 + below(frame.size() - 12)] = static_cast<std::uint8_t>(below(3) == 0 ? below(64) : random_());
    if (below(3) == 0) frame.resize(14 + below(frame.size() - 13));
    if (below(8) == 0) frame.resize(frame.size() + below(1200));
    return frame;
  }

  std::mt19937_64 random_{kFramesSeed};
};

TEST_F(RandomFrames, EachHasAVerdictAtEveryHook) {
  const auto seeds = Seeds();
  const int frames = Frames();
  int evaluated[SL_HOOK_COUNT] = {}, reasons[SL_DROP_REASON_COUNT] = {};
  for (int i = 0; i < frames; ++i) {
    const Frame frame = Next(seeds);
    SCOPED_TRACE(fmt::format("seed {}, frame {}", kFramesSeed, i));
    const bpf::TestRunInput inputs[SL_HOOK_COUNT] = {
        {.frame = frame, .ifindex = ifindex(kWeb), .gso_segments = i % 7 == 0 ? 3u : 0u},
        {.frame = frame, .ifindex = ifindex(kDb), .ingress_ifindex = i % 3 == 0 ? 0 : ifindex(kElsewhere)},
        {.frame = frame, .ifindex = ifindex(kUplink)},
    };
    for (int hook = 0; hook < SL_HOOK_COUNT; ++hook) {
      const auto verdict = fixture_->Evaluate(hook, inputs[hook]);
      // The kernel itself refuses to run on half an IP header; XDP has no such check at this length.
      if (hook != SL_HOOK_XDP_UPLINK && verdict.status().code() == absl::StatusCode::kInvalidArgument) continue;
      ASSERT_TRUE(verdict.ok()) << verdict.status();
      ++evaluated[hook];
      ++reasons[verdict->reason];
    }
  }
  EXPECT_EQ(evaluated[SL_HOOK_XDP_UPLINK], frames);
  EXPECT_GE(evaluated[SL_HOOK_TC_FROM_POD], frames / 6 * 5);
  EXPECT_GE(evaluated[SL_HOOK_TC_TO_POD], frames / 6 * 5);
  for (const int reason : {SL_DROP_NONE, SL_DROP_POLICY_DENIED, SL_DROP_SPOOFED_SOURCE, SL_DROP_MALFORMED_ETHERNET,
                           SL_DROP_MALFORMED_IPV4, SL_DROP_MALFORMED_IPV6, SL_DROP_MALFORMED_L4,
                           SL_DROP_TOO_MANY_HEADERS, SL_DROP_UNSUPPORTED_L3, SL_DROP_FRAGMENT_NOT_FOUND})
    EXPECT_GT(reasons[reason], 0) << "never reached reason " << reason;
}

}  // namespace
}  // namespace sluice::test
