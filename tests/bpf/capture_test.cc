// The rings of workloads' last packets: what is recorded where, sizes, a full ring, writers and a reader at one time.
#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <iostream>
#include <thread>

#include "kernel/capture/capture_rings.h"
#include "tests/support/sample_cluster.h"

namespace sluice::test {
namespace {

using capture::CaptureRings;
using capture::RingKind;
using capture::RingOptions;

struct Recorded {
  RingKind kind = RingKind::kPassed;
  sl_capture_packet facts{};
  Frame bytes;
};

class CaptureTest : public SampleCluster {
 protected:
  static constexpr std::uint32_t kWebNumber = 1, kDbNumber = 2, kOtherNumber = 3;

  void SetUp() override {
    SampleCluster::SetUp();
    if (fixture_ == nullptr) return;
    auto rings = CaptureRings::Open(fixture_->datapath().object(), {},
                                    [](const auto& captured) { return fixture_->datapath().SetCaptured(captured); });
    ASSERT_TRUE(rings.ok()) << rings.status();
    rings_ = *std::move(rings);
  }

  void Start(std::uint32_t endpoint, const RingOptions& options = {}) {
    const Status started = rings_->Start(endpoint, options);
    ASSERT_TRUE(started.ok()) << started;
    auto reader = rings_->Open(endpoint);
    ASSERT_TRUE(reader.ok()) << reader.status();
    (*reader)->SkipAll();
    readers_[endpoint] = *std::move(reader);
  }

  // What was recorded of it since the last call.
  std::vector<Recorded> Read(std::uint32_t endpoint) {
    std::vector<Recorded> all;
    readers_.at(endpoint)->Read(
        [&](RingKind kind, const sl_capture_packet& facts, std::span<const std::uint8_t> bytes) {
          all.push_back({kind, facts, Frame(bytes.begin(), bytes.end())});
        });
    return all;
  }

  static Packet WithPayload(int bytes, std::uint8_t flags = kAck) { return ToDb(flags) / Payload{bytes}; }

  // The first `snaplen` bytes.
  static Frame Cut(Frame frame, std::size_t snaplen) {
    frame.resize(std::min(frame.size(), snaplen));
    return frame;
  }

  std::unique_ptr<CaptureRings> rings_;
  std::map<std::uint32_t, std::unique_ptr<capture::RingReader>> readers_;
};

TEST_F(CaptureTest, WhatPassesIsRecordedOnceForEachEndWithItsFlow) {
  Enforce();
  ASSERT_NO_FATAL_FAILURE(Start(kWebNumber));
  ASSERT_NO_FATAL_FAILURE(Start(kDbNumber));
  const Frame syn = ToDb(kSyn).ToFrame();
  ASSERT_TRUE(FromPod(kWeb, syn).forwarded);
  EXPECT_TRUE(Read(kDbNumber).empty()) << "it did not reach db's interface yet";
  ASSERT_TRUE(ToPod(kDb, kWeb, syn).forwarded);
  ASSERT_TRUE(FromPod(kDb, ToWeb(kSyn | kAck)).forwarded);
  const auto sent = Read(kWebNumber);
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].kind, RingKind::kPassed);
  EXPECT_EQ(sent[0].bytes, syn);
  const sl_capture_packet& facts = sent[0].facts;
  EXPECT_EQ(facts.length, syn.size());
  EXPECT_EQ(facts.hook, SL_HOOK_TC_FROM_POD);
  EXPECT_EQ(facts.outcome, SL_DROP_NONE);
  EXPECT_EQ(facts.ifindex, ifindex(kWeb));
  EXPECT_EQ(facts.flags, SL_CAPTURE_HAS_FLOW | SL_CAPTURE_SENT);
  const auto flows = Flows();
  ASSERT_EQ(flows.size(), 1u);
  EXPECT_EQ(facts.flow_id, flows[0].entry.id);
  EXPECT_EQ(std::memcmp(&facts.key, &flows[0].key, sizeof(facts.key)), 0);
  EXPECT_EQ(facts.initiator_workload, flows[0].entry.initiator.workload);
  EXPECT_EQ(facts.responder_workload, flows[0].entry.responder.workload);
  EXPECT_EQ(facts.created, static_cast<__u32>(flows[0].entry.created_ns >> SL_TICK_SHIFT));
  const auto at_db = Read(kDbNumber);
  ASSERT_EQ(at_db.size(), 2u) << "what it receives, and what it sends";
  EXPECT_EQ(at_db[0].facts.hook, SL_HOOK_TC_TO_POD);
  EXPECT_FALSE(at_db[0].facts.flags & SL_CAPTURE_SENT);
  EXPECT_EQ(at_db[1].facts.flags, SL_CAPTURE_HAS_FLOW | SL_CAPTURE_REPLY | SL_CAPTURE_SENT);
  EXPECT_EQ(at_db[1].facts.flow_id, facts.flow_id);
}

TEST_F(CaptureTest, ADenialIsInTheRingsOfBothEndsWithItsDecision) {
  Enforce(Isolate("db"));
  ASSERT_NO_FATAL_FAILURE(Start(kWebNumber));
  ASSERT_NO_FATAL_FAILURE(Start(kDbNumber));
  for (int i = 0; i < 3; ++i) {  // by policy, then twice by the denied-flow entry
    SCOPED_TRACE(i);
    const Frame frame = ToDb(kSyn).ToFrame();
    ASSERT_EQ(FromPod(kWeb, frame).reason, SL_DROP_POLICY_DENIED);
    for (const std::uint32_t endpoint : {kWebNumber, kDbNumber}) {
      const auto all = Read(endpoint);
      ASSERT_EQ(all.size(), 1u);
      EXPECT_EQ(all[0].kind, RingKind::kDropped);
      EXPECT_EQ(all[0].facts.outcome, SL_DROP_POLICY_DENIED);
      EXPECT_EQ(all[0].facts.flow_reason, SL_DROP_POLICY_DENIED);
      EXPECT_EQ(all[0].facts.egress_decision, 0u);
      EXPECT_NE(all[0].facts.ingress_decision, 0u);
      EXPECT_EQ(!!(all[0].facts.flags & SL_CAPTURE_SENT), endpoint == kWebNumber);
      EXPECT_EQ(all[0].bytes, frame);
    }
  }
}

TEST_F(CaptureTest, TheUplinkRecordsWhatItDropsAndLeavesTheRestToThePodsHook) {
  Enforce(Isolate("db"));
  ASSERT_NO_FATAL_FAILURE(Start(kWebNumber));
  ASSERT_NO_FATAL_FAILURE(Start(kDbNumber));
  const Frame denied = (Tcp4(kRemoteIp, kDbIp, 5432) / Payload{700}).ToFrame();
  ASSERT_EQ(FromWire(denied).reason, SL_DROP_POLICY_DENIED);
  ASSERT_TRUE(FromWire(Tcp4(kRemoteIp, kWebIp, 80)).forwarded);
  const auto at_db = Read(kDbNumber);
  ASSERT_EQ(at_db.size(), 1u);
  EXPECT_EQ(at_db[0].facts.hook, SL_HOOK_XDP_UPLINK);
  EXPECT_EQ(at_db[0].facts.length, denied.size());
  EXPECT_EQ(at_db[0].bytes, Cut(denied, SL_CAPTURE_HEADERS));
  EXPECT_TRUE(Read(kWebNumber).empty());
  ASSERT_TRUE(ToPod(kWeb, kElsewhere, Tcp4(kRemoteIp, kWebIp, 80)).forwarded);
  EXPECT_EQ(Read(kWebNumber).size(), 1u);
}

TEST_F(CaptureTest, EveryLengthAtEachHookIsCutAtTheSnaplen) {
  Enforce(Isolate("db"));
  for (const std::uint32_t snaplen : {1U, 54U, 112U, 113U, 352U, 353U, 1500U, 9216U}) {
    ASSERT_NO_FATAL_FAILURE(Start(kWebNumber, {.snaplen = snaplen}));
    ASSERT_NO_FATAL_FAILURE(Start(kDbNumber, {.snaplen = snaplen}));
    for (const int payload : {0, 1, 7, 57, 58, 59, 60, 200, 290, 298, 299, 300, 1200, 3000}) {
      SCOPED_TRACE(fmt::format("snaplen {}, payload {}", snaplen, payload));
      const Frame passed = (Tcp4(kWebIp, kRemoteIp, 80, kSyn) / Payload{payload}).ToFrame();
      ASSERT_TRUE(FromPod(kWeb, passed).forwarded);
      const auto sent = Read(kWebNumber);
      ASSERT_EQ(sent.size(), 1u);
      EXPECT_EQ(sent[0].facts.length, passed.size());
      EXPECT_EQ(sent[0].bytes, Cut(passed, snaplen));
      const Frame denied = (Tcp4(kRemoteIp, kDbIp, 80) / Payload{payload}).ToFrame();
      ASSERT_FALSE(FromWire(denied).forwarded);
      const auto received = Read(kDbNumber);
      ASSERT_EQ(received.size(), 1u);
      EXPECT_EQ(received[0].bytes, Cut(denied, snaplen));
    }
  }
}

TEST_F(CaptureTest, PacketsWithoutAFlowBelongToTheInterfacesWorkload) {
  Enforce();
  sl_interface facts{};
  facts.address = policy::Address::Parse(kWebIp)->abi();
  facts.endpoint = kWebNumber;
  ASSERT_TRUE(fixture_->datapath().DescribeInterface(ifindex(kWeb), facts).ok());
  ASSERT_NO_FATAL_FAILURE(Start(kWebNumber));
  ASSERT_TRUE(FromPod(kWeb, ToDb(kSyn)).forwarded);
  ASSERT_EQ(Read(kWebNumber).size(), 1u);
  Frame malformed = ToDb(kSyn).ToFrame();
  malformed[14] = 0x41;  // a header of four bytes
  ASSERT_EQ(FromPod(kWeb, malformed).reason, SL_DROP_MALFORMED_IPV4);
  const auto all = Read(kWebNumber);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].facts.outcome, SL_DROP_MALFORMED_IPV4);
  EXPECT_EQ(all[0].facts.flags, SL_CAPTURE_SENT) << "and no flow of the packet before it";
  EXPECT_EQ(all[0].bytes, malformed);
}

TEST_F(CaptureTest, OthersAndWhoIsCapturedNoMoreAreNotRecorded) {
  Enforce();
  ASSERT_NO_FATAL_FAILURE(Start(kOtherNumber));
  ASSERT_TRUE(FromPod(kWeb, ToDb(kSyn)).forwarded);
  EXPECT_TRUE(Read(kOtherNumber).empty());
  ASSERT_NO_FATAL_FAILURE(Start(kWebNumber));
  ASSERT_TRUE(FromPod(kWeb, ToDb(kSyn)).forwarded);
  ASSERT_TRUE(rings_->Stop(kWebNumber).ok());
  ASSERT_TRUE(FromPod(kWeb, ToDb(kSyn)).forwarded);
  EXPECT_EQ(Read(kWebNumber).size(), 1u) << "readers keep what was there";
  EXPECT_EQ(rings_->Open(kWebNumber).status().code(), absl::StatusCode::kNotFound);
  ASSERT_NO_FATAL_FAILURE(Start(kWebNumber));
  EXPECT_TRUE(Read(kWebNumber).empty()) << "the number may be another workload's now";
  ASSERT_TRUE(rings_->Stop(kWebNumber).ok());
  ASSERT_TRUE(rings_->Stop(kOtherNumber).ok());
  EXPECT_EQ(rings_->usage().bytes, 0u);
}

TEST_F(CaptureTest, AFullRingKeepsTheNewestAndAFloodOfDenialsLeavesWhatPassed) {
  Enforce(Isolate("db"));
  ASSERT_NO_FATAL_FAILURE(Start(kWebNumber, {.bytes = 16384}));
  ASSERT_TRUE(FromPod(kWeb, Tcp4(kWebIp, kRemoteIp, 80)).forwarded);
  for (std::uint16_t i = 0; i < 200; ++i) ASSERT_FALSE(FromPod(kWeb, Tcp4(kWebIp, kDbIp, 1000 + i)).forwarded);
  auto all = Read(kWebNumber);
  ASSERT_EQ(all.size(), 1u + 64) << "the ring of dropped packets has 64 cells";
  EXPECT_EQ(all[0].kind, RingKind::kPassed);
  EXPECT_EQ(all.back().facts.key.hi_port, htons(1199));
  EXPECT_EQ(all[1].facts.key.hi_port, htons(1136)) << "the oldest that is left";
  for (std::uint16_t i = 0; i < 100; ++i) ASSERT_FALSE(FromPod(kWeb, Tcp4(kWebIp, kDbIp, 1000 + i)).forwarded);
  all = Read(kWebNumber);
  EXPECT_EQ(all.size(), 64u);
  EXPECT_EQ(readers_[kWebNumber]->overwritten(), 36u) << "the reader was away too long";
}

TEST_F(CaptureTest, MemoryIsBounded) {
  auto bounded = CaptureRings::Open(fixture_->datapath().object(), {.bytes = 1U << 20},
                                    [](const auto& captured) { return fixture_->datapath().SetCaptured(captured); });
  ASSERT_TRUE(bounded.ok()) << bounded.status();
  ASSERT_TRUE((*bounded)->Start(kWebNumber, {.bytes = 512U << 10}).ok());
  EXPECT_EQ((*bounded)->usage().bytes, (512U << 10) + (128U << 10));
  EXPECT_EQ((*bounded)->Start(kDbNumber, {.bytes = 512U << 10}).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE((*bounded)->Start(kWebNumber, {.bytes = 256U << 10}).ok()) << "instead of the larger one";
  EXPECT_TRUE((*bounded)->Start(kDbNumber, {.bytes = 256U << 10}).ok());
  EXPECT_EQ((*bounded)->usage().workloads, 2u);
  for (const std::uint32_t endpoint : {0U, static_cast<std::uint32_t>(SL_MAX_ENDPOINTS)})
    EXPECT_EQ((*bounded)->Start(endpoint, {}).code(), absl::StatusCode::kInvalidArgument);
  for (const std::uint32_t snaplen : {0U, SL_CAPTURE_SNAPLEN_MAX + 1U})
    EXPECT_EQ((*bounded)->Start(kWebNumber, {.snaplen = snaplen}).code(), absl::StatusCode::kInvalidArgument);
}

// The best of many short runs in turn, as other work on the machine only makes runs longer.
TEST_F(CaptureTest, WhoIsNotCapturedPaysNothingToSpeakOf) {
  Enforce();
  ASSERT_TRUE(FromPod(kWeb, ToDb(kSyn)).forwarded);
  ASSERT_TRUE(FromPod(kDb, ToWeb(kSyn | kAck)).forwarded);
  ASSERT_TRUE(FromPod(kWeb, ToDb(kAck)).forwarded);
  const bpf::TestRunInput input{.frame = ToDb(kAck).ToFrame(), .ifindex = ifindex(kWeb), .repeat = 20000};
  const int program = fixture_->datapath().object().program_fd("tc_from_pod");
  std::map<std::string, std::uint32_t> best;
  for (int round = 0; round < 12; ++round) {
    for (const auto& [name, endpoint] :
         {std::pair("nobody", 0U), std::pair("another", kOtherNumber), std::pair("itself", kWebNumber)}) {
      if (endpoint != 0) {
        ASSERT_TRUE(rings_->Start(endpoint, {}).ok());
      }
      const auto run = bpf::TestRunTc(program, input);
      ASSERT_TRUE(run.ok()) << run.status();
      const auto known = best.emplace(name, run->nanoseconds).first;
      known->second = std::min(known->second, run->nanoseconds);
      if (endpoint != 0) {
        ASSERT_TRUE(rings_->Stop(endpoint).ok());
      }
    }
  }
  for (const auto& [who, nanoseconds] : best) std::cout << who << " captured: " << nanoseconds << " ns a packet\n";
  EXPECT_LE(best["another"], best["nobody"] * 11 / 10 + 3);
}

// Two CPUs write records of different lengths in one small ring while it is read: each record that is read is whole.
TEST_F(CaptureTest, WritersAndAReaderAtOneTime) {
  Enforce(Isolate("db"));
  ASSERT_NO_FATAL_FAILURE(Start(kDbNumber, {.bytes = 16384, .snaplen = 9216}));
  const std::vector<Frame> frames{(Tcp4(kRemoteIp, kDbIp, 80) / Payload{20}).ToFrame(),
                                  (Tcp4(kRemoteIp, kDbIp, 81) / Payload{900}).ToFrame()};
  const int program = fixture_->datapath().object().program_fd("tc_to_pod");
  std::atomic<bool> enough = false;
  std::vector<std::thread> writers;
  for (const Frame& frame : frames) {
    writers.emplace_back([&, frame] {
      const bpf::TestRunInput input{
          .frame = frame, .ifindex = ifindex(kDb), .ingress_ifindex = ifindex(kElsewhere), .repeat = 2000};
      while (!enough) EXPECT_TRUE(bpf::TestRunTc(program, input).ok());
    });
  }
  std::uint64_t read = 0, wrong = 0;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (read < 2000 && std::chrono::steady_clock::now() < end) {
    for (const Recorded& one : Read(kDbNumber)) {
      ++read;
      const bool second = one.facts.key.hi_port == htons(81) || one.facts.key.lo_port == htons(81);
      const Frame& sent = frames[second ? 1 : 0];
      if (one.bytes != sent || one.facts.length != sent.size() || one.facts.outcome != SL_DROP_POLICY_DENIED) ++wrong;
    }
  }
  enough = true;
  for (std::thread& writer : writers) writer.join();
  EXPECT_GE(read, 2000u);
  EXPECT_EQ(wrong, 0u);
}

}  // namespace
}  // namespace sluice::test
