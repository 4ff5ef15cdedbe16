// The distribution of flows in the flow table: as even as random numbers, whatever the flows have in common.
#include "bpf/lib/flow_hash.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <iostream>
#include <random>
#include <vector>

#include "policy/resource/address.h"

namespace sluice {
namespace {

constexpr std::uint32_t kBuckets = 4096, kFlows = kBuckets * 8;

sl_flow_key Key(const std::string& lo, std::uint16_t lo_port, const std::string& hi, std::uint16_t hi_port) {
  sl_flow_key key{};
  key.lo = policy::Address::Parse(lo).value().abi();
  key.hi = policy::Address::Parse(hi).value().abi();
  key.lo_port = __builtin_bswap16(lo_port);
  key.hi_port = __builtin_bswap16(hi_port);
  key.protocol = 6;
  return key;
}

sl_flow_key WithLastBytes(sl_flow_key key, std::uint32_t number) {
  key.lo.bytes[15] = static_cast<__u8>(number);
  key.lo.bytes[14] = static_cast<__u8>(number >> 8);
  return key;
}

class FlowHash : public ::testing::Test {
 protected:
  FlowHash() { DrawSeeds(); }
  void DrawSeeds() {
    for (__u64& seed : seeds_) seed = random_();
  }

  // Flows beyond their bucket's slots, as a fraction of all, when flows of this kind half fill the table.
  double Overflow(const std::function<sl_flow_key(std::uint32_t)>& make) {
    std::vector<int> load(kBuckets);
    for (std::uint32_t i = 0; i < kFlows; ++i) {
      const std::uint32_t bucket = sl_flow_bucket_of(Hash(make(i)), kBuckets);
      EXPECT_LT(bucket, kBuckets);
      ++load[bucket];
    }
    int over = 0;
    for (const int flows : load) over += std::max(0, flows - SL_FLOW_WAYS);
    return static_cast<double>(over) / kFlows;
  }

  std::uint32_t Hash(const sl_flow_key& key) const { return sl_flow_hash(seeds_, &key); }

  std::mt19937_64 random_{7};
  __u64 seeds_[SL_HASH_SEEDS];
};

// Eight flows in a bucket on average, and 15 slots: by the Poisson distribution 0.1 % find no slot.
TEST_F(FlowHash, FlowsThatDifferInAnythingSpreadEvenly) {
  const std::vector<std::function<sl_flow_key(std::uint32_t)>> kinds = {
      [](std::uint32_t i) { return Key("10.0.0.1", static_cast<std::uint16_t>(i), "10.0.0.2", 443); },
      [](std::uint32_t i) { return Key("10.0.0.1", 443, "10.0.0.2", static_cast<std::uint16_t>(i)); },
      [](std::uint32_t i) { return WithLastBytes(Key("10.1.0.0", 40000, "10.2.0.1", 53), i); },
      [](std::uint32_t i) { return WithLastBytes(Key("fd00::", 40000, "fd01::1", 53), i); },
      [](std::uint32_t i) {
        const auto port = static_cast<std::uint16_t>(i % 256);
        return WithLastBytes(Key("10.1.0.0", port, "10.2.0.1", port), i / 256);
      },
  };
  for (int draw = 0; draw < 10; ++draw) {
    DrawSeeds();
    for (std::size_t i = 0; i < kinds.size(); ++i) EXPECT_LT(Overflow(kinds[i]), 0.004) << "kind " << i;
  }
}

TEST_F(FlowHash, AnotherSeedIsAnotherTable) {
  const sl_flow_key key = Key("10.0.0.1", 40000, "10.0.0.2", 443);
  const std::uint32_t before = Hash(key);
  for (__u64& seed : seeds_) {
    seed += 1ULL << 40;
    EXPECT_NE(Hash(key), before);
  }
}

TEST_F(FlowHash, TagsAreNeverThoseOfAFreePlaceAndKeepTheStateApart) {
  for (int i = 0; i < 100000; ++i) {
    const auto hash = static_cast<std::uint32_t>(random_());
    EXPECT_NE(sl_flow_tag_of(hash), 0u);
    EXPECT_EQ(sl_flow_tag_of(hash) & SL_FLOW_STATE_MASK, static_cast<unsigned>(SL_FLOW_BUSY));
    EXPECT_LT(sl_flow_way_of(hash), static_cast<unsigned>(SL_FLOW_WAYS));
  }
  EXPECT_NE(sl_flow_tag_of(0), 0u);
}

// When the tags of two flows in a bucket differ, their keys need not be compared.
TEST_F(FlowHash, TagsTellFlowsOfABucketApart) {
  std::vector<std::vector<std::uint32_t>> tags(kBuckets);
  for (std::uint32_t i = 0; i < kFlows; ++i) {
    const sl_flow_key key = Key("10.0.0.1", static_cast<std::uint16_t>(i), "10.0.0.2", 443);
    const std::uint32_t hash = Hash(key);
    tags[sl_flow_bucket_of(hash, kBuckets)].push_back(sl_flow_tag_of(hash));
  }
  int same = 0;
  for (auto& bucket : tags) {
    std::sort(bucket.begin(), bucket.end());
    for (std::size_t i = 1; i < bucket.size(); ++i) same += bucket[i] == bucket[i - 1];
  }
  EXPECT_LE(same, 2);
}

// The packet path's choice of slots, with numbers only (sl_flow_put); results are fractions of all flows.
struct Filled {
  double overflow = 0;
  double without_room = 0;
};

// Checks the numbers in docs/architecture.md for a filling table.
TEST_F(FlowHash, ATableTakesItsFlowsUntilItIsSixTenthsFull) {
  constexpr std::uint32_t kTable = 26215;  // the agent's buckets
  const auto fill = [this](double part) {
    std::vector<int> load(kTable);
    const auto flows = static_cast<std::uint32_t>(kTable * SL_FLOW_WAYS * part);
    int overflow = 0, without_room = 0;
    for (std::uint32_t i = 0; i < flows; ++i) {
      const std::uint32_t hash = Hash(Key("10.0.0.1", static_cast<std::uint16_t>(i), "10.0.0.2",  //
                                          static_cast<std::uint16_t>(i >> 16)));
      int& home = load[sl_flow_bucket_of(hash, kTable)];
      int& other = load[sl_flow_other_bucket_of(hash, kTable)];
      if (home < SL_FLOW_WAYS - 1) {
        ++home;
      } else if (other < SL_FLOW_WAYS - 1) {
        ++other;
        ++overflow;
      } else if (home < SL_FLOW_WAYS) {
        ++home;
      } else {
        ++without_room;
      }
    }
    std::cout << part << " full: " << overflow << " overflow and " << without_room << " without room, of " << flows
              << "\n";
    return Filled{static_cast<double>(overflow) / flows, static_cast<double>(without_room) / flows};
  };
  EXPECT_LT(fill(0.5).overflow, 1.0 / 300);
  const Filled six = fill(0.6), seven = fill(0.7), all = fill(1);
  EXPECT_LT(six.overflow, 1.0 / 80);
  EXPECT_LT(six.without_room, 5e-5);
  EXPECT_LT(seven.without_room, 6e-4);
  EXPECT_LT(all.without_room, 0.06);
}

}  // namespace
}  // namespace sluice
