// Full flow tables: nothing passes that policy does not allow, and what it costs is counted.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>

#include <memory>

#include "ctrl/bpf/test_run.h"
#include "skel/datapath_bpf.skel.h"
#include "tests/support/environment.h"
#include "tests/support/shop.h"

namespace sluice::test {
namespace {

class EstablishedFull : public Shop {
 protected:
  static void SetUpTestSuite() {
    options_.object.flows_established = 1;
    Shop::SetUpTestSuite();
  }
};

TEST_F(EstablishedFull, TheFlowStaysPendingAndWorks) {
  ASSERT_TRUE(FromPod(kWeb, ToDb(kSyn)).forwarded);
  ASSERT_TRUE(FromPod(kDb, ToWeb(kSyn | kAck)).forwarded);  // takes the only place
  const auto to_db = [](std::uint8_t flags) { return Tcp4(kWebIp, kDbIp, 5432, flags, 41000); };
  const auto to_web = [](std::uint8_t flags) { return Tcp4(kDbIp, kWebIp, 41000, flags, 5432); };
  ASSERT_TRUE(FromPod(kWeb, to_db(kSyn)).forwarded);
  for (int i = 0; i < 2; ++i) {
    const Judged answer = FromPod(kDb, to_web(kSyn | kAck));
    EXPECT_EQ(answer.moves, Moves()
                                .Packet(SL_HOOK_TC_FROM_POD, SL_DROP_NONE, answer.bytes)
                                .Egress(2, SL_DROP_NONE, answer.bytes)
                                .Count(SL_COUNTER_CT_PROMOTE_FAILED)
                                .Changed("ct_pending"));
  }
  EXPECT_TRUE(FromPod(kWeb, to_db(kAck)).forwarded);
  EXPECT_EQ(FromPod(kWeb, Tcp4(kWebIp, kDbIp, 1)).reason, SL_DROP_POLICY_DENIED);
  // What is pending is cut like everything else.
  Enforce(Isolate("db"));
  EXPECT_EQ(FromPod(kDb, to_web(kAck)).reason, SL_DROP_POLICY_DENIED);
  EXPECT_EQ(FromPod(kWeb, to_db(kAck)).reason, SL_DROP_POLICY_DENIED);
}

// ct_pending evicts, so it refuses only where the kernel finds no memory or a contended bucket. A hash of one entry in
// its place refuses every time.
class PendingFull : public ::testing::Test {
 protected:
  static constexpr std::uint32_t kIfindex = BedOptions::kFirstIfindex;

  void SetUp() override {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
    auto bed = TestBed::Create({.interfaces = 1});
    ASSERT_TRUE(bed.ok()) << bed.status();
    bed_ = *std::move(bed);
    skeleton_.reset(datapath_bpf__open());
    ASSERT_NE(skeleton_, nullptr);
    ASSERT_EQ(bpf_map__set_type(skeleton_->maps.ct_pending, BPF_MAP_TYPE_HASH), 0);
    ASSERT_EQ(bpf_map__set_max_entries(skeleton_->maps.ct_pending, 1), 0);
    ASSERT_EQ(datapath_bpf__load(skeleton_.get()), 0);
    // One local workload, 10.0.0.1, not isolated.
    const sl_address_key key{.addr = policy::Address::Parse("10.0.0.1")->abi(), .slot = 0};
    const sl_address_value value{.identity = SL_IDENTITY_FIRST, .workload = 7, .ifindex = kIfindex, .endpoint = 1};
    ASSERT_EQ(bpf_map_update_elem(bpf_map__fd(skeleton_->maps.addresses), &key, &value, BPF_ANY), 0);
  }

  int Send(std::uint16_t port) {
    const Packet network = Eth{} / Ipv4{.src = "10.0.0.1", .dst = "192.0.2.1"};
    const Packet syn = network / Tcp{.dport = port};
    const auto output =
        bpf::TestRunTc(bpf_program__fd(skeleton_->progs.tc_from_pod), {.frame = syn.ToFrame(), .ifindex = kIfindex});
    EXPECT_TRUE(output.ok()) << output.status();
    return output.ok() ? static_cast<int>(output->verdict) : -100;
  }

  template <typename T>
  T Sum(bpf_map* map, std::uint32_t index, T (*add)(T, T)) {
    std::vector<T> values(libbpf_num_possible_cpus());
    EXPECT_EQ(bpf_map_lookup_elem(bpf_map__fd(map), &index, values.data()), 0);
    T sum{};
    for (const T& value : values) sum = add(sum, value);
    return sum;
  }
  std::uint64_t Packets(int outcome) {
    return Sum<sl_counter>(skeleton_->maps.packet_counts, SL_HOOK_TC_FROM_POD * SL_OUTCOME_COUNT + outcome,
                           [](sl_counter a, sl_counter b) {
                             return sl_counter{a.packets + b.packets, 0};
                           })
        .packets;
  }
  std::uint64_t Events(int counter) {
    return Sum<__u64>(skeleton_->maps.event_counts, counter, [](__u64 a, __u64 b) { return a + b; });
  }

  struct Destroy {
    void operator()(datapath_bpf* skeleton) const { datapath_bpf__destroy(skeleton); }
  };
  std::unique_ptr<TestBed> bed_;  // for its interface
  std::unique_ptr<datapath_bpf, Destroy> skeleton_;
};

TEST_F(PendingFull, AnAllowedFlowThatCannotBeTrackedIsDroppedForThat) {
  EXPECT_EQ(Send(1), -1 /* TC_ACT_UNSPEC */);
  EXPECT_EQ(Packets(SL_DROP_CONNTRACK_FULL), 0u);
  EXPECT_EQ(Send(2), 2 /* TC_ACT_SHOT */);
  EXPECT_EQ(Packets(SL_DROP_CONNTRACK_FULL), 1u);
  EXPECT_EQ(Packets(SL_DROP_NONE), 1u);
  EXPECT_EQ(Events(SL_COUNTER_CT_INSERT_FAILED), 1u);
  EXPECT_EQ(Events(SL_COUNTER_FLOW_NEW), 1u);
  EXPECT_EQ(Send(1), -1) << "who is tracked goes on";
}

}  // namespace
}  // namespace sluice::test
