// A small sample cluster for tests of the packet path, as a GoogleTest fixture over one ProgramFixture:
//   web    10.0.0.1  fd00::1  at p0, endpoint 1      db    10.0.0.2  fd00::2  at p1, endpoint 2
//   other  10.0.0.3  fd00::3  at p2, endpoint 3      node  10.0.0.254  fd00::fe
//   remote 10.0.1.1  fd00:1::1, on another node      p7: the uplink, where tests need one
// Each packet is evaluated together with everything that it changed:
//   const Evaluated evaluated = FromPod(kWeb, Tcp4(kWebIp, kDbIp, 5432));
//   EXPECT_TRUE(evaluated.forwarded);
//   EXPECT_EQ(evaluated.moves, Moves().Packet(SL_HOOK_TC_FROM_POD, SL_DROP_NONE, evaluated.bytes)...);
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "testbed/packet.h"
#include "tests/support/fixture_state.h"
#include "tests/support/program_fixture.h"

namespace sluice::test {

struct Evaluated : ProgramFixture::Verdict {
  std::uint64_t bytes = 0;  // of the frame
  Moves moves;
  std::vector<sl_flow_event> events;
};

class SampleCluster : public ::testing::Test {
 protected:
  enum Interface { kWeb = 0, kDb = 1, kOther = 2, kNobody = 5, kElsewhere = 6, kUplink = 7 };
  static constexpr int kNode = -1;  // as incoming interface: the node itself sent the packet

  static void SetUpTestSuite();
  static void TearDownTestSuite();
  static FixtureOptions options_;  // a suite with other sizes sets them before it calls SetUpTestSuite
  void SetUp() override;

  // Puts the cluster above and these policies in force, as YAML documents.
  void Enforce(const std::string& policies = {});
  // Only web may reach db, at 5432/TCP.
  static std::string DbPolicy();
  // Nothing may reach `app`.
  static std::string Isolate(const std::string& app);
  // A sluice.dev NetworkPolicy for `app`; `spec` is indented by two spaces.
  static std::string Policy(const std::string& name, const std::string& app, const std::string& spec,
                            bool kubernetes = true);
  // Replaces the workload at `interface` by a new one with the same addresses; "": by no workload.
  void Replace(Interface interface, const std::string& name);

  Evaluated FromPod(int interface, const Packet& packet) { return FromPod(interface, packet.ToFrame()); }
  Evaluated ToPod(int interface, int from, const Packet& packet) { return ToPod(interface, from, packet.ToFrame()); }
  Evaluated FromWire(const Packet& packet) { return FromWire(packet.ToFrame()); }
  Evaluated FromPod(int interface, const Frame& frame, std::uint32_t gso_segments = 0);
  Evaluated ToPod(int interface, int from, const Frame& frame);
  Evaluated FromWire(const Frame& frame);

  void Configure(std::uint32_t flags);  // SL_SETTING_*
  std::vector<datapath::FlowRecord> Flows();
  std::uint32_t ifindex(int interface) const { return fixture_->ifindex(interface); }

  static Packet Tcp4(const std::string& src, const std::string& dst, std::uint16_t port, std::uint8_t flags = kSyn,
                     std::uint16_t sport = 40000) {
    return Eth{} / Ipv4{.src = src, .dst = dst} / Tcp{.sport = sport, .dport = port, .flags = flags};
  }
  static Packet Tcp6(const std::string& src, const std::string& dst, std::uint16_t port, std::uint8_t flags = kSyn,
                     std::uint16_t sport = 40000) {
    return Eth{} / Ipv6{.src = src, .dst = dst} / Tcp{.sport = sport, .dport = port, .flags = flags};
  }
  // From web to db at 5432 and back, in one connection.
  static Packet ToDb(std::uint8_t flags) { return Tcp4(kWebIp, kDbIp, 5432, flags); }
  static Packet ToWeb(std::uint8_t flags) { return Tcp4(kDbIp, kWebIp, 40000, flags, 5432); }

  static constexpr const char *kWebIp = "10.0.0.1", *kDbIp = "10.0.0.2", *kOtherIp = "10.0.0.3";
  static constexpr const char *kNodeIp = "10.0.0.254", *kRemoteIp = "10.0.1.1";
  static constexpr const char *kWebIp6 = "fd00::1", *kDbIp6 = "fd00::2", *kRemoteIp6 = "fd00:1::1";

  static std::unique_ptr<ProgramFixture> fixture_;

 private:
  Evaluated Evaluate(int hook, const bpf::TestRunInput& input);
  std::string names_[3];
};

}  // namespace sluice::test
