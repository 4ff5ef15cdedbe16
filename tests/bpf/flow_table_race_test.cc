// Many CPUs and the agent use one small flow table. Flows evict each other all the time, are reset and reopened, while
// the agent commits, reads and removes flows. No packet may get another flow's verdict, and no entry may mix two flows.
// unit_bpf FlowTableRace is the same test without a kernel.
#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <random>
#include <thread>
#include <vector>

#include "bpf/lib/flow_hash.h"
#include "kernel/bpf/map.h"
#include "kernel/bpf/testing/test_run.h"
#include "tests/support/sample_cluster.h"

namespace sluice::test {
namespace {

using datapath::FlowRecord;
using datapath::FlowState;

class FlowTableRace : public SampleCluster {
 protected:
  static constexpr int kFlows = 600, kPackets = 60000;

  static void SetUpTestSuite() {
    options_.object.flows = 4 * SL_FLOW_WAYS;
    options_.object.flow_share_slots = 1 << 20;  // shares would refuse most of web's flows
    SampleCluster::SetUpTestSuite();
  }
  void SetUp() override {
    SampleCluster::SetUp();
    Enforce(DbPolicy());
  }

  // Even numbers are web's allowed flows, odd numbers are other's denied ones.
  static bool IsAllowed(int number) { return number % 2 == 0; }
  static Frame To(int number, std::uint8_t flags) {
    const auto port = static_cast<std::uint16_t>(10000 + number);
    return Tcp4(IsAllowed(number) ? kWebIp : kOtherIp, kDbIp, 5432, flags, port).ToFrame();
  }
  static Frame Back(int number, std::uint8_t flags) {
    return Tcp4(kDbIp, kWebIp, static_cast<std::uint16_t>(10000 + number), flags, 5432).ToFrame();
  }

  struct Seen {
    std::atomic<int> wrong{0}, refused{0}, errors{0};
  };

  void SendFrom(int cpu, Seen* seen) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof(set), &set);
    std::mt19937 random(cpu);
    const int program = fixture_->datapath().object().program_fd("tc_from_pod");
    for (int i = 0; i < kPackets; ++i) {
      const int number = static_cast<int>(random() % kFlows);
      const bool back = IsAllowed(number) && random() % 4 == 0;
      const auto kind = random() % 10;
      const std::uint8_t flags = kind == 0 ? kRst | kAck : kind == 1 ? kFin | kAck : kind == 2 && !back ? kSyn : kAck;
      const auto interface = ifindex(back ? kDb : IsAllowed(number) ? kWeb : kOther);
      const auto output =
          bpf::TestRunTc(program, {.frame = back ? Back(number, flags) : To(number, flags), .ifindex = interface});
      if (!output.ok()) {
        ++seen->errors;
        continue;
      }
      // By policy, db may not open flows to web's port; but web is not isolated, so db's packets pass, as answers or as
      // new flows.
      const bool forwarded = static_cast<int>(output->verdict) == -1;  // TC_ACT_UNSPEC
      if (forwarded && !IsAllowed(number)) ++seen->wrong;
      if (!forwarded && IsAllowed(number)) ++seen->refused;
    }
  }

  // No slot is lost, and the overflow counts match the overflow entries.
  static void CheckBuckets() {
    using Buckets = bpf::Map<std::uint32_t, sl_flow_bucket>;
    using Settings = bpf::Map<std::uint32_t, sl_settings>;
    using Shares = bpf::Map<std::uint32_t, std::uint64_t>;
    auto& object = fixture_->datapath().object();
    const auto buckets = Buckets::Bind(object.map_fd("flow_buckets"), "flow_buckets");
    const auto settings = Settings::Bind(object.map_fd("settings"), "settings");
    const auto flows = fixture_->datapath().Flows();
    ASSERT_TRUE(buckets.ok() && settings.ok() && flows.ok());
    const sl_settings seeds = **settings->Get(0);
    const auto shares = Shares::Bind(object.map_fd("flow_shares"), "flow_shares");
    ASSERT_TRUE(shares.ok()) << shares.status();
    std::map<std::uint32_t, std::uint32_t> overflow, owners;
    for (const FlowRecord& flow : *flows) {
      if (flow.state != FlowState::kDenied) {
        ++owners[0];
        ++owners[flow.entry.owner];
      }
      const std::uint32_t primary = sl_flow_bucket_of(sl_flow_hash(seeds.hash_seeds, &flow.key), buckets->capacity());
      if (primary != flow.slot / SL_FLOW_WAYS) ++overflow[primary];
    }
    for (std::uint32_t owner = 0; owner < 4; ++owner) EXPECT_EQ(**shares->Get(owner), owners[owner]) << owner;
    for (std::uint32_t index = 0; index < buckets->capacity(); ++index) {
      const sl_flow_bucket bucket = **buckets->Get(index);
      EXPECT_EQ(bucket.overflow, overflow[index]) << "bucket " << index;
      for (const std::uint32_t tag : bucket.tags)
        EXPECT_TRUE(tag == 0 || ((tag & SL_FLOW_STATE_MASK) != SL_FLOW_BUSY && !(tag & SL_FLOW_HELD)))
            << "bucket " << index;
    }
  }

  // The entry's content fits its key.
  static bool IsWhole(const FlowRecord& flow) {
    const int number = __builtin_bswap16(flow.key.lo_port) == 5432 ? __builtin_bswap16(flow.key.hi_port) - 10000
                                                                   : __builtin_bswap16(flow.key.lo_port) - 10000;
    const auto& entry = flow.entry;
    if (number < 0 || number >= kFlows) return false;
    if (!IsAllowed(number))
      return flow.state == FlowState::kDenied && entry.reason == SL_DROP_POLICY_DENIED &&
             entry.initiator.endpoint == 3 && entry.responder.endpoint == 2;
    return flow.state != FlowState::kDenied && entry.reason == SL_DROP_NONE &&
           entry.initiator.endpoint + entry.responder.endpoint == 3;
  }
};

TEST_F(FlowTableRace, NobodyGetsAnothersVerdict) {
  Seen seen;
  std::atomic<bool> over{false};
  std::vector<std::thread> senders;
  const int cpus = static_cast<int>(std::min(4u, std::max(2u, std::thread::hardware_concurrency())));
  for (int cpu = 0; cpu < cpus; ++cpu) senders.emplace_back([&, cpu] { SendFrom(cpu, &seen); });
  int records = 0, mixed = 0, commits = 0;
  std::thread agent([&] {
    while (!over) {
      auto flows = fixture_->datapath().Flows();
      if (!flows.ok()) continue;
      for (const FlowRecord& flow : *flows) mixed += !IsWhole(flow);
      records += static_cast<int>(flows->size());
      if (records % 3 == 0) (void)fixture_->datapath().ForgetFlows(*flows);
      if (records % 5 == 0) Enforce(++commits % 2 ? DbPolicy() + Isolate("other") : DbPolicy());
    }
  });
  for (std::thread& sender : senders) sender.join();
  over = true;
  agent.join();
  EXPECT_EQ(seen.errors, 0);
  EXPECT_EQ(seen.wrong, 0) << "denied packets that passed";
  EXPECT_LT(seen.refused, kPackets * cpus / 100) << "two CPUs may want one slot";
  EXPECT_GT(records, 1000);
  EXPECT_GT(commits, 10);
  EXPECT_EQ(mixed, 0);
  const auto events = fixture_->datapath().ReadEventCounters();
  ASSERT_TRUE(events.ok()) << events.status();
  EXPECT_GT((*events)[SL_COUNTER_FLOW_EVICTED], 1000u) << "flows did push each other out";
  CheckBuckets();
}

}  // namespace
}  // namespace sluice::test
