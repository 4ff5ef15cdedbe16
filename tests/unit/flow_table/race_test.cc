// The flow table's own code, compiled natively, used by eight threads: packets that read verdicts, commits, SYNs that
// reopen connections, evictions, expiry and the agent's reads. For ThreadSanitizer; and no flow may be lost or mixed
// with another.
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <map>
#include <optional>
#include <random>
#include <thread>
#include <vector>

#include "bpf/abi/events.h"
#include "bpf/abi/flow_table.h"
#include "bpf/lib/flow_hash.h"

namespace {

constexpr __u32 kBuckets = 4, kSlots = kBuckets * SL_FLOW_WAYS, kOwners = 8;

sl_flow_bucket g_buckets[kBuckets];
sl_flow g_flows[kSlots];
__u64 g_shares[kOwners];
__u64 g_seeds[SL_HASH_SEEDS];

// Definitions that the header needs.
#undef __always_inline
#undef __noinline
#define __always_inline inline
#define __noinline [[maybe_unused]] static
#define barrier() __asm__ volatile("" ::: "memory")
#define barrier_var(x) __asm__ volatile("" : "+r"(x))
constexpr __u32 flow_bucket_count = kBuckets, flow_share_slots = 2 * kSlots;
void sl_count_event(__u32) {}
void sl_send_end(const sl_flow_key*, const sl_flow_entry*) {}
__u32 sl_hash_of(const sl_flow_key* key) { return sl_flow_hash(g_seeds, key); }
sl_flow_bucket* sl_bucket_at(__u32 index) { return index < kBuckets ? &g_buckets[index] : nullptr; }
sl_flow* sl_flow_at(__u32 slot) { return slot < kSlots ? &g_flows[slot] : nullptr; }
__u64* sl_share_at(__u32 endpoint) { return endpoint < kOwners ? &g_shares[endpoint] : nullptr; }
#include "bpf/lib/flow_table.bpf.h"

constexpr int kThreads = 8, kFlows = 150, kSteps = 20000;
std::atomic<__u64> g_generation{2}, g_birth{1};

// The verdict under this generation.
__u8 VerdictOf(__u64 generation) { return generation & 1 ? SL_DROP_POLICY_DENIED : SL_DROP_NONE; }

sl_flow_key KeyOf(__u32 number) {
  sl_flow_key key{};
  std::memcpy(key.lo.bytes, &number, sizeof(number));
  std::memcpy(key.hi.bytes + 8, &number, sizeof(number));
  key.protocol = 6;
  return key;
}

// Distant fields identify the entry: the flow's number and its incarnation.
sl_flow_entry EntryOf(__u32 number, __u64 generation) {
  sl_flow_entry entry{};
  const __u64 birth = g_birth++;
  entry.created_ns = birth;
  entry.incarnation = static_cast<__u32>(birth) | 1U << 31U;
  entry.forward_packets = birth;
  entry.initiator = {number, static_cast<__u32>(birth), 0, 0};
  entry.responder = {number, static_cast<__u32>(birth), 0, 0};
  entry.awaited[0] = static_cast<__u32>(birth);
  entry.last_seen_ns = birth;
  entry.generation = generation;
  entry.reason = VerdictOf(generation);
  entry.owner = 1 + number % (kOwners - 1);
  return entry;
}

// Reads like the agent: word by word, while others write.
sl_flow Copy(const sl_flow& from) {
  sl_flow to;
  const auto* p = reinterpret_cast<const sl_any_word*>(&from);
  auto* q = reinterpret_cast<sl_any_word*>(&to);
  for (std::size_t i = 0; i < sizeof(to) / 8; ++i) q[i] = __atomic_load_n(&p[i], __ATOMIC_ACQUIRE);
  return to;
}

bool IsWhole(const sl_flow& flow) {
  __u32 number, again;
  std::memcpy(&number, flow.key.lo.bytes, sizeof(number));
  std::memcpy(&again, flow.key.hi.bytes + 8, sizeof(again));
  const sl_flow_entry& entry = flow.entry;
  const auto birth = static_cast<__u32>(entry.created_ns);
  return number == again && entry.initiator.identity == number && entry.responder.identity == number &&
         entry.forward_packets == entry.created_ns && entry.initiator.workload == birth &&
         entry.responder.workload == birth && entry.awaited[0] == birth && entry.owner == 1 + number % (kOwners - 1);
}

class Worker {
 public:
  explicit Worker(unsigned seed) : random_(seed) {}

  void Run() {
    for (int i = 0; i < kSteps; ++i) {
      const auto number = static_cast<__u32>(random_() % kFlows);
      const auto what = random_() % 100;
      if (what < 55)
        Packet(number);
      else if (what < 65)
        Reopen(number);
      else if (what < 75)
        Settle(number);
      else if (what < 80)
        Deny(number);
      else if (what < 95)
        Expire(static_cast<__u32>(random_() % kSlots));
      else if (what < 96)
        ++g_generation;
      else
        Look(static_cast<__u32>(random_() % kSlots));
    }
  }

  int mixed = 0, wrong = 0, seen = 0, put = 0, recorded = 0, expired = 0, forgotten = 0;

 private:
  void Put(__u32 number, __u32 state) {
    const sl_flow_key key = KeyOf(number);
    sl_flow_entry entry = EntryOf(number, g_generation);
    put += sl_flow_put(&key, &entry, state);
  }

  // Reads the generation, then the verdict, then checks that the entry is still valid.
  void Packet(__u32 number) {
    const sl_flow_key key = KeyOf(number);
    volatile __u32 way;
    sl_sighting sight;
    const int found = sl_flow_see(&key, &way, &sight);
    if (found < 0) return Slowly(key, number);
    if (found == 0) return Put(number, SL_FLOW_PENDING);
    if ((sl_seen_state(&sight) & SL_FLOW_PENDING) == 0) return;
    sl_flow_entry* const entry = &sight.flow->entry;
    const __u64 generation = SL_READ_ONCE(entry->generation);
    sl_memory_barrier(&entry->flags);
    const __u8 reason = SL_READ_ONCE(entry->reason);
    const __u32 identity = SL_READ_ONCE(entry->initiator.identity);
    sl_memory_barrier(&entry->flags);
    const __u64 later = SL_READ_ONCE(entry->generation);
    if (!sl_still_stands(&sight)) return;
    ++seen;
    if (identity != number) ++wrong;
    // A newer verdict may be about to be written with the older generation; then the entry is held, or the generation
    // is newer by now.
    if (generation == later && (sight.tag_seen & SL_FLOW_HELD) == 0 && reason != VerdictOf(generation)) ++wrong;
    if (generation < g_generation) Slowly(key, number);
  }

  // By the search, like the full path; replaces an older verdict.
  void Slowly(const sl_flow_key& key, __u32 number) {
    const __u32 slot = sl_flow_search(&key, SL_FLOW_ALLOWED);
    if (slot == SL_NO_SLOT) return Put(number, SL_FLOW_PENDING);
    sl_flow_entry* const entry = sl_entry_at(slot);
    const __u64 generation = g_generation;
    const __u32 held = sl_flow_hold(&key, slot);
    if (held == 0) return;
    if (SL_READ_ONCE(entry->initiator.identity) != number) ++wrong;
    if (SL_READ_ONCE(entry->generation) <= generation) {
      SL_WRITE_ONCE(entry->reason, VerdictOf(generation));
      sl_memory_barrier(&entry->flags);
      SL_WRITE_ONCE(entry->generation, generation);
      ++recorded;
    }
    sl_flow_release(slot, held);
  }

  void Reopen(__u32 number) {
    const sl_flow_key key = KeyOf(number);
    const __u32 slot = sl_flow_search(&key, SL_FLOW_ALLOWED);
    if (slot == SL_NO_SLOT) return;
    const __u32 incarnation = SL_READ_ONCE(sl_entry_at(slot)->incarnation);
    forgotten += sl_flow_forget_at(&key, slot, SL_FLOW_ALLOWED, incarnation);
    Put(number, SL_FLOW_PENDING);
  }

  void Settle(__u32 number) {
    const sl_flow_key key = KeyOf(number);
    const __u32 slot = sl_flow_search(&key, SL_FLOW_ALLOWED);
    constexpr __u32 kStates[] = {SL_FLOW_ESTABLISHED, SL_FLOW_CLOSING, SL_FLOW_PENDING};
    if (slot != SL_NO_SLOT) sl_flow_settle(&key, slot, kStates[random_() % 3]);
  }

  void Deny(__u32 number) {
    const sl_flow_key key = KeyOf(number);
    sl_flow_forget(&key, SL_FLOW_DENIED);
    Put(number, SL_FLOW_DENIED);
  }

  // Like kernel/datapath/flow_table.cc: a complete flow or none.
  std::optional<sl_flow> Look(__u32 slot) {
    __u32* const tag = sl_tag_at(slot);
    const __u32 before = __atomic_load_n(tag, __ATOMIC_ACQUIRE);
    if ((before & SL_FLOW_STATE_MASK) == SL_FLOW_BUSY) return {};
    const sl_flow first = Copy(g_flows[slot]), flow = Copy(g_flows[slot]);
    const __u32 after = __atomic_load_n(tag, __ATOMIC_ACQUIRE);
    const sl_flow last = Copy(g_flows[slot]);
    if ((after & SL_FLOW_STATE_MASK) == SL_FLOW_BUSY || ((before ^ after) & ~__u32{SL_FLOW_MARKS_MASK}) != 0) return {};
    if (first.entry.incarnation != last.entry.incarnation) return {};
    mixed += !IsWhole(flow);
    return flow;
  }

  void Expire(__u32 slot) {
    const auto flow = Look(slot);
    if (!flow) return;
    __u32* const tag = sl_tag_at(slot);
    __u32 was = __atomic_load_n(tag, __ATOMIC_ACQUIRE);
    if ((was & SL_FLOW_HELD) || (was & SL_FLOW_STATE_MASK) == SL_FLOW_BUSY) return;
    if (__sync_val_compare_and_swap(tag, was, was | SL_FLOW_HELD) != was) return;
    const sl_flow now = Copy(g_flows[slot]);
    const bool is_it = now.entry.incarnation == flow->entry.incarnation;
    if (is_it) sl_count_out(&g_flows[slot], sl_bucket_of_slot(slot), was & SL_FLOW_STATE_MASK);
    sl_publish_tag(tag, is_it ? 0 : was);
    expired += is_it;
  }

  std::mt19937 random_;
};

void Clear() {
  std::memset(g_buckets, 0, sizeof(g_buckets));
  std::memset(g_flows, 0, sizeof(g_flows));
  std::memset(g_shares, 0, sizeof(g_shares));
  std::mt19937_64 random(1);
  for (__u64& seed : g_seeds) seed = random();
}

__u32 PutPending(const sl_flow_key& key, __u32 number) {
  sl_flow_entry entry = EntryOf(number, 2);
  EXPECT_TRUE(sl_flow_put(&key, &entry, SL_FLOW_PENDING));
  return sl_flow_search(&key, SL_FLOW_PENDING);
}

// A CPU finds an expired flow; another one removes it and puts it into another slot, by chance with the same
// incarnation.
TEST(FlowTable, OnlyTheFlowThatWasFoundIsForgotten) {
  Clear();
  const sl_flow_key key = KeyOf(1);
  const __u32 slot = PutPending(key, 1), incarnation = g_flows[slot].entry.incarnation;
  ASSERT_TRUE(sl_flow_forget(&key, SL_FLOW_PENDING));
  *sl_tag_at(slot) = sl_flow_tag_of(sl_hash_of(&key));  // another CPU is writing there
  const __u32 other = PutPending(key, 1);
  ASSERT_NE(other, slot);
  g_flows[other].entry.incarnation = incarnation;
  EXPECT_FALSE(sl_flow_forget_at(&key, slot, SL_FLOW_ALLOWED, incarnation));
  EXPECT_EQ(sl_flow_search(&key, SL_FLOW_PENDING), other);
  EXPECT_FALSE(sl_flow_forget_at(&key, other, SL_FLOW_ALLOWED, incarnation + 1));
  EXPECT_TRUE(sl_flow_forget_at(&key, other, SL_FLOW_ALLOWED, incarnation));
  EXPECT_EQ(sl_flow_search(&key, SL_FLOW_PENDING), SL_NO_SLOT);
}

TEST(FlowTable, AStateIsThatFlowsOwn) {
  Clear();
  const sl_flow_key key = KeyOf(1), stranger = KeyOf(2);
  const __u32 slot = PutPending(key, 1);
  EXPECT_TRUE(sl_flow_settle(&stranger, slot, SL_FLOW_ESTABLISHED));
  EXPECT_EQ(*sl_tag_at(slot) & SL_FLOW_MARKS_MASK, __u32{SL_FLOW_PENDING}) << "evicted: another one's slot by now";
  for (const __u32 state : {SL_FLOW_ESTABLISHED, SL_FLOW_CLOSING, SL_FLOW_PENDING}) {
    EXPECT_TRUE(sl_flow_settle(&key, slot, state));
    EXPECT_EQ(*sl_tag_at(slot) & SL_FLOW_MARKS_MASK, state);
  }
}

TEST(FlowTable, ACountBelowZeroIsZero) {
  Clear();
  g_shares[1] = -3UL;
  EXPECT_EQ(sl_flows_of(1), 0u);
  EXPECT_FALSE(sl_is_over_share(1));
  g_shares[0] = -3UL;
  EXPECT_FALSE(sl_is_over_share(1)) << "of all";
  g_shares[1] = g_shares[0] = kSlots;
  EXPECT_TRUE(sl_is_over_share(1));
}

TEST(FlowTableRace, EightThreadsAtFourBuckets) {
  Clear();
  std::vector<Worker> workers;
  for (unsigned i = 0; i < kThreads; ++i) workers.emplace_back(i + 1);
  std::vector<std::thread> threads;
  for (Worker& worker : workers) threads.emplace_back([&worker] { worker.Run(); });
  for (std::thread& thread : threads) thread.join();
  Worker sum(0);
  for (const Worker& worker : workers) {
    sum.mixed += worker.mixed;
    sum.wrong += worker.wrong;
    sum.seen += worker.seen;
    sum.put += worker.put;
    sum.recorded += worker.recorded;
    sum.expired += worker.expired;
    sum.forgotten += worker.forgotten;
  }
  EXPECT_EQ(sum.mixed, 0);
  EXPECT_EQ(sum.wrong, 0);
  EXPECT_GT(sum.seen, 1000);
  EXPECT_GT(sum.put, 1000);
  EXPECT_GT(sum.recorded, 100);
  EXPECT_GT(sum.expired, 1000);
  EXPECT_GT(sum.forgotten, 100);
  // Nothing is lost: no slot, no overflow entry, no share.
  std::map<__u32, __u32> overflow, shares;
  for (__u32 slot = 0; slot < kSlots; ++slot) {
    const __u32 tag = *sl_tag_at(slot);
    EXPECT_FALSE(tag & SL_FLOW_HELD) << slot;
    if (tag == 0) continue;
    ASSERT_NE(tag & SL_FLOW_STATE_MASK, __u32{SL_FLOW_BUSY}) << slot;
    EXPECT_TRUE(IsWhole(g_flows[slot])) << slot;
    const __u32 primary = sl_primary_bucket_of(sl_hash_of(&g_flows[slot].key));
    overflow[primary] += primary != slot / SL_FLOW_WAYS;
    if ((tag & SL_FLOW_STATE_MASK) == SL_FLOW_DENIED) continue;
    ++shares[0];
    ++shares[g_flows[slot].entry.owner];
  }
  for (__u32 bucket = 0; bucket < kBuckets; ++bucket) EXPECT_EQ(g_buckets[bucket].overflow, overflow[bucket]) << bucket;
  for (__u32 owner = 0; owner < kOwners; ++owner) EXPECT_EQ(g_shares[owner], shares[owner]) << owner;
}

}  // namespace
