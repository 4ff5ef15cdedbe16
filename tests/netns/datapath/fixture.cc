#include "tests/netns/datapath/fixture.h"

#include <unistd.h>

#include <atomic>

#include "ctrl/node/binder.h"
#include "kernel/datapath/root.h"
#include "policy/network/compiler.h"
#include "policy/resource/parser.h"
#include "testbed/command.h"

namespace sluice::test {
namespace {

// An answer may need a neighbour first, whose address is asked for once in a second.
constexpr std::chrono::seconds kAnswerTime{5};
constexpr std::chrono::seconds kNoAnswerTime{1};

}  // namespace

void DatapathFixture::TearDown() {
  servers_.reset();
  datapath_.reset();
  if (!root_.empty() && node_ != nullptr) {
    const Status gone = node_->Run([&] { return datapath::Uninstall(root_).status(); });
    EXPECT_TRUE(gone.ok()) << gone;
  }
  node_.reset();
}

void DatapathFixture::Build(TestNode::Options options) {
  static std::atomic<int> roots = 0;
  options.pods = {"web", "db", "other"};
  auto node = TestNode::Create(options);
  ASSERT_TRUE(node.ok()) << node.status();
  node_ = *std::move(node);
  root_ = fmt::format("/sys/fs/bpf/sltest-{}-{}", getpid(), roots++);
  std::vector<ServerSpec> specs;
  for (const auto& pod : options.outside ? std::vector<std::string>{"web", "db", "other", "outside"} : options.pods)
    for (const std::uint8_t protocol : {policy::kTcp, policy::kUdp})
      specs.push_back({.netns_fd = node_->netns(Pod(pod)).fd(), .protocol = protocol, .port = kPort});
  auto servers = ProbeServers::Start(specs);
  ASSERT_TRUE(servers.ok()) << servers.status();
  servers_ = *std::move(servers);
}

void DatapathFixture::Open(const bpf::ObjectOptions& object) {
  const Status opened = node_->Run([&]() -> Status {
    datapath::BpfDatapathOptions options{.bpf_root = root_, .object = object};
    options.object.test_clock = false;
    SL_ASSIGN_OR_RETURN(datapath_, datapath::BpfDatapath::Open(options));
    return OkStatus();
  });
  ASSERT_TRUE(opened.ok()) << opened;
}

void DatapathFixture::Enforce(const std::string& policies, bool at_once) {
  std::string world;
  for (const TestPod& pod : node_->pods())
    world += fmt::format(
        "apiVersion: sluice.dev/v1alpha1\nkind: Workload\nmetadata: {{name: {0}, namespace: shop, labels: {{app: "
        "{0}}}}}\n"
        "spec: {{netns: {1}}}\n---\n",
        pod.name, pod.netns_path);
  const Status enforced = node_->Run([&]() -> Status {
    SL_ASSIGN_OR_RETURN(const auto parsed, policy::ParseResources("fixture", world + policies));
    policy::ResourceMap resources;
    std::map<policy::ObjectName, policy::Binding> bindings;
    std::uint32_t endpoint = 0;
    for (const policy::Resource& resource : parsed) {
      resources[resource.id] = resource;
      if (resource.workload == nullptr) continue;
      SL_ASSIGN_OR_RETURN(node::BoundWorkload bound, node::Bind(EnterForSockets(), *resource.workload));
      bound.binding.endpoint = ++endpoint;
      bound.facts.endpoint = endpoint;
      bindings[bound.name] = bound.binding;
      const datapath::PodInterface pod{bound.binding.ifindex, bound.host_interface, bound.facts, bound.takes_frames};
      SL_RETURN_IF_ERROR(at_once ? datapath_->AttachPodAtOnce(pod) : datapath_->AttachPod(pod));
    }
    SL_ASSIGN_OR_RETURN(const auto ip4, policy::Address::Parse(node_->ip4()));
    SL_ASSIGN_OR_RETURN(const auto ip6, policy::Address::Parse(node_->ip6()));
    SL_ASSIGN_OR_RETURN(const auto snapshot, policy::Snapshot::Build(resources, bindings, {ip4, ip6}));
    SL_ASSIGN_OR_RETURN(const auto compiled, policy::Compile(snapshot, datapath_->limits()));
    return datapath_->Commit(compiled.tables);
  });
  ASSERT_TRUE(enforced.ok()) << enforced;
}

void DatapathFixture::Configure(std::uint32_t flags) {
  const Status status = datapath_->Configure(flags);
  ASSERT_TRUE(status.ok()) << status;
}

struct DatapathFixture::Exchange {
  std::uint8_t protocol = policy::kTcp;
  bool ipv6 = false;
};

std::vector<ProbeOutcome> DatapathFixture::ProbeAll(const std::string& from, const std::string& to, std::uint16_t port,
                                                    const std::vector<Exchange>& exchanges,
                                                    std::chrono::milliseconds timeout) {
  std::vector<sluice::test::Probe> probes;
  for (const Exchange& exchange : exchanges) {
    const auto destination = policy::Address::Parse(exchange.ipv6 ? Pod(to).ip6 : Pod(to).ip4);
    EXPECT_TRUE(destination.ok()) << destination.status();
    probes.push_back({.netns_fd = node_->netns(Pod(from)).fd(),
                      .destination = *destination,
                      .protocol = exchange.protocol,
                      .port = port,
                      .timeout = timeout});
  }
  const auto results = RunProbes(probes);
  EXPECT_TRUE(results.ok()) << results.status();
  std::vector<ProbeOutcome> outcomes(exchanges.size(), ProbeOutcome::kError);
  for (std::size_t i = 0; results.ok() && i < results->size(); ++i) outcomes[i] = (*results)[i].outcome;
  return outcomes;
}

ProbeOutcome DatapathFixture::Probe(const std::string& from, const std::string& to, std::uint16_t port,
                                    std::uint8_t protocol, bool ipv6) {
  return ProbeAll(from, to, port, {{protocol, ipv6}}, kNoAnswerTime).front();
}

void DatapathFixture::ExpectAll(const std::string& from, const std::string& to, ProbeOutcome outcome) {
  const std::vector<Exchange> exchanges = {
      {policy::kTcp, false}, {policy::kUdp, false}, {policy::kTcp, true}, {policy::kUdp, true}};
  const auto outcomes =
      ProbeAll(from, to, kPort, exchanges, outcome == ProbeOutcome::kTimeout ? kNoAnswerTime : kAnswerTime);
  for (std::size_t i = 0; i < exchanges.size(); ++i)
    EXPECT_EQ(outcomes[i], outcome) << from << " -> " << to << " protocol " << int{exchanges[i].protocol}
                                    << (exchanges[i].ipv6 ? " IPv6: " : " IPv4: ") << ProbeOutcomeName(outcomes[i])
                                    << ", expected " << ProbeOutcomeName(outcome);
}

std::string DatapathFixture::Run(const std::string& pod, const Arguments& command) {
  const auto result = node_->RunCommandIn(Pod(pod), command);
  EXPECT_TRUE(result.ok()) << result.status();
  return result.ok() ? result->output : "";
}

std::uint64_t DatapathFixture::Count(int counter) const {
  const auto counters = datapath_->ReadCounters();
  EXPECT_TRUE(counters.ok()) << counters.status();
  return counters.ok() ? counters->events[counter] : 0;
}

std::uint64_t DatapathFixture::Packets(int hook, int outcome) const {
  const auto counters = datapath_->ReadCounters();
  EXPECT_TRUE(counters.ok()) << counters.status();
  return counters.ok() ? counters->packets[hook][outcome].packets : 0;
}

const char* DatapathFixture::DbPolicy() {
  return "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: db, namespace: shop}\n"
         "spec:\n  podSelector: {matchLabels: {app: db}}\n  policyTypes: [Ingress]\n"
         "  ingress:\n  - from: [{podSelector: {matchLabels: {app: web}}}]\n"
         "    ports: [{port: 80}, {port: 80, protocol: UDP}, {port: 81, protocol: UDP}]\n---\n";
}

const char* DatapathFixture::IsolateWeb() {
  return "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: web, namespace: shop}\n"
         "spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress]}\n---\n";
}

}  // namespace sluice::test
