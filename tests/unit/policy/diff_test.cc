#include "policy/network/diff.h"

#include <gtest/gtest.h>

#include "policy/network/compiler.h"
#include "tests/support/random_policy.h"
#include "tests/unit/policy/world.h"

namespace sluice::policy {
namespace {

template <typename K, typename V>
void Play(const TableEdits<K, V>& edits, FlatMap<K, V>& table) {
  std::map<K, V> played(table.begin(), table.end());
  for (const K& key : edits.deletes) ASSERT_EQ(played.erase(key), 1U) << "only what is there is deleted";
  for (const auto& [key, value] : edits.puts) played.insert_or_assign(key, value);
  table = FlatMap<K, V>({played.begin(), played.end()});
}

// Tables hold plain structs without operators; they are compared as bytes, like in the kernel.
template <typename K, typename V>
bool Same(const FlatMap<K, V>& a, const FlatMap<K, V>& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](const auto& x, const auto& y) {
           return x.first == y.first && std::memcmp(&x.second, &y.second, sizeof(V)) == 0;
         });
}

bool Same(const Tables& a, const Tables& b) {
  return Same(a.addresses, b.addresses) && Same(a.prefixes, b.prefixes) && Same(a.peers, b.peers) &&
         Same(a.ports, b.ports) && Same(a.patterns, b.patterns) && Same(a.process_verdicts, b.process_verdicts);
}

TEST(Diff, OfEqualTablesIsEmpty) {
  const World world;
  const Plan plan = Diff(world.compiled().tables, world.compiled().tables);
  EXPECT_TRUE(plan.empty());
  EXPECT_EQ(plan.size(), 0U);
}

TEST(Diff, FindsNewChangedAndGone) {
  Tables from, to;
  from.ports = {{1, {.start = 1}}, {2, {.start = 2}}, {3, {.start = 3}}};
  to.ports = {{0, {.start = 0}}, {2, {.start = 2}}, {3, {.start = 3, .flags = SL_PORT_AUDIT}}, {9, {.start = 9}}};
  const Plan plan = Diff(from, to);
  EXPECT_EQ(plan.ports.deletes, std::vector<std::uint32_t>{1});
  ASSERT_EQ(plan.ports.puts.size(), 3U);
  EXPECT_EQ(plan.ports.puts[0].first, 0U);
  EXPECT_EQ(plan.ports.puts[1].first, 3U) << "a flag alone is a change";
  EXPECT_EQ(plan.ports.puts[2].first, 9U);
  EXPECT_EQ(plan.size(), 4U);
  EXPECT_FALSE(plan.empty());
}

TEST(Diff, PlayedOnTheOldTablesGivesTheNew) {
  constexpr std::uint64_t kSeed = 77;
  SCOPED_TRACE(fmt::format("seed {}", kSeed));
  test::RandomPolicy random(kSeed, {.processes = true});
  Tables tables;
  auto snapshot = random.NextSnapshot();
  for (int step = 0; step < 300; step++) {
    SCOPED_TRACE(fmt::format("step {}", step));
    const auto compiled = Compile(snapshot);
    ASSERT_TRUE(compiled.ok()) << compiled.status();
    const Plan plan = Diff(tables, compiled->tables);
    Play(plan.addresses, tables.addresses);
    Play(plan.prefixes, tables.prefixes);
    Play(plan.peers, tables.peers);
    Play(plan.ports, tables.ports);
    Play(plan.patterns, tables.patterns);
    Play(plan.process_verdicts, tables.process_verdicts);
    ASSERT_TRUE(Same(tables, compiled->tables));
    snapshot = step % 50 == 49 ? random.NextSnapshot() : random.NextChange();
  }
}

TEST(Diff, ANewReplicaTouchesItsAddressOnly) {
  World world;
  world.Apply(
      PolicyYaml("shop", "p", "podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]"));
  const Tables before = world.compiled().tables;
  world.Apply(
      "{apiVersion: v1, kind: Pod, metadata: {name: r1, namespace: shop, labels: {app: r}}, status: {podIPs: "
      "[{ip: 10.7.0.1}]}}");
  const Tables one = world.compiled().tables;
  world.Apply(
      "{apiVersion: v1, kind: Pod, metadata: {name: r2, namespace: shop, labels: {app: r}}, status: {podIPs: "
      "[{ip: 10.7.0.2}]}}");
  const Plan plan = Diff(one, world.compiled().tables);
  EXPECT_EQ(plan.size(), 1U);
  ASSERT_EQ(plan.addresses.puts.size(), 1U);
  EXPECT_EQ(plan.addresses.puts[0].first.ToString(), "10.7.0.2");
  EXPECT_FALSE(Diff(before, one).empty());
}

TEST(Diff, AnEditedRuleMovesLittle) {
  World world;
  std::string others;
  for (int i = 0; i < 20; i++) {
    others += PolicyYaml("bank", fmt::format("p{}", i),
                         fmt::format("podSelector: {{}}, ingress: [{{ports: [{{port: {}}}]}}]", 1000 + i)) +
              "---\n";
  }
  world.Apply(others + PolicyYaml("shop", "p", "podSelector: {}, ingress: [{ports: [{port: 80}]}]"));
  const Tables before = world.compiled().tables;
  world.Apply(PolicyYaml("shop", "p", "podSelector: {}, ingress: [{ports: [{port: 81}]}]"));
  const Plan plan = Diff(before, world.compiled().tables);
  EXPECT_TRUE(plan.addresses.puts.empty()) << "the ruleset keeps its number";
  EXPECT_LE(plan.ports.puts.size() + plan.ports.deletes.size(), 6U) << "one table of three steps goes, one comes";
  EXPECT_LE(plan.peers.puts.size(), 2U * SL_KIND_COUNT);
}

}  // namespace
}  // namespace sluice::policy
