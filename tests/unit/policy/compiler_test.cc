// The structure of the compiled tables; differential_test.cc checks their answers.
#include "policy/network/compiler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "policy/network/port_table.h"
#include "policy/network/stable_id.h"
#include "tests/support/random_policy.h"
#include "tests/unit/policy/world.h"

namespace sluice::policy {
namespace {

const sl_address_value& AddressEntry(const World& world, const std::string& ip) {
  return world.compiled().tables.addresses.at(Address::Parse(ip).value());
}

std::uint32_t KindOf(std::uint32_t identity) { return identity >> SL_IDENTITY_KIND_SHIFT; }

TEST(Compiler, EveryKnownAddressHasAnEntry) {
  const World world;
  const auto& addresses = world.compiled().tables.addresses;
  EXPECT_EQ(addresses.size(), 12U) << "five pods and the node, two families each";
  const sl_address_value& local = AddressEntry(world, "fd00::2");
  EXPECT_NE(local.ifindex, 0U);
  EXPECT_NE(local.endpoint, 0U);
  EXPECT_EQ(local.workload, world.snapshot().FindByName({"shop", "db"})->workload_id);
  EXPECT_EQ(local.ingress_ruleset, static_cast<std::uint32_t>(SL_RULESET_NONE));
  const sl_address_value& far = AddressEntry(world, "10.0.9.9");
  EXPECT_EQ(far.ifindex, 0U);
  EXPECT_EQ(far.endpoint, 0U);
  EXPECT_NE(far.workload, 0U);
  const sl_address_value& node = AddressEntry(world, kNode6);
  EXPECT_EQ(node.workload, 0U);
  EXPECT_EQ(KindOf(node.identity), static_cast<std::uint32_t>(SL_KIND_NODE));
}

TEST(Compiler, EqualPodsShareAnIdentityAndOthersDoNot) {
  World world;
  const auto pod = [](const std::string& name, int ip, const std::string& labels) {
    return fmt::format(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {}, namespace: shop, labels: {{{}}}}}, status: "
        "{{podIPs: [{{ip: 10.7.0.{}}}]}}}}\n---\n",
        name, labels, ip);
  };
  world.Apply(pod("a", 1, "app: r, pod-template-hash: '1'") + pod("b", 2, "app: r, pod-template-hash: '2'") +
              pod("c", 3, "app: s"));
  EXPECT_EQ(AddressEntry(world, "10.7.0.1").identity, AddressEntry(world, "10.7.0.2").identity);
  EXPECT_NE(AddressEntry(world, "10.7.0.1").identity, AddressEntry(world, "10.7.0.3").identity);
  world.Apply(PolicyYaml("shop", "p", "podSelector: {matchExpressions: [{key: pod-template-hash, operator: Exists}]}"));
  EXPECT_NE(AddressEntry(world, "10.7.0.1").identity, AddressEntry(world, "10.7.0.2").identity) << "now it counts";
}

TEST(Compiler, APolicyPrefixTellsPodsApart) {
  World world;
  const std::uint32_t before = AddressEntry(world, "10.0.0.1").identity;
  world.Apply(PolicyYaml("bank", "p", "podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/24}}]}]"));
  EXPECT_NE(AddressEntry(world, "10.0.0.1").identity, before);
  EXPECT_EQ(world.compiled().identities.at(AddressEntry(world, "10.0.0.1").identity).prefix, "10.0.0.0/24");
  EXPECT_EQ(world.compiled().identities.at(AddressEntry(world, kNode4).identity).prefix, "10.0.0.0/24");
  EXPECT_EQ(world.compiled().identities.at(AddressEntry(world, "10.0.1.1").identity).prefix, "");
}

TEST(Compiler, IdentitiesDescribeThemselves) {
  World world;
  world.Apply(PolicyYaml("bank", "p", "podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 203.0.113.0/24}}]}]"));
  const auto text = [&](std::uint32_t id) { return world.compiled().identities.at(id).ToString(); };
  EXPECT_EQ(text(AddressEntry(world, "10.0.0.1").identity), "shop{app=web,tier=front}");
  EXPECT_EQ(text(AddressEntry(world, kNode4).identity), "node");
  EXPECT_EQ(text(world.compiled().tables.prefixes.at(Prefix::Parse("203.0.113.0/24").value()).identity),
            "outside IPv4 in 203.0.113.0/24");
  EXPECT_EQ(text(SL_KIND_WORLD6 << SL_IDENTITY_KIND_SHIFT | SL_IDENTITY_PLAIN), "outside IPv6");
}

void ExpectDecision(const CompiledPolicy& compiled, const sl_port_entry& entry) {
  ASSERT_TRUE(compiled.decisions.contains(entry.decision));
  const Decision& decision = *compiled.decisions.at(entry.decision);
  ASSERT_EQ(entry.verdict == SL_VERDICT_ALLOW, decision.allowed);
  ASSERT_EQ(entry.flags, decision.audit_denied ? SL_PORT_AUDIT : 0);
  // A policy that isolates nothing may make a decision that names nothing.
  ASSERT_TRUE(decision.allowed || !decision.contributions.empty());
}

void ExpectProcessVerdict(const CompiledPolicy& compiled, const sl_process_verdict& process_verdict) {
  ASSERT_GE(process_verdict.count, 1U);
  ASSERT_LE(process_verdict.count, static_cast<std::uint32_t>(SL_MAX_PROCESS_CONDITIONS));
  const std::uint64_t known = (1ULL << compiled.tables.patterns.size()) - 1;
  for (std::uint32_t i = 0; i < SL_MAX_PROCESS_CONDITIONS; i++) {
    const sl_process_condition& condition = process_verdict.conditions[i];
    ASSERT_EQ(i < process_verdict.count, (condition.binaries | condition.ancestors) != 0) << i;
    ASSERT_EQ((condition.binaries | condition.ancestors) & ~known, 0U) << "a pattern that is not there";
  }
  std::set<std::uint32_t> decisions;
  for (std::uint32_t i = 0; i < 1U << process_verdict.count; i++) {
    const sl_port_entry& outcome = compiled.tables.ports.at(process_verdict.outcomes + i);
    ASSERT_EQ(outcome.start, 0U);
    ASSERT_NO_FATAL_FAILURE(ExpectDecision(compiled, outcome));
    decisions.insert(outcome.decision);
  }
  ASSERT_GT(decisions.size(), 1U) << "else it were no process_verdict";
}

TEST(Compiler, TablesKeepTheirPromisesOnRandomWorlds) {
  constexpr std::uint64_t kSeed = 5;
  for (std::uint64_t world = 0; world < 100; world++) {
    SCOPED_TRACE(fmt::format("seed {}", kSeed + world));
    test::RandomPolicy random(kSeed + world, {.policies = 10, .processes = world % 2 == 0});
    const auto compiled = Compile(random.NextSnapshot());
    ASSERT_TRUE(compiled.ok()) << compiled.status();
    const Tables& tables = compiled->tables;
    for (const auto& [address, value] : tables.addresses) {
      ASSERT_TRUE(compiled->identities.contains(value.identity)) << address.ToString();
      for (const std::uint32_t ruleset : {value.egress_ruleset, value.ingress_ruleset}) {
        ASSERT_TRUE(ruleset == SL_RULESET_NONE || compiled->rulesets.contains(ruleset));
      }
    }
    for (const auto& [prefix, value] : tables.prefixes) {
      ASSERT_TRUE(compiled->identities.contains(value.identity)) << prefix.ToString();
      ASSERT_EQ(KindOf(value.identity), static_cast<std::uint32_t>(prefix.is_v4() ? SL_KIND_WORLD4 : SL_KIND_WORLD6));
    }
    for (const auto& [ruleset, info] : compiled->rulesets) {
      ASSERT_GT(info.workloads, 0U);
      ASSERT_FALSE(info.policies.empty());
      for (std::uint32_t kind = 0; kind < SL_KIND_COUNT; kind++) {
        ASSERT_TRUE(tables.peers.contains({ruleset, SL_IDENTITY_ANY_OF_KIND(kind)})) << kind;
      }
    }
    std::map<std::uint32_t, std::uint32_t> spans;
    std::set<std::uint32_t> chosen;
    for (const auto& [key, range] : tables.peers) {
      ASSERT_TRUE(compiled->rulesets.contains(key.ruleset));
      ASSERT_TRUE(key.identity < SL_IDENTITY_FIRST || compiled->identities.contains(key.identity) ||
                  (key.identity & 0x3fffffffU) == SL_IDENTITY_PLAIN);
      ASSERT_GE(range.count, 1U);
      spans.emplace(range.first, range.count);
      for (std::uint32_t i = 0; i < range.count; i++) {
        const sl_port_entry& entry = tables.ports.at(range.first + i);
        ASSERT_EQ(i == 0, entry.start == 0);
        if (i > 0) {
          const sl_port_entry& before = tables.ports.at(range.first + i - 1);
          ASSERT_LT(before.start, entry.start);
          ASSERT_NE(std::pair(before.decision, before.flags), std::pair(entry.decision, entry.flags))
              << "neighbours that say the same are one";
        }
        if ((entry.flags & SL_PORT_BY_PROCESS) != 0) {
          ASSERT_EQ(entry.flags, SL_PORT_BY_PROCESS);
          ASSERT_EQ(entry.verdict, SL_VERDICT_DENY);
          ASSERT_TRUE(tables.process_verdicts.contains(entry.decision));
          chosen.insert(entry.decision);
        } else {
          ASSERT_NO_FATAL_FAILURE(ExpectDecision(*compiled, entry));
        }
      }
    }
    ASSERT_EQ(chosen.size(), tables.process_verdicts.size()) << "each process_verdict is used";
    for (const auto& [index, process_verdict] : tables.process_verdicts) {
      ASSERT_NO_FATAL_FAILURE(ExpectProcessVerdict(*compiled, process_verdict));
      spans.emplace(process_verdict.outcomes, 1U << process_verdict.count);
    }
    std::size_t in_use = 0;
    std::uint32_t end = 0;
    for (const auto& [first, count] : spans) {
      ASSERT_GE(first, end) << "tables do not overlap";
      end = first + count;
      in_use += count;
    }
    ASSERT_EQ(in_use, tables.ports.size()) << "and nothing is left behind";
  }
}

TEST(Compiler, TheOrderOfResourcesAndRunsDoNotMatter) {
  constexpr std::uint64_t kSeed = 9;
  const auto first = Compile(test::RandomPolicy(kSeed).NextSnapshot()).value();
  const auto second = Compile(test::RandomPolicy(kSeed).NextSnapshot()).value();
  EXPECT_TRUE(std::equal(first.tables.peers.begin(), first.tables.peers.end(), second.tables.peers.begin(),
                         second.tables.peers.end(), [](const auto& a, const auto& b) {
                           return a.first == b.first && a.second.first == b.second.first &&
                                  a.second.count == b.second.count;
                         }));
  EXPECT_TRUE(std::equal(first.decisions.begin(), first.decisions.end(), second.decisions.begin(),
                         second.decisions.end(),
                         [](const auto& a, const auto& b) { return a.first == b.first && *a.second == *b.second; }));
}

TEST(Compiler, WorkloadsWithTheSamePoliciesShareARuleset) {
  World world;
  world.Apply(PolicyYaml("shop", "p", "podSelector: {}, ingress: [{ports: [{port: 80}]}]"));
  EXPECT_EQ(AddressEntry(world, "10.0.0.1").ingress_ruleset, AddressEntry(world, "10.0.0.2").ingress_ruleset);
  ASSERT_EQ(world.compiled().rulesets.size(), 1U);
  const RulesetInfo& info = world.compiled().rulesets.begin()->second;
  EXPECT_EQ(info.workloads, 2U);
  EXPECT_EQ(info.direction, Direction::kIngress);
  EXPECT_EQ(info.policies, (std::vector<ObjectName>{{"shop", "p"}}));
  world.Apply(PolicyYaml("shop", "p", "podSelector: {}, ingress: [{ports: [{port: http}]}]"));
  EXPECT_NE(AddressEntry(world, "10.0.0.1").ingress_ruleset, AddressEntry(world, "10.0.0.2").ingress_ruleset)
      << "their ports of that name differ";
}

TEST(Compiler, WhatMostPeersHaveIsStoredOnce) {
  World world;
  std::string pods;
  for (int i = 0; i < 200; i++) {
    pods += fmt::format(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: m{0}, namespace: many, labels: {{n: '{0}'}}}}, "
        "status: {{podIPs: [{{ip: 10.20.0.{0}}}]}}}}\n---\n",
        i);
  }
  world.Apply(pods + PolicyYaml("shop", "p",
                                "podSelector: {matchLabels: {app: db}}, ingress: [{from: [{namespaceSelector: "
                                "{matchLabels: {kubernetes.io/metadata.name: many}}}]}]"));
  EXPECT_LT(world.compiled().tables.peers.size(), 20U);
  EXPECT_TRUE(world.Allows("many/m7", "shop/db"));
  EXPECT_FALSE(world.Allows("shop/web", "shop/db"));
}

TEST(Compiler, LimitsNameTheTableTheNeedAndTheLimit) {
  World world;
  world.Apply(PolicyYaml("shop", "p",
                         "podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 203.0.113.0/24}}, {ipBlock: {cidr: "
                         "198.51.100.0/24}}], ports: [{port: 80}]}]"));
  const auto snapshot = world.compiled().snapshot;
  const Tables& tables = world.compiled().tables;
  const auto expect = [&](const char* table, std::size_t need, Limits limits) {
    const auto compiled = Compile(snapshot, limits);
    ASSERT_EQ(compiled.status().code(), absl::StatusCode::kResourceExhausted) << table;
    EXPECT_THAT(Message(compiled.status()), testing::AllOf(testing::HasSubstr(fmt::format("\"{}\"", table)),
                                                           testing::HasSubstr(fmt::format(" {} entries", need)),
                                                           testing::HasSubstr(fmt::format("holds {}", need - 1))));
  };
  expect("addresses", tables.addresses.size(), {.addresses = tables.addresses.size() - 1});
  expect("prefixes", tables.prefixes.size(), {.prefixes = tables.prefixes.size() - 1});
  expect("peers", tables.peers.size(), {.peers = tables.peers.size() - 1});
  expect("ports", tables.ports.size(), {.ports = tables.ports.size() - 1});
  const Limits exact = {.addresses = tables.addresses.size(),
                        .prefixes = tables.prefixes.size(),
                        .peers = tables.peers.size(),
                        .ports = tables.ports.size()};
  const auto compiled = Compile(snapshot, exact);
  EXPECT_TRUE(compiled.ok()) << compiled.status();
}

TEST(PortTables, AFullArrayIsPackedRatherThanRefused) {
  Decisions decisions;
  std::vector<PoolIndex> index;
  for (int i = 0; i < 40; i++) index.push_back(decisions.Intern({.contributions = {{.rule = std::to_string(i)}}}));
  PortTablePool<PoolIndex> tables;
  std::size_t total = 0;
  for (std::uint32_t i = 0; i < 40; i++) {
    PortTable<PoolIndex> table;
    for (std::uint32_t step = 0; step <= i; step++) table.push_back({step, index[(i + step) % 40]});
    total += table.size();
    tables.Intern(std::move(table));
  }
  const DecisionNumbers numbers = NumberDecisions(decisions);
  const auto layout = LayOut(tables, decisions, numbers, {}, total);
  ASSERT_TRUE(layout.ok()) << layout.status();
  EXPECT_EQ(layout->entries.size(), total);
  EXPECT_EQ(layout->entries.entries().back().first, total - 1);
  EXPECT_FALSE(LayOut(tables, decisions, numbers, {}, total - 1).ok());
}

TEST(StableIds, CollisionsTakeTheNextFreeNumber) {
  const std::vector<std::string> keys = {"a", "b", "c", "d"};
  const std::vector<std::uint32_t> all = AssignStableIds(keys, {.first = 10, .count = 4});
  EXPECT_THAT(all, testing::UnorderedElementsAre(10, 11, 12, 13));
  EXPECT_EQ(all[0], (IdRange{.first = 10, .count = 4}.At(StableHash("a"))));
  EXPECT_EQ(AssignStableIds(keys, {}), AssignStableIds(keys, {}));
}

TEST(StableIds, FieldsDoNotRunTogether) {
  EXPECT_NE(CanonicalKey().Add("a").Add("bc").bytes(), CanonicalKey().Add("ab").Add("c").bytes());
  EXPECT_NE(CanonicalKey().Add(1).Add(23).bytes(), CanonicalKey().Add(12).Add(3).bytes());
  EXPECT_NE(CanonicalKey().Add("1").bytes(), CanonicalKey().Add(1).bytes());
}

}  // namespace
}  // namespace sluice::policy
