// bpf::Map over its own maps: operations with batches, and maps without batches.
#include "kernel/bpf/map.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include "base/fd.h"
#include "tests/support/environment.h"

namespace sluice::test {
namespace {

constexpr std::uint32_t kMany = 40000;  // more than a batch

class Batches : public ::testing::TestWithParam<bpf_map_type> {
 protected:
  struct Key {
    std::uint32_t bits;  // of a prefix; in other maps part of the number
    std::uint32_t number;
  };
  void SetUp() override { SL_REQUIRE_BPF(); }

  bpf::Map<Key, std::uint32_t> Make(std::uint32_t capacity) {
    LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_NO_PREALLOC);
    fd_ = Fd(bpf_map_create(GetParam(), "batches", sizeof(Key), sizeof(std::uint32_t), capacity, &options));
    auto map = bpf::Map<Key, std::uint32_t>::Bind(fd_.get(), "batches");
    EXPECT_TRUE(map.ok()) << map.status();
    return map.ok() ? *map : bpf::Map<Key, std::uint32_t>();
  }
  static std::vector<Key> Keys(std::uint32_t count) {
    std::vector<Key> keys;
    for (std::uint32_t i = 0; i < count; ++i) keys.push_back({32, htonl(i)});
    return keys;
  }
  static std::vector<std::uint32_t> Values(std::uint32_t count) {
    std::vector<std::uint32_t> values;
    for (std::uint32_t i = 0; i < count; ++i) values.push_back(i + 7);
    return values;
  }

  Fd fd_;
};

TEST_P(Batches, AllArePutAndAllAreDeleted) {
  const auto map = Make(kMany);
  ASSERT_TRUE(map.PutAll(Keys(kMany), Values(kMany)).ok());
  std::uint32_t count = 0;
  ASSERT_TRUE(
      map.ForEach([&](const Key& key, const std::uint32_t& value) { count += value == ntohl(key.number) + 7 ? 1 : 0; })
          .ok());
  EXPECT_EQ(count, kMany);
  // Some of the deleted keys exist, some do not.
  ASSERT_TRUE(map.Delete({32, htonl(100)}).ok());
  ASSERT_TRUE(map.DeleteAll(Keys(kMany - 1)).ok());
  EXPECT_FALSE(map.Get({32, htonl(0)})->has_value());
  EXPECT_FALSE(map.Get({32, htonl(kMany - 2)})->has_value());
  EXPECT_TRUE(map.Get({32, htonl(kMany - 1)})->has_value());
}

TEST_P(Batches, AFullMapIsNamed) {
  const auto map = Make(1000);
  const Status full = map.PutAll(Keys(1001), Values(1001));
  EXPECT_TRUE(absl::IsResourceExhausted(full)) << full;
  EXPECT_NE(Message(full).find("map batches is full (1000 entries)"), std::string::npos) << full;
  EXPECT_TRUE(map.Get({32, htonl(999)})->has_value());
}

INSTANTIATE_TEST_SUITE_P(Of, Batches, ::testing::Values(BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_LPM_TRIE));

}  // namespace
}  // namespace sluice::test
