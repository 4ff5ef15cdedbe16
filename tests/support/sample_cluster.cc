#include "tests/support/sample_cluster.h"

#include "policy/network/snapshot.h"
#include "policy/resource/parser.h"
#include "tests/support/environment.h"

namespace sluice::test {

using policy::Address;

FixtureOptions SampleCluster::options_;
std::unique_ptr<ProgramFixture> SampleCluster::fixture_;

void SampleCluster::SetUpTestSuite() {
  if (!MissingBpfRight().empty() || !MissingNetNsRight().empty()) return;
  auto fixture = ProgramFixture::Create(options_);
  ASSERT_TRUE(fixture.ok()) << fixture.status();
  fixture_ = *std::move(fixture);
}

void SampleCluster::TearDownTestSuite() {
  fixture_.reset();
  options_ = {};
}

void SampleCluster::SetUp() {
  SL_REQUIRE_NETNS();
  SL_REQUIRE_BPF();
  ASSERT_NE(fixture_, nullptr);
  ASSERT_TRUE(fixture_->ForgetFlows().ok());
  for (const std::uint32_t endpoint : {0, 1, 2, 3}) ASSERT_TRUE(fixture_->datapath().ResetEndpoint(endpoint).ok());
  fixture_->SetClock(1000);
  Configure(0);
  names_[kWeb] = "web";
  names_[kDb] = "db";
  names_[kOther] = "other";
  Enforce(DbPolicy());
}

std::string SampleCluster::Policy(const std::string& name, const std::string& app, const std::string& spec,
                                  bool kubernetes) {
  return fmt::format(
      "apiVersion: {}\nkind: NetworkPolicy\nmetadata: {{name: {}, namespace: shop}}\nspec:\n"
      "  podSelector: {{matchLabels: {{app: {}}}}}\n{}---\n",
      kubernetes ? "networking.k8s.io/v1" : "sluice.dev/v1alpha1", name, app, spec);
}

std::string SampleCluster::DbPolicy() {
  return Policy("db", "db",
                "  policyTypes: [Ingress]\n"
                "  ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 5432}]}]\n");
}

std::string SampleCluster::Isolate(const std::string& app) {
  return Policy("isolate-" + app, app, "  policyTypes: [Ingress]\n");
}

void SampleCluster::Enforce(const std::string& policies) {
  std::string world;
  std::map<policy::ObjectName, policy::Binding> bindings;
  const auto add = [&](const std::string& name, const std::string& app, const std::string& v4, const std::string& v6,
                       int interface) {
    if (name.empty()) return;
    world += fmt::format(
        "apiVersion: sluice.dev/v1alpha1\nkind: Workload\n"
        "metadata: {{name: {}, namespace: shop, labels: {{app: {}}}}}\n"
        "spec: {{hostInterface: p{}, ips: [\"{}\", \"{}\"]}}\n---\n",
        name, app, std::max(interface, 0), v4, v6);
    if (interface < 0) return;
    bindings[{"shop", name}] = {
        ifindex(interface), static_cast<std::uint32_t>(interface + 1), {*Address::Parse(v4), *Address::Parse(v6)}};
  };
  add(names_[kWeb], "web", kWebIp, kWebIp6, kWeb);
  add(names_[kDb], "db", kDbIp, kDbIp6, kDb);
  add(names_[kOther], "other", kOtherIp, "fd00::3", kOther);
  add("remote", "remote", kRemoteIp, kRemoteIp6, -1);
  const auto parsed = policy::ParseResources("shop", world + policies);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  policy::ResourceMap resources;
  for (const policy::Resource& resource : *parsed) resources[resource.id] = resource;
  const auto snapshot =
      policy::Snapshot::Build(resources, bindings, {*Address::Parse(kNodeIp), *Address::Parse("fd00::fe")});
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  const Status enforced = fixture_->Enforce(*snapshot);
  ASSERT_TRUE(enforced.ok()) << enforced;
}

void SampleCluster::Replace(Interface interface, const std::string& name) { names_[interface] = name; }

Evaluated SampleCluster::Evaluate(int hook, const bpf::TestRunInput& input) {
  Evaluated evaluated;
  evaluated.bytes = input.frame.size();
  const auto before = FixtureState::Read(fixture_->datapath());
  auto verdict = fixture_->Evaluate(hook, input);
  const auto after = FixtureState::Read(fixture_->datapath());
  EXPECT_TRUE(verdict.ok()) << verdict.status();
  EXPECT_TRUE(before.ok() && after.ok());
  if (!verdict.ok() || !before.ok() || !after.ok()) return evaluated;
  static_cast<ProgramFixture::Verdict&>(evaluated) = *std::move(verdict);
  evaluated.moves = after->Since(*before);
  evaluated.events = after->events();
  return evaluated;
}

Evaluated SampleCluster::FromPod(int interface, const Frame& frame, std::uint32_t gso_segments) {
  return Evaluate(SL_HOOK_TC_FROM_POD, {.frame = frame, .ifindex = ifindex(interface), .gso_segments = gso_segments});
}

Evaluated SampleCluster::ToPod(int interface, int from, const Frame& frame) {
  return Evaluate(
      SL_HOOK_TC_TO_POD,
      {.frame = frame, .ifindex = ifindex(interface), .ingress_ifindex = from == kNode ? 0 : ifindex(from)});
}

Evaluated SampleCluster::FromWire(const Frame& frame) {
  return Evaluate(SL_HOOK_XDP_UPLINK, {.frame = frame, .ifindex = ifindex(kUplink)});
}

void SampleCluster::Configure(std::uint32_t flags) {
  const Status status = fixture_->datapath().Configure(flags);
  ASSERT_TRUE(status.ok()) << status;
}

std::vector<datapath::FlowRecord> SampleCluster::Flows() {
  auto flows = fixture_->datapath().Flows();
  EXPECT_TRUE(flows.ok()) << flows.status();
  return flows.ok() ? *std::move(flows) : std::vector<datapath::FlowRecord>{};
}

}  // namespace sluice::test
