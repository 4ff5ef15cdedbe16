// The cache of DNS on the node, as kubernetes/dns sets it up (cmd/node-cache, modes with iptables): the cluster DNS'
// address and one of its own on an interface, with rules that keep both from being translated.
#include "tests/netns/services/proxy_fixture.h"

namespace sluice::test {
namespace {

constexpr char kOwnIp[] = "169.254.20.10", kClusterDns[] = "10.96.0.10";
constexpr std::uint16_t kDnsPort = 53;

// Its rules for one of its addresses. The port of its health check is left out.
std::string CacheRules(const char* table) {
  const bool is_raw = std::string(table) == "raw";
  std::string rules = fmt::format("*{}\n", table);
  for (const char* ip : {kOwnIp, kClusterDns})
    for (const char* protocol : {"udp", "tcp"}) {
      const std::string to = fmt::format("-d {} -p {} -m {} --dport 53", ip, protocol, protocol);
      const std::string from = fmt::format("-s {} -p {} -m {} --sport 53", ip, protocol, protocol);
      if (is_raw)
        rules +=
            fmt::format("-A PREROUTING {0} -j NOTRACK\n-A OUTPUT {1} -j NOTRACK\n-A OUTPUT {0} -j NOTRACK\n", to, from);
      else
        rules += fmt::format("-A INPUT {} -j ACCEPT\n-A OUTPUT {} -j ACCEPT\n", to, from);
    }
  return rules + "COMMIT\n";
}

class LocalDns : public EachPlace {
 protected:
  void SetUp() override {
    EachPlace::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    // The DNS pod is far-db.
    std::vector<ProxiedService> rules;
    std::vector<TestService> known;
    for (const std::uint8_t protocol : {kTcp, kUdp}) {
      rules.push_back({.name = "kube-system/kube-dns",
                       .port_name = "dns",
                       .protocol = protocol,
                       .cluster_ip = kClusterDns,
                       .port = kDnsPort,
                       .backends = {{IpOf("far-db"), kTalkPort, false}}});
      known.push_back({{kClusterDns, kDnsPort}, protocol, {}, 0, "dns", {{IpOf("far-db"), kTalkPort}}});
    }
    InstallRules(rules);
    Put(known);
    // A bridge without ports, as not every kernel has dummy interfaces.
    Status cache = node_->netns().Ip(
        fmt::format("link add nodelocaldns type bridge\naddr add {}/32 dev nodelocaldns\naddr add {}/32 dev "
                    "nodelocaldns\n",
                    kOwnIp, kClusterDns));
    ASSERT_TRUE(cache.ok()) << cache;
    SL_SKIP_OR_FAIL_IF(MissingProxyProgram(ProxyMode::kIptables));
    Status has_rules = node_->Run([]() -> Status {
      SL_RETURN_IF_ERROR(RunChecked({"iptables-legacy-restore"}, CacheRules("raw")));
      return RunChecked({"iptables-legacy-restore", "--noflush"}, CacheRules("filter"));
    });
    if (!has_rules.ok()) GTEST_SKIP() << "the kernel lacks iptable_raw or xt_CT: " << has_rules;
    std::vector<ServerSpec> specs;
    for (const std::uint8_t protocol : {kTcp, kUdp})
      specs.push_back({.netns_fd = node_->fd(), .protocol = protocol, .port = kDnsPort});
    auto servers = ProbeServers::Start(specs);
    ASSERT_TRUE(servers.ok()) << servers.status();
    cache_ = *std::move(servers);
  }

  // web asks the cache itself, by both protocols.
  void ExpectCache(const char* ip, ProbeOutcome outcome) {
    std::vector<sluice::test::Probe> probes;
    const auto to = policy::Address::Parse(ip);
    ASSERT_TRUE(to.ok()) << to.status();
    for (const std::uint8_t protocol : {kTcp, kUdp})
      probes.push_back({.netns_fd = NetNsOf("web").fd(), .destination = *to, .protocol = protocol, .port = kDnsPort});
    const auto results = RunProbes(probes);
    ASSERT_TRUE(results.ok()) << results.status();
    for (std::size_t i = 0; i < probes.size(); ++i)
      EXPECT_EQ((*results)[i].outcome, outcome)
          << ip << " protocol " << int{probes[i].protocol} << ": " << ProbeOutcomeName((*results)[i].outcome);
  }

  std::unique_ptr<ProbeServers> cache_;
};

INSTANTIATE_TEST_SUITE_P(Places, LocalDns, ::testing::Combine(kProxyModes, ::testing::Bool()), NameOfPlace);

TEST_P(LocalDns, TheClusterDnsIsTheDnsPodThoughTheNodeHasItsAddress) {
  EnforceAll(WebEgress(ToPod("far-db")));
  ExpectReached("web", {kClusterDns, kDnsPort}, "far-db");
  ExpectCache(kOwnIp, ProbeOutcome::kTimeout);
  EnforceAll(WebEgress(ToPod("db")));
  ExpectDropped("web", {kClusterDns, kDnsPort}, "far-db");
}

TEST_P(LocalDns, TheCacheItselfIsAllowedByIpBlock) {
  EnforceAll(WebEgress(ToBlock({kOwnIp})));
  ExpectCache(kOwnIp, ProbeOutcome::kAllowed);
  ExpectDropped("web", {kClusterDns, kDnsPort}, "far-db");
  // Without a table the query for the cluster DNS stays on the node too, whose address it is.
  Put({});
  EnforceAll(WebEgress(ToBlock({kClusterDns})));
  ExpectCache(kClusterDns, ProbeOutcome::kAllowed);
  ExpectCache(kOwnIp, ProbeOutcome::kTimeout);
}

}  // namespace
}  // namespace sluice::test
