// pcapng files: their blocks, read back by this test, by libpcap, and by Wireshark's tools where they are installed.
#include "telemetry/pcapng/capture_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "ctrl/replay/capture_file.h"
#include "ctrl/replay/packet_filter.h"
#include "telemetry/pcapng/block.h"
#include "testbed/command.h"
#include "testbed/packet.h"

namespace sluice::pcapng {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

struct ReadBlock {
  std::uint32_t type = 0;
  std::string body;
};

std::uint32_t Word(const std::string& bytes, std::size_t at) {
  std::uint32_t word = 0;
  std::memcpy(&word, bytes.data() + at, sizeof(word));
  return word;
}

// Fails the test if a block's two lengths differ, or it does not end at a multiple of four bytes.
std::vector<ReadBlock> Blocks(const std::string& file) {
  std::vector<ReadBlock> blocks;
  for (std::size_t at = 0; at < file.size();) {
    const std::uint32_t length = Word(file, at + 4);
    EXPECT_EQ(length % 4, 0u);
    EXPECT_LE(at + length, file.size());
    EXPECT_EQ(Word(file, at + length - 4), length);
    if (length < 12 || at + length > file.size()) break;
    blocks.push_back({Word(file, at), file.substr(at + 8, length - 12)});
    at += length;
  }
  return blocks;
}

v1::CapturedFlow DeniedFlow(std::uint32_t number = 0) {
  v1::CapturedFlow captured;
  captured.set_number(number);
  captured.set_hook("tc_from_pod");
  captured.set_interface_index(12);
  captured.set_workload("shop/web-0");
  captured.set_sent(true);
  v1::Flow& flow = *captured.mutable_flow();
  flow.set_verdict(v1::Flow::DROPPED);
  flow.set_drop_reason("POLICY_DENIED");
  flow.set_hook(v1::Flow::TC);
  flow.set_interface("vethab12");
  flow.mutable_ip()->set_version(4);
  flow.mutable_ip()->set_source("10.1.0.2");
  flow.mutable_ip()->set_destination("10.1.0.3");
  flow.mutable_l4()->set_protocol("TCP");
  flow.mutable_l4()->set_source_port(40000);
  flow.mutable_l4()->set_destination_port(5432);
  flow.mutable_source()->set_namespace_("shop");
  flow.mutable_source()->set_workload("web-0");
  flow.mutable_source()->mutable_process()->set_binary("/usr/bin/psql");
  flow.mutable_source()->mutable_process()->add_arguments("-h");
  flow.mutable_source()->mutable_process()->add_arguments("db");
  flow.mutable_source()->mutable_process()->set_pid(4242);
  flow.mutable_destination()->set_namespace_("shop");
  flow.mutable_destination()->set_workload("db-0");
  v1::PolicyRef& policy = *flow.add_policies();
  policy.set_kind("NetworkPolicy");
  policy.set_namespace_("shop");
  policy.set_name("db");
  policy.set_rule("ingress[0]");
  policy.set_effect(v1::PolicyRef::DENY);
  return captured;
}

test::Frame Syn() {
  return (test::Eth{} / test::Ipv4{.src = "10.1.0.2", .dst = "10.1.0.3"} / test::Tcp{.sport = 40000, .dport = 5432})
      .ToFrame();
}

v1::CapturedPacket PacketOf(std::uint32_t flow, const test::Frame& frame, std::int32_t nanoseconds = 0) {
  v1::CapturedPacket packet;
  packet.set_flow(flow);
  packet.mutable_time()->set_seconds(1796130900);
  packet.mutable_time()->set_nanos(nanoseconds);
  packet.set_length(static_cast<std::uint32_t>(frame.size()));
  packet.set_data(std::string(frame.begin(), frame.end()));
  return packet;
}

class CaptureWriterTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(writer_.Begin().ok()); }

  // In a file, for tools.
  std::string Save() const {
    const std::string path =
        ::testing::TempDir() + ::testing::UnitTest::GetInstance()->current_test_info()->name() + ".pcapng";
    std::ofstream(path, std::ios::binary) << file_;
    return path;
  }

  std::string file_;
  CaptureWriter writer_{{.application = "Sluice 1", .node = "node-1", .cause = "shop/web-0: denied"},
                        [this](std::string_view bytes) {
                          file_ += bytes;
                          return OkStatus();
                        }};
};

TEST_F(CaptureWriterTest, ASectionAnInterfaceForEachHookAndAFlowOnce) {
  v1::CapturedFlow passed = DeniedFlow(1);
  passed.mutable_flow()->set_verdict(v1::Flow::FORWARDED);
  passed.set_hook("tc_to_pod");
  ASSERT_TRUE(writer_.AddFlow(DeniedFlow(0)).ok());
  ASSERT_TRUE(writer_.AddFlow(passed).ok());
  for (const std::uint32_t flow : {0U, 1U, 0U}) ASSERT_TRUE(writer_.AddPacket(PacketOf(flow, Syn())).ok());
  ASSERT_TRUE(writer_.AddLoss(7).ok());
  std::vector<std::uint32_t> types;
  for (const ReadBlock& block : Blocks(file_)) types.push_back(block.type);
  EXPECT_EQ(types, (std::vector<std::uint32_t>{kSectionHeader, kInterfaceDescription, kNameResolution, kCustom,
                                               kInterfaceDescription, kCustom, kEnhancedPacket, kEnhancedPacket,
                                               kEnhancedPacket, kInterfaceStatistics}));
  EXPECT_EQ(writer_.packets(), 3u);
  EXPECT_EQ(writer_.bytes(), file_.size());
}

TEST_F(CaptureWriterTest, TheCustomBlockIsTheFlowAsJson) {
  ASSERT_TRUE(writer_.AddFlow(DeniedFlow(3)).ok());
  std::string text;
  for (const ReadBlock& block : Blocks(file_)) {
    if (block.type != kCustom) continue;
    EXPECT_EQ(Word(block.body, 0), kEnterprise);
    text = block.body.substr(4);
  }
  const json custom = json::parse(text.substr(0, text.rfind('}') + 1), nullptr, false);
  ASSERT_FALSE(custom.is_discarded()) << text;
  EXPECT_EQ(custom["sluice"], "flow");
  EXPECT_EQ(custom["number"], 3);
  EXPECT_EQ(custom["workload"], "shop/web-0");
  EXPECT_EQ(custom["flow"]["source"]["process"]["binary"], "/usr/bin/psql");
  EXPECT_EQ(custom["flow"]["policies"][0]["rule"], "ingress[0]");
}

TEST_F(CaptureWriterTest, APacketHasItsTimeVerdictDirectionAndComment) {
  ASSERT_TRUE(writer_.AddFlow(DeniedFlow()).ok());
  v1::CapturedPacket packet = PacketOf(0, Syn(), 123456789);
  packet.set_length(1514);
  ASSERT_TRUE(writer_.AddPacket(packet).ok());
  const std::string body = Blocks(file_).back().body;
  EXPECT_EQ(std::uint64_t{Word(body, 4)} << 32 | Word(body, 8), 1796130900123456789ULL);
  EXPECT_EQ(Word(body, 12), packet.data().size());
  EXPECT_EQ(Word(body, 16), 1514u);
  const std::size_t options = 20 + (packet.data().size() + 3) / 4 * 4;
  EXPECT_THAT(body.substr(options),
              HasSubstr("DROPPED/POLICY_DENIED at tc_from_pod of shop/web-0: shop/web-0:40000 -> shop/db-0:5432; "
                        "opened by /usr/bin/psql -h db (pid 4242); policy shop/db ingress[0] DENY"));
  const char flags[] = {2, 0, 4, 0, 2, 0, 0, 0};  // epb_flags: outbound
  EXPECT_THAT(body.substr(options), HasSubstr(std::string(flags, sizeof(flags))));
}

TEST_F(CaptureWriterTest, TextFromOutsideCannotForgeALine) {
  v1::CapturedFlow flow = DeniedFlow();
  flow.mutable_flow()->mutable_source()->mutable_process()->set_binary("/tmp/a\n\x1b[2J");
  EXPECT_EQ(CommentOf(flow).find_first_of("\n\x1b"), std::string::npos);
  flow.mutable_flow()->mutable_source()->mutable_process()->set_binary(std::string(200000, 'x'));
  ASSERT_TRUE(writer_.AddFlow(flow).ok());
  ASSERT_TRUE(writer_.AddPacket(PacketOf(0, Syn())).ok());
  EXPECT_EQ(Blocks(file_).back().type, kEnhancedPacket) << "an option has at most 65,535 bytes";
}

TEST_F(CaptureWriterTest, APacketOfAnUnknownFlowIsRefused) {
  EXPECT_EQ(writer_.AddPacket(PacketOf(5, Syn())).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(writer_.packets(), 0u);
}

TEST_F(CaptureWriterTest, LibpcapReadsIt) {
  ASSERT_TRUE(writer_.AddFlow(DeniedFlow()).ok());
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(writer_.AddPacket(PacketOf(0, Syn(), i)).ok());
  int frames = 0;
  const Status read = replay::ReadCapture(Save(), [&](const replay::CapturedFrame& frame) {
    EXPECT_EQ(frame.time_ns, 1796130900000000000ULL + static_cast<std::uint64_t>(frames));
    EXPECT_EQ(test::Frame(frame.bytes.begin(), frame.bytes.end()), Syn());
    ++frames;
  });
  EXPECT_TRUE(read.ok()) << read;
  EXPECT_EQ(frames, 3);
}

// What a tool prints; the test fails if it fails.
std::string Output(const test::Arguments& arguments) {
  const auto result = test::RunCommand(arguments);
  EXPECT_TRUE(result.ok()) << result.status();
  if (!result.ok()) return "";
  EXPECT_EQ(result->exit_code, 0) << result->output;
  return result->output;
}

TEST_F(CaptureWriterTest, WiresharksToolsReadIt) {
  if (!test::RunChecked({"sh", "-c", "command -v tshark && command -v editcap && command -v capinfos"}).ok())
    GTEST_SKIP() << "needs the packages tshark and wireshark-common";
  ASSERT_TRUE(writer_.AddFlow(DeniedFlow()).ok());
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(writer_.AddPacket(PacketOf(0, Syn(), i)).ok());
  ASSERT_TRUE(writer_.AddLoss(1).ok());
  const std::string path = Save();
  const std::string fields =
      Output({"tshark", "-r", path, "-T", "fields", "-E", "separator=|", "-e", "ip.src", "-e", "tcp.dstport", "-e",
              "frame.comment", "-e", "frame.interface_name", "-e", "frame.packet_flags_direction"});
  EXPECT_THAT(fields, HasSubstr("10.1.0.2|5432|DROPPED/POLICY_DENIED"));
  EXPECT_THAT(fields, HasSubstr("/usr/bin/psql"));
  EXPECT_THAT(fields, HasSubstr("vethab12:tc_from_pod"));
  const std::string names = Output({"tshark", "-r", path, "-N", "n", "-T", "fields", "-e", "ip.dst_host"});
  EXPECT_THAT(names, HasSubstr("db-0.shop"));
  const std::string infos = Output({"capinfos", "-c", "-M", path});
  EXPECT_THAT(infos, HasSubstr("Number of packets:   2"));
  Output({"editcap", "-r", path, path + ".one", "2"});  // the first record is the custom block
  const std::string one = Output({"tshark", "-r", path + ".one", "-T", "fields", "-e", "frame.comment"});
  EXPECT_THAT(one, HasSubstr("/usr/bin/psql"));
}

TEST(PacketFilter, AnExpressionOfLibpcap) {
  const test::Frame frame = Syn();
  const std::string_view bytes(reinterpret_cast<const char*>(frame.data()), frame.size());
  for (const auto& [expression, matches] : {std::pair("", true), std::pair("tcp port 5432", true),
                                            std::pair("udp", false), std::pair("host 10.1.0.9", false)}) {
    const auto filter = replay::PacketFilter::Compile(expression);
    ASSERT_TRUE(filter.ok()) << filter.status();
    EXPECT_EQ(filter->Matches(bytes, static_cast<std::uint32_t>(bytes.size())), matches) << expression;
  }
  const auto wrong = replay::PacketFilter::Compile("tcp prot 80");
  EXPECT_EQ(wrong.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(wrong.status().message()), HasSubstr("tcp prot 80"));
}

}  // namespace
}  // namespace sluice::pcapng
