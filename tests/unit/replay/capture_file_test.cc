#include "ctrl/replay/capture_file.h"

#include <gmock/gmock.h>

#include "tests/unit/replay/capture.h"

namespace sluice::replay {
namespace {

using test::Eth;
using test::Frame;
using test::Ipv4;
using test::Ipv6;
using test::Payload;
using test::Tcp;
using test::Udp;
using test::Vlan;
using ::testing::HasSubstr;

struct Read {
  std::uint64_t time_ns;
  Frame frame;
  std::uint32_t original_length;
};

class CaptureFileTest : public ::testing::Test {
 protected:
  StatusOr<std::vector<Read>> ReadAll(const std::string& name) const {
    std::vector<Read> frames;
    SL_RETURN_IF_ERROR(ReadCapture(dir_.File(name), [&frames](const CapturedFrame& frame) {
      frames.push_back({frame.time_ns, {frame.bytes.begin(), frame.bytes.end()}, frame.original_length});
    }));
    return frames;
  }
  // The one frame of a capture with this link type: `header`, then the packet's network layer.
  Read OneFrame(int link_type, const Frame& header, const test::Packet& packet) const {
    Frame frame = header;
    const Frame network = packet.ToQuote(SIZE_MAX);
    frame.insert(frame.end(), network.begin(), network.end());
    Capture capture(dir_.File("one"), link_type);
    capture.Add(0, frame);
    capture.Close();
    const auto frames = ReadAll("one");
    EXPECT_TRUE(frames.ok()) << frames.status();
    EXPECT_EQ(frames->size(), 1U);
    return frames->front();
  }

  TempDir dir_;
};

const test::Packet kPacket4 = Eth{.dst = "00:00:00:00:00:00", .src = "00:00:00:00:00:00"} / Ipv4{} / Udp{} / Payload{3};
const test::Packet kPacket6 = Eth{.dst = "00:00:00:00:00:00", .src = "00:00:00:00:00:00"} / Ipv6{} / Udp{} / Payload{3};

TEST_F(CaptureFileTest, Ethernet) {
  Capture capture(dir_.File("a"));
  capture.Add(0.25, kPacket4);
  capture.Add(1, kPacket6);
  capture.Close();
  const auto frames = ReadAll("a");
  ASSERT_TRUE(frames.ok()) << frames.status();
  ASSERT_EQ(frames->size(), 2U);
  EXPECT_EQ((*frames)[0].frame, kPacket4.ToFrame());
  EXPECT_EQ((*frames)[0].time_ns, kCaptureBegin * 1'000'000'000ULL + 250'000'000);
  EXPECT_EQ((*frames)[0].original_length, kPacket4.ToFrame().size());
  EXPECT_EQ((*frames)[1].frame, kPacket6.ToFrame());
}

TEST_F(CaptureFileTest, PcapNgWithNanoseconds) {
  PcapNg capture;
  capture.Add(1'234'567'890'123'456'789, kPacket4);
  dir_.Write("a", capture.bytes());
  const auto frames = ReadAll("a");
  ASSERT_TRUE(frames.ok()) << frames.status();
  ASSERT_EQ(frames->size(), 1U);
  EXPECT_EQ((*frames)[0].time_ns, 1'234'567'890'123'456'789U);
  EXPECT_EQ((*frames)[0].frame, kPacket4.ToFrame());
}

TEST_F(CaptureFileTest, RawIpGetsAnEthernetHeader) {
  for (const int type : {DLT_RAW, DLT_IPV4}) EXPECT_EQ(OneFrame(type, {}, kPacket4).frame, kPacket4.ToFrame());
  for (const int type : {DLT_RAW, DLT_IPV6}) EXPECT_EQ(OneFrame(type, {}, kPacket6).frame, kPacket6.ToFrame());
  EXPECT_EQ(OneFrame(DLT_RAW, {}, kPacket4).original_length, kPacket4.ToFrame().size());
}

TEST_F(CaptureFileTest, LinuxCookedGetsAnEthernetHeader) {
  Frame sll(16), sll2(20);
  sll[14] = sll2[0] = 0x08;
  const Read cooked = OneFrame(DLT_LINUX_SLL, sll, kPacket4);
  EXPECT_EQ(cooked.frame, kPacket4.ToFrame());
  EXPECT_EQ(cooked.original_length, kPacket4.ToFrame().size());
  EXPECT_EQ(OneFrame(DLT_LINUX_SLL2, sll2, kPacket4).frame, kPacket4.ToFrame());
  sll[14] = sll2[0] = 0x86;
  sll[15] = sll2[1] = 0xdd;
  EXPECT_EQ(OneFrame(DLT_LINUX_SLL, sll, kPacket6).frame, kPacket6.ToFrame());
  EXPECT_EQ(OneFrame(DLT_LINUX_SLL2, sll2, kPacket6).frame, kPacket6.ToFrame());
}

TEST_F(CaptureFileTest, CookedFrameWithoutANetworkLayerIsEmpty) {
  Capture capture(dir_.File("a"), DLT_LINUX_SLL);
  for (std::size_t size = 1; size <= 16; size++) capture.Add(0, Frame(size));
  capture.Close();
  const auto frames = ReadAll("a");
  ASSERT_TRUE(frames.ok()) << frames.status();
  EXPECT_EQ(frames->size(), 16U);
  for (const Read& one : *frames) EXPECT_TRUE(one.frame.empty());
}

TEST_F(CaptureFileTest, SnaplenCutsTheBytesAndNotTheLength) {
  Capture capture(dir_.File("a"), DLT_EN10MB, 60);
  capture.Add(0, Eth{} / Ipv4{} / Tcp{} / Payload{1000});
  capture.Close();
  const auto frames = ReadAll("a");
  ASSERT_TRUE(frames.ok()) << frames.status();
  EXPECT_EQ((*frames)[0].frame.size(), 60U);
  EXPECT_EQ((*frames)[0].original_length, 14U + 20 + 20 + 1000);
}

TEST_F(CaptureFileTest, LengthIsNeverBelowWhatWasRecorded) {
  Capture capture(dir_.File("a"));
  capture.Add(0, kPacket4);
  capture.Close();
  std::string bytes;
  std::ifstream file(dir_.File("a"), std::ios::binary);
  bytes.assign(std::istreambuf_iterator<char>(file), {});
  bytes[24 + 12] = 5;  // orig_len of the first record
  dir_.Write("b", bytes);
  const auto frames = ReadAll("b");
  ASSERT_TRUE(frames.ok()) << frames.status();
  EXPECT_GE((*frames)[0].original_length, (*frames)[0].frame.size());
}

TEST_F(CaptureFileTest, CaptureOfNothingIsFine) {
  Capture(dir_.File("a")).Close();
  const auto frames = ReadAll("a");
  ASSERT_TRUE(frames.ok()) << frames.status();
  EXPECT_TRUE(frames->empty());
}

TEST_F(CaptureFileTest, MissingFileIsNamed) {
  EXPECT_THAT(Message(ReadAll("none.pcap").status()), HasSubstr("none.pcap"));
}

TEST_F(CaptureFileTest, WhatIsNoCaptureIsNamed) {
  dir_.Write("empty", "");
  dir_.Write("text", "this is no capture at all, just some text");
  for (const char* const name : {"empty", "text"}) {
    const auto frames = ReadAll(name);
    EXPECT_EQ(frames.status().code(), absl::StatusCode::kInvalidArgument) << name;
    EXPECT_THAT(Message(frames.status()), HasSubstr(dir_.File(name)));
  }
}

TEST_F(CaptureFileTest, DirectoryIsNoCapture) {
  EXPECT_FALSE(ReadCapture(dir_.path(), [](const CapturedFrame&) { FAIL(); }).ok());
}

TEST_F(CaptureFileTest, DamageSaysAtWhichFrame) {
  Capture capture(dir_.File("a"));
  for (int i = 0; i < 3; i++) capture.Add(i, kPacket4);
  capture.Close();
  std::filesystem::resize_file(dir_.File("a"), std::filesystem::file_size(dir_.File("a")) - 5);
  const auto frames = ReadAll("a");
  EXPECT_EQ(frames.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(Message(frames.status()), HasSubstr("a: frame 3:"));
}

TEST_F(CaptureFileTest, UnsupportedLinkTypeIsNamed) {
  Capture(dir_.File("wifi"), DLT_IEEE802_11).Close();
  EXPECT_THAT(Message(ReadAll("wifi").status()), HasSubstr("IEEE802_11"));
}

}  // namespace
}  // namespace sluice::replay
