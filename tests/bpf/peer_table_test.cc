// datapath::PeerTable over a map of its own: edits of all kinds, what is found again, and how full a slot may be.
#include "ctrl/datapath/peer_table.h"

#include <bpf/bpf.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "ctrl/base/fd.h"
#include "tests/support/environment.h"

namespace sluice::test {
namespace {

using Key = policy::Tables::PeerKey;
using Edits = policy::TableEdits<Key, sl_peer_value>;
using Content = std::map<Key, std::pair<std::uint32_t, std::uint32_t>>;

constexpr std::uint32_t kSeed = 7;

class PeerTableTest : public ::testing::Test {
 protected:
  void SetUp() override { SL_REQUIRE_BPF(); }

  datapath::PeerTable Make(std::uint32_t entries) {
    LIBBPF_OPTS(bpf_map_create_opts, mapped, .map_flags = BPF_F_MMAPABLE);
    map_ = Fd(bpf_map_create(BPF_MAP_TYPE_ARRAY, "peers", sizeof(__u32), sizeof(sl_peer_entry),
                             SL_SLOTS * SL_PEER_PLACES(entries), &mapped));
    EXPECT_TRUE(map_.valid());
    return {map_.get(), entries, kSeed};
  }
  static Content Read(const datapath::PeerTable& table, std::uint32_t slot) {
    Content content;
    EXPECT_TRUE(table
                    .ForEach(slot,
                             [&](const Key& key, const sl_peer_value& value) {
                               EXPECT_TRUE(content.emplace(key, std::pair(value.first, value.count)).second);
                             })
                    .ok());
    return content;
  }

  Fd map_;
};

TEST_F(PeerTableTest, HoldsWhatTheEditsSay) {
  constexpr std::uint32_t kEntries = 3000;
  const datapath::PeerTable table = Make(kEntries);
  Content expected[SL_SLOTS];
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    const std::uint32_t slot = random() % SL_SLOTS;
    Content& content = expected[slot];
    // Few edits and many: they are made in different ways.
    const std::uint32_t size = random() % 10 == 0 ? 1000 : random() % 20;
    Edits edits;
    for (auto it = content.begin(); it != content.end() && edits.deletes.size() < size;) {
      const auto next = std::next(it);
      if (random() % 3 == 0) {
        edits.deletes.push_back(it->first);
        content.erase(it);
      }
      it = next;
    }
    for (std::uint32_t i = 0; i < size && content.size() < kEntries; ++i) {
      const Key key{static_cast<std::uint32_t>(random() % 5), static_cast<std::uint32_t>(random() % 2000)};
      const sl_peer_value value{static_cast<__u32>(random()), 1 + static_cast<__u32>(random() % 9)};
      content[key] = {value.first, value.count};
      edits.puts.emplace_back(key, value);
    }
    std::erase_if(edits.deletes, [&](const Key& key) { return content.contains(key); });
    ASSERT_TRUE(table.Edit(slot, edits).ok());
    ASSERT_EQ(Read(table, 0), expected[0]) << round;
    ASSERT_EQ(Read(table, 1), expected[1]) << round;
  }
  EXPECT_GT(expected[0].size(), 100U);
  // What was put at last is found, so that it can be deleted: nothing is left.
  Edits all;
  for (const auto& [key, value] : expected[0]) all.deletes.push_back(key);
  std::shuffle(all.deletes.begin(), all.deletes.end(), random);
  ASSERT_TRUE(table.Edit(0, all).ok());
  EXPECT_TRUE(Read(table, 0).empty());
  EXPECT_EQ(Read(table, 1), expected[1]);
}

TEST_F(PeerTableTest, ASlotCanBeFull) {
  constexpr std::uint32_t kEntries = 1048576;  // the agent's default
  const datapath::PeerTable table = Make(kEntries);
  Edits edits;
  for (std::uint32_t i = 0; i < kEntries; ++i) edits.puts.push_back({{i / 1000, i % 1000}, {i, 1}});
  EXPECT_EQ(table.Edit(1, edits).ToString(), "OK");
  std::uint32_t found = 0;
  EXPECT_TRUE(table.ForEach(1, [&](const Key&, const sl_peer_value&) { ++found; }).ok());
  EXPECT_EQ(found, kEntries);
}

TEST_F(PeerTableTest, NoPlaceIsAnError) {
  const datapath::PeerTable table = Make(1);  // one home
  Edits edits;
  for (std::uint32_t i = 0; i < SL_MAX_PEER_PROBES; ++i) edits.puts.push_back({{1, i}, {i, 1}});
  EXPECT_TRUE(table.Edit(0, edits).ok());
  const Status full = table.Edit(0, {.puts = {{{2, 0}, {0, 1}}}, .deletes = {}});
  EXPECT_TRUE(absl::IsResourceExhausted(full)) << full;
  // The one at the end moves into the gap and is found there.
  EXPECT_TRUE(table.Edit(0, {.puts = {}, .deletes = {{1, 5}, {1, SL_MAX_PEER_PROBES - 1}}}).ok());
  EXPECT_EQ(Read(table, 0).size(), SL_MAX_PEER_PROBES - 2U);
  EXPECT_TRUE(table.Edit(0, {.puts = {{{2, 0}, {0, 1}}}, .deletes = {}}).ok());
}

}  // namespace
}  // namespace sluice::test
