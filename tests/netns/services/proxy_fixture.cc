#include "tests/netns/services/proxy_fixture.h"

#include <algorithm>

namespace sluice::test {
namespace {

constexpr int kExchanges = 12;  // a flow takes the redirect after the first two

bool IsFar(const std::string& name) { return name.starts_with("far"); }

const char* ProtocolName(std::uint8_t protocol) { return protocol == policy::kTcp ? "TCP" : "UDP"; }

}  // namespace

void BesideProxyFixture::SetUp() {
  outside_ = true;
  ServicesFixture::SetUp();
  if (IsSkipped() || HasFatalFailure()) return;
  SL_SKIP_OR_FAIL_IF(MissingProxyProgram(mode()));
  std::string missing;
  const Status looked = node_->Run([&] {
    missing = MissingProxyFeature(mode());
    return OkStatus();
  });
  ASSERT_TRUE(looked.ok()) << looked;
  if (!missing.empty()) GTEST_SKIP() << missing;
  JoinFarNode();
  if (HasFatalFailure()) return;
  // A veth leaves checksums to hardware that it does not have, and takes frames of XDP only with GRO.
  Run("outside", {"ethtool", "-K", "eth0", "tx", "off"});
  for (const char* pod : {"web", "db", "other"}) Run(pod, {"ethtool", "-K", "eth0", "gro", "on"});
  Configure(SL_SETTING_REDIRECT);
  SetClients(is_at_sockets() ? std::vector<std::string>{"web"} : std::vector<std::string>{});
}

void BesideProxyFixture::JoinFarNode() {
  auto made = TestNode::Create({.pods = {"far", "far-db"}, .subnet = 2});
  ASSERT_TRUE(made.ok()) << made.status();
  far_ = *std::move(made);
  const TestNetNs& outside = node_->netns(node_->outside());
  Status joined =
      far_->netns().Ip(fmt::format("link add uplink type veth peer name eth1 netns {}\nlink set uplink up\n"
                                   "addr add {}/24 dev uplink\n",
                                   outside.name(), kFarNodeIp));
  joined.Update(
      outside.Ip("link set eth1 up\naddr add 198.51.100.2/24 dev eth1\nroute add 10.2.0.0/24 via 198.51.100.1\n"));
  joined.Update(outside.Sysctl("net/ipv4/ip_forward", "1"));
  joined.Update(far_->netns().Ip("route add default via 198.51.100.2\n"));
  joined.Update(node_->netns().Ip("route add default via 192.0.2.2\n"));
  // Without connection tracking there is no such key before the first rule; MissingFeature has had one.
  for (const TestNode* node : {node_.get(), far_.get()}) {
    joined.Update(node->Run([this] { return InstallProxyRules(mode(), {}, {}); }));
    joined.Update(node->netns().Sysctl("net/netfilter/nf_conntrack_tcp_be_liberal", "1"));
  }
  ASSERT_TRUE(joined.ok()) << joined;
}

const TestNetNs& BesideProxyFixture::NetNsOf(const std::string& name) const {
  return IsFar(name) ? far_->netns(far_->pod(name)) : node_->netns(Pod(name));
}

std::string BesideProxyFixture::IpOf(const std::string& pod) const {
  return IsFar(pod) ? far_->pod(pod).ip4 : Pod(pod).ip4;
}

std::vector<ProxiedService> BesideProxyFixture::Proxied(const std::vector<Exposed>& services,
                                                        const BesideProxyFixture& in) {
  std::vector<ProxiedService> all;
  for (const Exposed& one : services)
    for (const std::uint8_t protocol : {kTcp, kUdp})
      all.push_back({.name = "shop/" + one.name,
                     .port_name = "main",
                     .protocol = protocol,
                     .cluster_ip = one.ip,
                     .port = kServicePort,
                     .backends = {{in.IpOf(one.pod), kTalkPort, !IsFar(one.pod)}},
                     .node_port = one.node_port,
                     .balancer = one.balancer,
                     .is_external_local = one.is_local});
  return all;
}

void BesideProxyFixture::InstallRules(const std::vector<ProxiedService>& services) {
  const Status near = node_->Run([&] { return InstallProxyRules(mode(), services, {kNodeIp, kOtherNodeIp}); });
  ASSERT_TRUE(near.ok()) << near;
  std::vector<ProxiedService> of_far = services;
  for (ProxiedService& service : of_far)
    for (ProxiedBackend& backend : service.backends) backend.is_local = !backend.is_local;
  const Status far = far_->Run([&] { return InstallProxyRules(mode(), of_far, {kFarNodeIp}); });
  ASSERT_TRUE(far.ok()) << far;
}

void BesideProxyFixture::Expose(const std::vector<Exposed>& services) {
  InstallRules(Proxied(services, *this));
  std::vector<TestService> known;
  for (const Exposed& one : services) {
    std::vector<End> addresses = {{one.ip, kServicePort}};
    if (one.node_port != 0) addresses.push_back({kNodeIp, one.node_port});
    if (!one.balancer.empty() && one.is_balancer_of_node) addresses.push_back({one.balancer, kServicePort});
    for (const End& address : addresses)
      for (const std::uint8_t protocol : {kTcp, kUdp})
        known.push_back({address, protocol, {}, 0, one.name, {{IpOf(one.pod), kTalkPort}}});
  }
  Put(known);
}

void BesideProxyFixture::EnforceAll(const std::string& policies) {
  std::string far;
  for (const TestPod& pod : far_->pods())
    far += fmt::format(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {0}, namespace: shop, labels: {{app: {0}}}}}\n"
        "spec: {{containers: [{{name: main}}]}}\nstatus: {{phase: Running, podIPs: [{{ip: {1}}}]}}\n---\n",
        pod.name, pod.ip4);
  Enforce(far + policies);
  if (HasFatalFailure()) return;
  const Status attached = node_->Run([&] { return datapath_->AttachUplink("uplink").status(); });
  ASSERT_TRUE(attached.ok()) << attached;
}

std::string BesideProxyFixture::WebEgress(const std::string& peer) {
  return "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: web-egress, namespace: shop}\n"
         "spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{to: [" +
         peer + "]}]}\n---\n";
}

std::string BesideProxyFixture::DbIngress(const std::string& peer) {
  return "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: db-ingress, namespace: shop}\n"
         "spec: {podSelector: {matchLabels: {app: db}}, policyTypes: [Ingress], ingress: [{from: [" +
         peer + "]}]}\n---\n";
}

std::string BesideProxyFixture::ToPod(const std::string& app) {
  return "{podSelector: {matchLabels: {app: " + app + "}}}";
}

std::string BesideProxyFixture::ToBlock(const std::vector<std::string>& ips) {
  std::string blocks;
  for (const std::string& ip : ips)
    blocks += fmt::format("{}{{ipBlock: {{cidr: {}/32}}}}", blocks.empty() ? "" : ", ", ip);
  return blocks;
}

StatusOr<std::unique_ptr<Conversation>> BesideProxyFixture::Talk(const std::string& client, const End& to,
                                                                 const std::string& server,
                                                                 std::uint8_t protocol) const {
  return Conversation::Open({.client = &NetNsOf(client),
                             .server = &NetNsOf(server),
                             .to = AddressOf(to.ip),
                             .port = to.port,
                             .server_port = kTalkPort,
                             .protocol = protocol});
}

std::vector<BesideProxyFixture::Exposed> BesideProxyFixture::WithNodePorts(const std::vector<std::string>& pods,
                                                                           bool is_local) {
  std::vector<Exposed> services;
  for (std::size_t i = 0; i < pods.size(); ++i)
    services.push_back({.name = pods[i],
                        .ip = "10.96.0.1" + std::to_string(i),
                        .pod = pods[i],
                        .node_port = static_cast<std::uint16_t>(kNodePort + i),
                        .balancer = "",
                        .is_local = is_local});
  return services;
}

void BesideProxyFixture::ExpectReached(const std::string& client, const End& to, const std::string& server) {
  for (const std::uint8_t protocol : {kTcp, kUdp}) {
    SCOPED_TRACE(::testing::Message() << ProtocolName(protocol) << " " << client << " -> " << to << " -> " << server);
    const auto talk = Talk(client, to, server, protocol);
    ASSERT_TRUE(talk.ok()) << talk.status();
    for (int i = 0; i < kExchanges; ++i) ASSERT_TRUE((*talk)->Exchange()) << "exchange " << i;
    EXPECT_TRUE((*talk)->Close());
  }
}

void BesideProxyFixture::ExpectDropped(const std::string& client, const End& to, const std::string& server) {
  std::vector<ServerSpec> specs;
  std::vector<sluice::test::Probe> probes;
  for (const std::uint8_t protocol : {kTcp, kUdp}) {
    specs.push_back({.netns_fd = NetNsOf(server).fd(), .protocol = protocol, .port = kTalkPort});
    probes.push_back(
        {.netns_fd = NetNsOf(client).fd(), .destination = AddressOf(to.ip), .protocol = protocol, .port = to.port});
  }
  const auto servers = ProbeServers::Start(specs);
  ASSERT_TRUE(servers.ok()) << servers.status();
  const auto results = RunProbes(probes);
  ASSERT_TRUE(results.ok()) << results.status();
  for (std::size_t i = 0; i < probes.size(); ++i)
    EXPECT_EQ((*results)[i].outcome, ProbeOutcome::kTimeout)
        << ProtocolName(probes[i].protocol) << " " << client << " -> " << to << " -> " << server << ": "
        << ProbeOutcomeName((*results)[i].outcome) << " " << (*results)[i].detail;
}

std::string NameOfMode(const ::testing::TestParamInfo<ProxyMode>& info) {
  return info.param == ProxyMode::kIptables ? "Iptables" : "Nftables";
}

std::string NameOfPlace(const ::testing::TestParamInfo<std::tuple<ProxyMode, bool>>& info) {
  return std::string(std::get<0>(info.param) == ProxyMode::kIptables ? "Iptables" : "Nftables") +
         (std::get<1>(info.param) ? "Sockets" : "Veth");
}

}  // namespace sluice::test
