// A Compiler that follows changes, compared with compilations from scratch.
#include <gtest/gtest.h>

#include "policy/network/compiler.h"
#include "policy/network/diff.h"
#include "tests/support/random_policy.h"

namespace sluice::policy {
namespace {

template <typename V, typename Same>
void ExpectSame(const FlatMap<std::uint32_t, V>& a, const FlatMap<std::uint32_t, V>& b, const Same& same) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [number, value] : a) {
    ASSERT_TRUE(b.contains(number)) << number;
    ASSERT_TRUE(same(value, b.at(number))) << number;
  }
}

void ExpectSame(const CompiledPolicy& a, const CompiledPolicy& b) {
  ASSERT_TRUE(Diff(a.tables, b.tables).empty());
  ASSERT_TRUE(Diff(b.tables, a.tables).empty());
  ExpectSame(a.identities, b.identities, [](const IdentityInfo& x, const IdentityInfo& y) {
    return std::tie(x.id, x.ns, x.labels, x.prefix) == std::tie(y.id, y.ns, y.labels, y.prefix);
  });
  ExpectSame(a.rulesets, b.rulesets, [](const RulesetInfo& x, const RulesetInfo& y) {
    return std::tie(x.id, x.direction, x.policies, x.workloads) == std::tie(y.id, y.direction, y.policies, y.workloads);
  });
  ExpectSame(a.decisions, b.decisions, [](const auto& x, const auto& y) { return *x == *y; });
}

auto FieldsOf(const Endpoint& e) {
  return std::tie(e.name, e.workload_id, e.labels, *e.namespace_labels, e.ports, e.ips, e.ifindex, e.endpoint);
}

void ExpectSame(const Snapshot& a, const Snapshot& b) {
  ASSERT_EQ(a.endpoints.size(), b.endpoints.size());
  for (std::size_t i = 0; i < a.endpoints.size(); i++) {
    ASSERT_EQ(FieldsOf(a.endpoints[i]), FieldsOf(b.endpoints[i])) << a.endpoints[i].name.ToString();
    ASSERT_EQ(a.endpoints[i].namespace_labels, a.namespaces.at(a.endpoints[i].name.ns));
  }
  ASSERT_EQ(a.by_address.entries(), b.by_address.entries());
  ASSERT_EQ(a.population->locals, b.population->locals);
  ASSERT_EQ(a.namespaces.size(), b.namespaces.size());
  for (const auto& [name, labels] : a.namespaces) ASSERT_EQ(*labels, *b.namespaces.at(name)) << name;
}

TEST(Incremental, EveryStepGivesWhatACompilationFromScratchGives) {
  int shared_endpoints = 0, same_population = 0, same_addresses = 0, changed = 0;
  for (std::uint64_t seed = 400; seed < 430; seed++) {
    test::RandomPolicy random(seed, {.policies = 12, .processes = seed % 2 == 0});
    auto scratch = random.NextSnapshot();
    std::shared_ptr<const Snapshot> before;
    Compiler compiler;
    CompiledPolicy last;
    for (int step = 0; step < 60; step++) {
      SCOPED_TRACE(fmt::format("seed {} step {}", seed, step));
      const auto wanted = Compile(scratch);
      ASSERT_TRUE(wanted.ok()) << wanted.status();
      const auto snapshot =
          Snapshot::Build(random.resources(), random.bindings(), scratch->node_addresses, before.get()).value();
      const auto compiled = compiler.Compile(snapshot);
      ASSERT_TRUE(compiled.ok()) << compiled.status();
      ASSERT_NO_FATAL_FAILURE(ExpectSame(*compiled, *wanted));
      ASSERT_NO_FATAL_FAILURE(ExpectSame(*snapshot, *scratch));
      if (before != nullptr && snapshot->population != before->population) {
        for (const Endpoint& endpoint : snapshot->endpoints) {
          shared_endpoints += before->FindByName(endpoint.name) == &endpoint;
        }
      }
      same_population += before != nullptr && snapshot->population == before->population;
      same_addresses += compiled->tables.addresses.SharesWith(last.tables.addresses);
      changed += !Diff(last.tables, compiled->tables).empty();
      before = snapshot;
      last = *compiled;
      scratch = random.NextChange();
    }
  }
  // The steps are useful: much is kept, and much changes.
  EXPECT_GT(same_population, 400);
  EXPECT_GT(shared_endpoints, 5000);
  EXPECT_GT(same_addresses, 200);
  EXPECT_GT(changed, 500);
}

// A refused snapshot must not affect later ones.
TEST(Incremental, WhatIsRefusedIsForgotten) {
  test::RandomPolicy random(3, {.policies = 12});
  auto snapshot = random.NextSnapshot();
  Compiler compiler;
  for (int step = 0; step < 100; step++) {
    SCOPED_TRACE(step);
    const auto wanted = Compile(snapshot);
    ASSERT_TRUE(wanted.ok()) << wanted.status();
    EXPECT_FALSE(compiler.Compile(snapshot, {.ports = wanted->tables.ports.size() - 1}).ok());
    if (step % 3 == 0) {
      const auto compiled = compiler.Compile(snapshot);
      ASSERT_TRUE(compiled.ok()) << compiled.status();
      ASSERT_NO_FATAL_FAILURE(ExpectSame(*compiled, *wanted));
    }
    snapshot = random.NextChange();
  }
}

}  // namespace
}  // namespace sluice::policy
