// A compiled policy at its places: every number in it points to where its things went.
#include "kernel/hooks/table_image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::hooks {
namespace {

using policy::tracing::CompiledHook;
using policy::tracing::CompiledPolicy;
using testing::ElementsAre;

sl_hook_test TestOf(sl_hook_test_kind kind, std::uint64_t first, std::uint64_t last = 0) {
  sl_hook_test test{};
  test.kind = static_cast<__u8>(kind);
  test.first = first;
  test.last = last;
  return test;
}

CompiledHook Hook(std::vector<sl_hook_test> tests, std::vector<std::uint64_t> words,
                  std::vector<std::vector<std::uint64_t>> sets, std::size_t selectors) {
  CompiledHook hook;
  hook.hook.test_count = static_cast<__u16>(tests.size());
  hook.hook.arguments[0].step_count = 1;
  hook.hook.arguments[0].steps = 1;
  hook.hook.arguments[1].steps = 1;  // without steps
  hook.tests = std::move(tests);
  hook.words = std::move(words);
  hook.sets = std::move(sets);
  hook.selectors.resize(selectors);
  return hook;
}

TEST(TableImage, NumbersPointToWhereThingsWent) {
  CompiledPolicy policy;
  policy.scopes.resize(2);
  policy.hooks.push_back(
      Hook({TestOf(SL_HOOK_TEST_EQUAL, 1, 5), TestOf(SL_HOOK_TEST_IN_SET, 0)}, {11, 12}, {{1, 2}}, 1));
  policy.hooks.push_back(Hook({TestOf(SL_HOOK_TEST_RANGE, 1, 2), TestOf(SL_HOOK_TEST_POSTFIX, 0, 3),
                               TestOf(SL_HOOK_TEST_IN_SET, 1), TestOf(SL_HOOK_TEST_SCOPE, 1)},
                              {13, 14, 15}, {{3}, {4}}, 2));
  const TablePlaces places{.policy = 9,
                           .life = 77,
                           .hooks = {100, 2},
                           .selectors = {200, 3},
                           .tests = {300, 6},
                           .words = {400, 5},
                           .first_set = 500,
                           .scopes = {30, 31}};
  const TableImage image = MakeImage(policy, places);
  ASSERT_EQ(image.hooks.size(), 2U);
  EXPECT_EQ(image.hooks[0].policy, 9U);
  EXPECT_EQ(image.hooks[0].scope, 30U);
  EXPECT_EQ(image.hooks[1].life, 77U);
  EXPECT_EQ(image.hooks[0].selectors, 200U);
  EXPECT_EQ(image.hooks[1].selectors, 201U);
  EXPECT_EQ(image.hooks[0].tests, 300U);
  EXPECT_EQ(image.hooks[1].tests, 302U);
  EXPECT_EQ(image.hooks[0].arguments[0].steps, 401U);
  EXPECT_EQ(image.hooks[1].arguments[0].steps, 403U);
  EXPECT_EQ(image.hooks[1].arguments[1].steps, 1U) << "it has none";
  std::vector<std::uint64_t> firsts;
  for (const sl_hook_test& test : image.tests) firsts.push_back(test.first);
  EXPECT_THAT(firsts, ElementsAre(401, 500, 1, 402, 502, 31));
  EXPECT_THAT(image.words, ElementsAre(11, 12, 13, 14, 15));
  std::vector<std::pair<std::uint32_t, std::uint64_t>> sets;
  for (const sl_hook_set_key& key : image.sets) sets.emplace_back(key.set, key.number);
  EXPECT_THAT(sets, ElementsAre(std::pair{500U, 1U}, std::pair{500U, 2U}, std::pair{501U, 3U}, std::pair{502U, 4U}));
  EXPECT_EQ(image.selectors.size(), 3U);

  const TableSizes sizes = SizesOf(policy);
  EXPECT_EQ(sizes.hooks, 2U);
  EXPECT_EQ(sizes.selectors, 3U);
  EXPECT_EQ(sizes.tests, 6U);
  EXPECT_EQ(sizes.words, 5U);
  EXPECT_EQ(sizes.sets, 3U);
  EXPECT_EQ(sizes.set_entries, 4U);
  EXPECT_GT(BytesOf(sizes), 2 * sizeof(sl_hook) + 6 * sizeof(sl_hook_test));
}

}  // namespace
}  // namespace sluice::hooks
