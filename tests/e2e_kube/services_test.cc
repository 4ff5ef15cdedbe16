// Services of the API server, from the agent's options to packets: with each value of --services a pod's connection is
// judged by the backend, beside the rules of kube-proxy.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "testbed/proxy_rules.h"
#include "tests/e2e/hubble_client.h"
#include "tests/e2e_kube/kubernetes_fixture.h"

namespace sluice::test {
namespace {

constexpr char kDbService[] = "10.96.0.10", kNewService[] = "10.96.0.11";
constexpr std::uint16_t kServicePort = 80;

class KubernetesServices : public KubernetesFixture, public ::testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    KubernetesFixture::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    more_arguments_ = {"--services", GetParam(), "--hubble-api", HubbleAddress()};
    ASSERT_NO_FATAL_FAILURE(Start());
    auto more = ProbeServers::Start({{.netns_fd = fixture_->netns_fd("db"), .protocol = policy::kTcp, .port = kPort},
                                     {.netns_fd = fixture_->netns_fd("new"), .protocol = policy::kTcp, .port = kPort},
                                     {.netns_fd = fixture_->netns_fd("new"), .protocol = policy::kUdp, .port = kPort}});
    ASSERT_TRUE(more.ok()) << more.status();
    more_servers_ = *std::move(more);
    std::vector<ProxiedService> rules;
    for (const auto& [name, ip] : {std::pair{"db", kDbService}, {"new", kNewService}}) {
      const std::string backend = fixture_->ip4(name).ToString();
      api_->Put(
          kServices,
          fmt::format(R"({{"metadata": {{"name": "{0}", "namespace": "shop", "uid": "s-{0}"}}, "spec": {{"clusterIP":
                    "{1}", "clusterIPs": ["{1}"], "ports": [{{"name": "tcp", "port": {2}, "protocol": "TCP"}},
                    {{"name": "udp", "port": {2}, "protocol": "UDP"}}]}}}})",
                      name, ip, kServicePort));
      api_->Put(kSlices, fmt::format(R"({{"metadata": {{"name": "{0}-1", "namespace": "shop", "labels":
                    {{"kubernetes.io/service-name": "{0}"}}}}, "addressType": "IPv4", "endpoints": [{{"addresses":
                    ["{1}"], "conditions": {{"ready": true}}}}], "ports": [{{"name": "tcp", "port": {2}, "protocol":
                    "TCP"}}, {{"name": "udp", "port": {2}, "protocol": "UDP"}}]}})",
                                     name, backend, kPort));
      for (const std::uint8_t protocol : {policy::kTcp, policy::kUdp})
        rules.push_back({.name = fmt::format("shop/{}", name),
                         .port_name = "main",
                         .protocol = protocol,
                         .cluster_ip = ip,
                         .port = kServicePort,
                         .backends = {{backend, kPort, true}}});
    }
    api_->Put(kNodes, R"({"metadata": {"name": "here"}})");
    SL_SKIP_OR_FAIL_IF(MissingProxyProgram(ProxyMode::kNftables));
    std::string missing;
    const Status installed = fixture_->node().Run([&] {
      missing = MissingProxyFeature(ProxyMode::kNftables);
      if (!missing.empty()) return OkStatus();
      return InstallProxyRules(ProxyMode::kNftables, rules, {fixture_->node().ip4()});
    });
    ASSERT_TRUE(installed.ok()) << installed;
    if (!missing.empty()) GTEST_SKIP() << missing;
  }

  std::string HubbleAddress() const { return "unix://" + directory_ + "/hubble.sock"; }
  // Web's packets to db's Service, as Hubble's clients see them.
  std::vector<flow::Flow> ToServiceByHubble() const {
    observer::GetFlowsRequest request;
    flow::FlowFilter& filter = *request.add_whitelist();
    filter.add_source_pod("shop/web");
    filter.add_destination_service("shop/db");
    filter.add_event_type()->set_type(4);
    return HubbleClient(HubbleAddress()).Flows(request);
  }

  // By how many of TCP and UDP.
  int Reached(const char* service, bool expected) const {
    std::vector<Probe> probes;
    for (const std::uint8_t protocol : {policy::kTcp, policy::kUdp})
      probes.push_back({.netns_fd = fixture_->netns_fd("web"),
                        .destination = *policy::Address::Parse(service),
                        .protocol = protocol,
                        .port = kServicePort,
                        .timeout = std::chrono::milliseconds(expected ? 10000 : 500)});
    const auto results = RunProbes(probes);
    EXPECT_TRUE(results.ok()) << results.status();
    int reached = 0;
    if (results.ok())
      for (const ProbeResult& one : *results) reached += one.outcome == ProbeOutcome::kAllowed ? 1 : 0;
    return reached;
  }
  // web's flows that began with a Service's address.
  std::vector<std::string> FlowsOfWeb() const {
    std::vector<std::string> flows;
    std::istringstream text(Sluice({"get", "flows", "-o", "json"}));
    for (std::string line; std::getline(text, line);) {
      const auto flow = nlohmann::json::parse(line);
      if (flow["source"].value("workload", "") != "web" || !flow.contains("service")) continue;
      flows.push_back(fmt::format("{} {} by {} {}", flow["ip"].value("destination", ""),
                                  flow["l4"].value("destinationPort", 0), flow["service"].value("name", ""),
                                  flow["service"].value("portName", "")));
    }
    return flows;
  }

  std::unique_ptr<ProbeServers> more_servers_;
};

INSTANTIATE_TEST_SUITE_P(Options, KubernetesServices, ::testing::Values("pods", "off"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(KubernetesServices, AConnectionIsJudgedByTheBackend) {
  const bool at_sockets = std::string(GetParam()) == "pods";
  EXPECT_EQ(Sluice({"status", "-o", "json"}).find("services_at_sockets") != std::string::npos, at_sockets);
  // As soon as the table is in force, flows name the Service.
  ASSERT_TRUE(Eventually(
      [&] { return Reached(kDbService, true) == 2 && Reached(kNewService, true) == 2 && FlowsOfWeb().size() >= 4; }));
  const std::string db = fixture_->ip4("db").ToString();
  EXPECT_THAT(FlowsOfWeb(), ::testing::IsSupersetOf(
                                {fmt::format("{} {} by db tcp", db, kPort), fmt::format("{} {} by db udp", db, kPort)}))
      << "translated by Sluice";
  std::vector<flow::Flow> by_hubble;
  ASSERT_TRUE(Eventually([&] {
    by_hubble = ToServiceByHubble();
    return !by_hubble.empty();
  }));
  EXPECT_EQ(by_hubble[0].destination_service().namespace_(), "shop");
  EXPECT_EQ(by_hubble[0].destination_service().name(), "db");
  EXPECT_EQ(by_hubble[0].destination().pod_name(), "db");
  EXPECT_EQ(by_hubble[0].ip().destination(), db) << "the backend's";
  api_->Put(kPolicies, R"({"metadata": {"name": "web", "namespace": "shop"}, "spec": {"podSelector": {"matchLabels":
      {"app": "web"}}, "policyTypes": ["Egress"], "egress": [{"to": [{"podSelector": {"matchLabels": {"app":
      "db"}}}]}]}})");
  EXPECT_TRUE(Eventually([&] { return Reached(kNewService, false) == 0; }));
  EXPECT_EQ(Reached(kDbService, true), 2);
  api_->Put(kPolicies, R"({"metadata": {"name": "web", "namespace": "shop"}, "spec": {"podSelector": {"matchLabels":
      {"app": "web"}}, "policyTypes": ["Egress"]}})");
  EXPECT_TRUE(Eventually([&] { return Reached(kDbService, false) == 0; }));
}

// Which address counts for network.matchPeers: that of the backend, as for NetworkPolicies.
TEST_P(KubernetesServices, PeersOfAKubeArmorPolicyAreTheBackends) {
  ASSERT_TRUE(Eventually([&] { return Reached(kDbService, true) == 2 && FlowsOfWeb().size() >= 2; }));
  const auto apply = [&](const std::string& peer) {
    return fixture_->agent().Apply(fmt::format(
        "{{apiVersion: security.kubearmor.com/v1, kind: KubeArmorPolicy, metadata: {{name: peers, namespace: shop}}, "
        "spec: {{selector: {{matchLabels: {{app: web}}}}, network: {{matchPeers: [{{cidr: {}/32}}]}}}}}}\n",
        peer));
  };
  const std::string db = fixture_->ip4("db").ToString();
  Status applied = apply(kDbService);
  ASSERT_TRUE(applied.ok()) << applied;
  EXPECT_EQ(Reached(kDbService, true), 2) << "no packet goes to the Service's address";
  applied = apply(db);
  ASSERT_TRUE(applied.ok()) << applied;
  EXPECT_EQ(Reached(kDbService, false), 0);
  EXPECT_EQ(Reached(kNewService, true), 2);
}

// What a hook sees of a connection to a Service: the call has the address that the program gave, the socket that of the
// backend, if it is translated there.
TEST_P(KubernetesServices, AHookOnTheCallSeesTheServiceAndOneOnTheSocketWhatIsConnectedTo) {
  const bool at_sockets = std::string(GetParam()) == "pods";
  ASSERT_TRUE(Eventually([&] { return Reached(kDbService, true) == 2 && FlowsOfWeb().size() >= 2; }));
  const std::string db = fixture_->ip4("db").ToString();
  std::string policies;
  for (const auto& [name, address] : {std::pair{"service", std::string(kDbService)}, {"backend", db}}) {
    policies += fmt::format(
        "---\n{{apiVersion: cilium.io/v1alpha1, kind: TracingPolicy, metadata: {{name: call-{0}}}, spec: "
        "{{podSelector: "
        "{{matchLabels: {{app: web}}}}, kprobes: [{{call: sys_connect, args: [{{index: 1, type: sockaddr}}], "
        "selectors: "
        "[{{matchArgs: [{{index: 1, operator: SAddr, values: [{1}]}}]}}]}}]}}}}\n"
        "---\n{{apiVersion: cilium.io/v1alpha1, kind: TracingPolicy, metadata: {{name: socket-{0}}}, spec: "
        "{{podSelector: "
        "{{matchLabels: {{app: web}}}}, tracepoints: [{{subsystem: sock, event: inet_sock_set_state, raw: true, args: "
        "[{{index: 0, type: sock}}, {{index: 2, type: int}}], selectors: [{{matchArgs: [{{index: 0, operator: DAddr, "
        "values: [{1}]}}, {{index: 2, operator: Equal, values: [\"2\"]}}]}}]}}]}}}}\n",  // TCP_SYN_SENT
        name, address);
  }
  const Status applied = fixture_->agent().Apply(policies);
  ASSERT_TRUE(applied.ok()) << applied << fixture_->agent().Log();
  ASSERT_EQ(Reached(kDbService, true), 2);
  const auto is_seen = [&](const std::string& policy) {
    const auto got = nlohmann::json::parse(Sluice({"get", "tracingpolicies", policy, "-o", "json"}), nullptr, false);
    EXPECT_TRUE(got.is_object()) << policy;
    return got.is_object() && got["status"]["hooks"][0].value("matches", "0") != "0";
  };
  EXPECT_TRUE(is_seen("call-service"));
  EXPECT_FALSE(is_seen("call-backend"));
  EXPECT_EQ(is_seen("socket-service"), !at_sockets);
  EXPECT_EQ(is_seen("socket-backend"), at_sockets);
}

}  // namespace
}  // namespace sluice::test
