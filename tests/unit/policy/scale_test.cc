// Sizes that the compiler must handle in seconds: 10,000 workloads, 1,000 local rulesets, 50,000 identities and 100,000
// prefixes.
#include <gtest/gtest.h>

#include <chrono>

#include "policy/network/compiler.h"
#include "policy/network/diff.h"
#include "tests/support/table_lookup.h"

namespace sluice::policy {
namespace {

constexpr int kNamespaces = 500;   // each has two apps with their own policies
constexpr int kWorkloads = 10000;  // known here by their spec; the first kLocal are enforced
constexpr int kLocal = 4000;
constexpr int kPods = 40000;
constexpr int kBlocksPerPolicy = 100;
constexpr auto kTimeLimit = std::chrono::seconds(30);

Address Ip4(std::uint32_t value) {
  std::array<std::uint8_t, 16> bytes = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  for (int i = 0; i < 4; i++) bytes[12 + i] = static_cast<std::uint8_t>(value >> (24 - 8 * i));
  return Address(bytes);
}

Selector Is(const std::string& key, const std::string& value) { return {{{key, Selector::Operator::kIn, {value}}}}; }

std::string NamespaceOf(int number) { return fmt::format("ns-{}", number % kNamespaces); }

struct Big {
  ResourceMap resources;
  std::map<ObjectName, Binding> bindings;

  std::shared_ptr<const Snapshot> Build() const { return Snapshot::Build(resources, bindings, {}).value(); }
  void Add(Resource resource) { resources.insert_or_assign(resource.id, std::move(resource)); }

  void AddWorkload(int i) {
    auto workload = std::make_shared<policy::Workload>();
    workload->name = {NamespaceOf(i), fmt::format("w-{}", i)};
    workload->labels = {{"app", fmt::format("app-{}", i / kNamespaces % 2)}, {"instance", std::to_string(i)}};
    workload->ports = {{"http", static_cast<std::uint16_t>(8000 + i % 3), kTcp}};
    workload->ips = {Ip4(0x0a000000U + i)};
    const auto number = static_cast<std::uint32_t>(i + 1);
    if (i < kLocal) bindings[workload->name] = {number, number, workload->ips};
    Resource resource{.id = {Kind::kWorkload, workload->name}};
    resource.workload = std::move(workload);
    Add(std::move(resource));
  }

  void AddPod(int i) {
    auto pod = std::make_shared<policy::Pod>();
    pod->name = {NamespaceOf(i), fmt::format("p-{}", i)};
    pod->labels = {{"app", fmt::format("far-{}", i % 20)}, {"instance", std::to_string(i)}};
    pod->ips = {Ip4(0x0a800000U + i)};
    Resource resource{.id = {Kind::kPod, pod->name}};
    resource.pod = std::move(pod);
    Add(std::move(resource));
  }

  // Ingress from the own namespace, from an app anywhere in a neighbouring one, and from the policy's own blocks.
  void AddPolicy(int ns, int app) {
    const int number = ns * 2 + app;
    auto policy = std::make_shared<NetworkPolicy>();
    policy->name = {NamespaceOf(ns), fmt::format("policy-{}", app)};
    policy->pod_selector = Is("app", fmt::format("app-{}", app));
    policy->applies_to_ingress = true;
    Rule pods{.peers = {{.pod_selector = Is("app", "app-0")},
                        {.pod_selector = Is("app", fmt::format("far-{}", number % 20)),
                         .namespace_selector = Is("kubernetes.io/metadata.name", NamespaceOf(ns + 1))}}};
    PortRule http;
    http.port_name = "http";
    pods.ports = {http};
    Rule blocks;
    for (int i = 0; i < kBlocksPerPolicy; i++) {
      const std::uint32_t base = 0x40000000U + static_cast<std::uint32_t>(number * kBlocksPerPolicy + i) * 256;
      blocks.peers.push_back({.ip_block = IpBlock{Prefix(Ip4(base), i % 2 == 0 ? 24 : 25), {}}});
    }
    PortRule range;
    range.port = 1000;
    range.end_port = 2000;
    blocks.ports = {range};
    policy->ingress = {pods, blocks};
    Resource resource{.id = {Kind::kNetworkPolicy, policy->name}};
    resource.policy = std::move(policy);
    Add(std::move(resource));
  }
};

Big MakeBig() {
  Big big;
  for (int i = 0; i < kWorkloads; i++) big.AddWorkload(i);
  for (int i = 0; i < kPods; i++) big.AddPod(i);
  for (int ns = 0; ns < kNamespaces; ns++) {
    for (int app = 0; app < 2; app++) big.AddPolicy(ns, app);
  }
  return big;
}

TEST(Scale, CompilesInSecondsAndAnswersRightly) {
  Big big = MakeBig();
  const auto start = std::chrono::steady_clock::now();
  const auto snapshot = big.Build();
  const auto compiled = Compile(snapshot);
  const auto took = std::chrono::steady_clock::now() - start;
  ASSERT_TRUE(compiled.ok()) << compiled.status();
  const Tables& tables = compiled->tables;
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(took).count();
  fmt::print("{} ms: {} addresses, {} prefixes, {} identities, {} rulesets, {} peers, {} ports, {} decisions\n", ms,
             tables.addresses.size(), tables.prefixes.size(), compiled->identities.size(), compiled->rulesets.size(),
             tables.peers.size(), tables.ports.size(), compiled->decisions.size());
  EXPECT_LT(took, kTimeLimit);
  EXPECT_EQ(tables.addresses.size(), static_cast<std::size_t>(kWorkloads + kPods));
  EXPECT_EQ(tables.prefixes.size(), 100000U);
  EXPECT_GE(compiled->rulesets.size(), 1000U);
  EXPECT_GE(compiled->identities.size(), 150000U) << "one for each pod and each prefix";

  std::uint32_t state = 1;
  const auto below = [&](std::uint32_t n) { return (state = state * 1664525U + 1013904223U) / 65536U % n; };
  int allowed = 0;
  for (int i = 0; i < 3000; i++) {
    const std::uint32_t to = below(kLocal);
    Flow flow{.destination = Ip4(0x0a000000U + to), .port = static_cast<std::uint16_t>(8000 + to % 3)};
    switch (below(4)) {
      case 0:  // an app of the own namespace
        flow.source = Ip4(0x0a000000U + (to + kNamespaces * below(20)) % kWorkloads);
        break;
      case 1:  // a pod of the neighbour
        flow.source = Ip4(0x0a800000U + (to + 1 + kNamespaces * below(80)) % kPods);
        break;
      case 2: {  // around the policy's own blocks
        const std::uint32_t policy = to % kNamespaces * 2 + to / kNamespaces % 2;
        flow.source = Ip4(0x40000000U + policy * kBlocksPerPolicy * 256 + below(kBlocksPerPolicy * 256));
        flow.port = static_cast<std::uint16_t>(990 + below(1020));
        break;
      }
      default:
        flow.source = Ip4(below(65536) << 16U | below(65536));
    }
    const Evaluation expected = Evaluate(*snapshot, flow, Scope::kLocal);
    const test::TableVerdict found = test::LookUp(tables, flow);
    ASSERT_EQ(found.allowed, expected.allowed) << flow.source.ToString() << " " << flow.destination.ToString();
    if (found.ingress_decision != 0) {
      ASSERT_EQ(*compiled->decisions.at(found.ingress_decision), *expected.ingress);
    }
    allowed += found.allowed;
  }
  EXPECT_GT(allowed, 300);
  EXPECT_LT(allowed, 2700);

  // After one new pod and one edited policy, nearly all entries stay in their slots.
  big.AddPod(kPods);
  const auto next = Compile(big.Build());
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_LT(Diff(tables, next->tables).size(), 50U);
}

TEST(Scale, OneRuleWithAHundredThousandBlocks) {
  auto policy = std::make_shared<NetworkPolicy>();
  policy->name = {"ns-0", "list"};
  policy->applies_to_egress = true;
  Rule rule;
  for (std::uint32_t i = 0; i < 100000; i++) {
    rule.peers.push_back({.ip_block = IpBlock{Prefix(Ip4(0x40000000U + i * 512), 24), {}}});
  }
  policy->egress = {rule};
  Big big;
  for (int i = 0; i < 10; i++) big.AddWorkload(i);
  Resource resource{.id = {Kind::kNetworkPolicy, policy->name}};
  resource.policy = policy;
  big.Add(std::move(resource));

  const auto start = std::chrono::steady_clock::now();
  const auto compiled = Compile(big.Build());
  ASSERT_TRUE(compiled.ok()) << compiled.status();
  EXPECT_LT(std::chrono::steady_clock::now() - start, kTimeLimit);
  EXPECT_LE(compiled->tables.peers.size(), 10U) << "what most prefixes have is the kind's own entry";
  const auto allowed = [&](std::uint32_t to) {
    return test::LookUp(compiled->tables, {.source = Ip4(0x0a000000U), .destination = Ip4(to), .port = 80}).allowed;
  };
  EXPECT_TRUE(allowed(0x40000001U));
  EXPECT_FALSE(allowed(0x40000101U));
  EXPECT_TRUE(allowed(0x40000000U + 99999 * 512 + 255));
  EXPECT_FALSE(allowed(0x40000000U + 99999 * 512 + 256));
}

// Every ruleset allows every pod by named ports with different numbers: the worst case of the per-peer tables.
TEST(Scale, NamedPortsOfManyPeersInManyRulesets) {
  Big big;
  for (int i = 0; i < kLocal; i++) big.AddWorkload(i);
  for (int i = 0; i < kPods; i++) big.AddPod(i);
  for (int ns = 0; ns < kNamespaces; ns++) {
    auto policy = std::make_shared<NetworkPolicy>();
    policy->name = {NamespaceOf(ns), "out"};
    policy->applies_to_egress = true;
    PortRule http;
    http.port_name = "http";
    policy->egress = {{.peers = {{.namespace_selector = Selector{}}}, .ports = {http}}};
    Resource resource{.id = {Kind::kNetworkPolicy, policy->name}};
    resource.policy = std::move(policy);
    big.Add(std::move(resource));
  }
  const auto start = std::chrono::steady_clock::now();
  const auto compiled = Compile(big.Build());
  EXPECT_LT(std::chrono::steady_clock::now() - start, kTimeLimit);
  // 500 rulesets with 4,000 peers that differ from most: more than an epoch can hold, and the error says so.
  ASSERT_EQ(compiled.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_NE(Message(compiled.status()).find("\"peers\""), std::string::npos) << compiled.status();
}

}  // namespace
}  // namespace sluice::policy
