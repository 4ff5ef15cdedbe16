// datapath::EpochTable over its own map: all kinds of edits, look-ups afterwards, and the capacity of an epoch.
#include "kernel/datapath/epoch_table.h"

#include <bpf/bpf.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "base/fd.h"
#include "tests/support/environment.h"

namespace sluice::test {
namespace {

// Keys and values of a table by number.
struct Addresses : datapath::AddressEntries {
  using Table = datapath::AddressTable;
  static constexpr std::uint32_t kDefaultEntries = 131072;
  static Key KeyAt(std::uint32_t number) {
    sl_addr addr{};
    addr.bytes[10] = addr.bytes[11] = 0xff;
    addr.bytes[12] = 10;
    for (int i = 0; i < 3; ++i) addr.bytes[15 - i] = static_cast<__u8>(number >> 8 * i);
    return Key(addr);
  }
  static Value ValueAt(std::uint32_t number) { return {.identity = 1 + number % 9, .workload = number}; }
  static std::uint32_t NumberOf(const Value& value) { return value.workload; }
};

struct PeerTable : datapath::PeerEntries {
  using Table = datapath::PeerTable;
  static constexpr std::uint32_t kDefaultEntries = 1048576;
  static Key KeyAt(std::uint32_t number) { return {number / 1000, number % 1000}; }
  static Value ValueAt(std::uint32_t number) { return {number, 1 + number % 9}; }
  static std::uint32_t NumberOf(const Value& value) { return value.first; }
};

template <typename Entries>
class EpochTableTest : public ::testing::Test {
 protected:
  using Table = typename Entries::Table;
  using Key = typename Entries::Key;
  using Edits = policy::TableEdits<Key, typename Entries::Value>;
  using Content = std::map<Key, std::uint32_t>;  // by key, the value's number

  void SetUp() override { SL_REQUIRE_BPF(); }

  Table Make(std::uint32_t entries) {
    LIBBPF_OPTS(bpf_map_create_opts, mapped, .map_flags = BPF_F_MMAPABLE);
    map_ = Fd(bpf_map_create(BPF_MAP_TYPE_ARRAY, Entries::kMap, sizeof(__u32), sizeof(typename Entries::Entry),
                             SL_EPOCHS * SL_EPOCH_SLOTS(entries), &mapped));
    EXPECT_TRUE(map_.valid());
    constexpr __u64 kSeeds[SL_HASH_SEEDS] = {0xa0761d6478bd642f, 0xe7037ed1a0b428db, 0x8ebc6af09c88c6e3,
                                             0x589965cc75374cc3};
    return Table(map_.get(), entries, kSeeds);
  }

  static Content Read(const Table& table, std::uint32_t epoch) {
    Content content;
    const auto add = [&](const Key& key, const auto& value) {
      EXPECT_TRUE(content.emplace(key, Entries::NumberOf(value)).second);
    };
    EXPECT_TRUE(table.ForEach(epoch, add).ok());
    return content;
  }

  static Edits Puts(std::uint32_t first, std::uint32_t count) {
    Edits edits;
    for (std::uint32_t i = first; i < first + count; ++i)
      edits.puts.push_back({Entries::KeyAt(i), Entries::ValueAt(i)});
    return edits;
  }

  Fd map_;
};

using Tables = ::testing::Types<Addresses, PeerTable>;
TYPED_TEST_SUITE(EpochTableTest, Tables);

TYPED_TEST(EpochTableTest, HoldsWhatTheEditsSay) {
  constexpr std::uint32_t kEntries = 3000;
  const auto table = this->Make(kEntries);
  typename TestFixture::Content expected[SL_EPOCHS];
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    const std::uint32_t epoch = random() % SL_EPOCHS;
    auto& content = expected[epoch];
    // Few and many edits take different code paths.
    const std::uint32_t size = random() % 10 == 0 ? 1000 : random() % 20;
    typename TestFixture::Edits edits;
    for (auto it = content.begin(); it != content.end() && edits.deletes.size() < size;) {
      const auto next = std::next(it);
      if (random() % 3 == 0) {
        edits.deletes.push_back(it->first);
        content.erase(it);
      }
      it = next;
    }
    for (std::uint32_t i = 0; i < size && content.size() < kEntries; ++i) {
      const auto key = TypeParam::KeyAt(random() % 10000);
      const auto number = static_cast<std::uint32_t>(random());
      content[key] = number;
      edits.puts.emplace_back(key, TypeParam::ValueAt(number));
    }
    std::erase_if(edits.deletes, [&](const auto& key) { return content.contains(key); });
    ASSERT_TRUE(table.Edit(epoch, edits).ok());
    ASSERT_EQ(this->Read(table, 0), expected[0]) << round;
    ASSERT_EQ(this->Read(table, 1), expected[1]) << round;
  }
  EXPECT_GT(expected[0].size(), 100U);
  // The last values must be found and deleted, so that nothing is left.
  typename TestFixture::Edits all;
  for (const auto& [key, value] : expected[0]) all.deletes.push_back(key);
  std::shuffle(all.deletes.begin(), all.deletes.end(), random);
  ASSERT_TRUE(table.Edit(0, all).ok());
  EXPECT_TRUE(this->Read(table, 0).empty());
  EXPECT_EQ(this->Read(table, 1), expected[1]);
}

TYPED_TEST(EpochTableTest, AnEpochCanBeFull) {
  constexpr std::uint32_t kEntries = TypeParam::kDefaultEntries;
  const auto table = this->Make(kEntries);
  EXPECT_EQ(table.Edit(1, this->Puts(0, kEntries)).ToString(), "OK");
  std::uint32_t found = 0;
  EXPECT_TRUE(table.ForEach(1, [&](const auto&, const auto&) { ++found; }).ok());
  EXPECT_EQ(found, kEntries);
}

TYPED_TEST(EpochTableTest, NoPlaceIsAnError) {
  const auto table = this->Make(1);  // one bucket
  EXPECT_TRUE(table.Edit(0, this->Puts(0, SL_MAX_PROBES)).ok());
  const auto one_more = this->Puts(5000, 1);
  const Status full = table.Edit(0, one_more);
  EXPECT_TRUE(absl::IsResourceExhausted(full)) << full;
  // The last entry moves into the gap and is still found.
  EXPECT_TRUE(table.Edit(0, {.puts = {}, .deletes = {TypeParam::KeyAt(5), TypeParam::KeyAt(SL_MAX_PROBES - 1)}}).ok());
  EXPECT_EQ(this->Read(table, 0).size(), SL_MAX_PROBES - 2U);
  EXPECT_TRUE(table.Edit(0, one_more).ok());
}

}  // namespace
}  // namespace sluice::test
