// The packets of the generators of the suite `rate`, checked like a receiver.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>

#include "perf/rate/frame.h"

namespace sluice::perf {
namespace {

using Frame = std::array<__u8, kFrameBytes>;

constexpr std::size_t kIp = 14;

perf_load MakeLoad(perf_load load) {
  const Ends v4{"02:00:00:00:00:01", "02:00:00:00:00:02", "198.18.255.250", "10.1.0.2"};
  const Ends v6{"02:00:00:00:00:01", "02:00:00:00:00:02", "2001:2::ffff:fffa", "fd00:1::2"};
  EXPECT_TRUE(FillHeaders(load.v6 != 0 ? v6 : v4, &load).ok());
  return load;
}

Frame Next(perf_load* load) {
  Frame frame;
  frame.fill(0xaa);  // left by an earlier packet
  perf_write_packet(load, frame.data());
  return frame;
}

std::uint32_t Word(const Frame& frame, std::size_t at) { return frame[at] << 8 | frame[at + 1]; }

// Ones' complement sum: 0xffff when the checksum is included.
std::uint32_t SumOf(const Frame& frame, std::size_t begin, std::size_t end, std::uint32_t sum = 0) {
  for (; begin < end; begin += 2) sum += Word(frame, begin);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

TEST(PerfLoad, Ipv4HeaderHasItsChecksumWhateverChanges) {
  for (const std::uint32_t by_address : {0U, 1U}) {
    perf_load load = MakeLoad({.flows = 1000, .by_address = by_address, .stride = 16});
    std::set<Frame> different;
    for (int i = 0; i < 1000; ++i) {
      const Frame frame = Next(&load);
      EXPECT_EQ(SumOf(frame, kIp, kIp + 20), 0xffffU) << i;
      EXPECT_EQ(Word(frame, kIp + 26), 0U) << "UDP without a checksum";
      different.insert(frame);
    }
    EXPECT_EQ(different.size(), 1000U);
  }
}

TEST(PerfLoad, UdpOverIpv6HasItsChecksumWhateverChanges) {
  for (const std::uint32_t by_address : {0U, 1U}) {
    perf_load load = MakeLoad({.flows = 100000, .by_address = by_address, .stride = 1, .v6 = 1});
    std::set<Frame> different;
    for (int i = 0; i < 100000; ++i) {
      const Frame frame = Next(&load);
      const std::uint32_t length = Word(frame, kIp + 4), protocol = frame[kIp + 6];
      ASSERT_EQ(SumOf(frame, kIp + 8, kFrameBytes, length + protocol), 0xffffU) << i;
      ASSERT_NE(Word(frame, kIp + 46), 0U) << i;
      different.insert(frame);
    }
    EXPECT_EQ(different.size(), 100000U);
  }
}

TEST(PerfLoad, FlowIsAPairOfPortsAndItsAnswerHasThemTheOtherWayRound) {
  constexpr std::uint64_t kFlow = PERF_CLIENT_PORTS + 7;  // of the second service
  for (const std::uint32_t v6 : {0U, 1U}) {
    const std::size_t udp = kIp + (v6 != 0 ? 40 : 20);
    perf_load load = MakeLoad({.state = kFlow, .flows = 2 * PERF_CLIENT_PORTS, .v6 = v6});
    const Frame packet = Next(&load);
    EXPECT_EQ(Word(packet, udp), PERF_FIRST_CLIENT_PORT + 7U);
    EXPECT_EQ(Word(packet, udp + 2), PERF_FIRST_SERVICE_PORT + 1U);
    load.state = kFlow;
    load.answer = 1;
    const Frame answer = Next(&load);
    EXPECT_EQ(Word(answer, udp), PERF_FIRST_SERVICE_PORT + 1U);
    EXPECT_EQ(Word(answer, udp + 2), PERF_FIRST_CLIENT_PORT + 7U);
  }
}

TEST(PerfLoad, RandomPacketsAreOfAllFlowsAndOfNoOther) {
  perf_load load = MakeLoad({.state = 1, .flows = 100, .random = 1, .by_address = 1, .stride = 1});
  std::set<std::uint32_t> sources;
  for (int i = 0; i < 10000; ++i) {
    const Frame frame = Next(&load);
    sources.insert(Word(frame, kIp + 12) << 16 | Word(frame, kIp + 14));
  }
  EXPECT_EQ(sources.size(), 100U);
  EXPECT_EQ(*sources.rbegin() - *sources.begin(), 99U);
}

TEST(PerfLoad, AddressOfTheOtherFamilyIsRefused) {
  perf_load load{.flows = 1, .v6 = 1};
  EXPECT_FALSE(FillHeaders({"02:00:00:00:00:01", "02:00:00:00:00:02", "192.0.2.1", "192.0.2.2"}, &load).ok());
}

}  // namespace
}  // namespace sluice::perf
