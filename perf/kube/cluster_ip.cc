#include "perf/kube/cluster_ip.h"

#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "perf/cpu.h"
#include "perf/kube/cluster.h"
#include "perf/net/scenario.h"
#include "perf/net/sluice_node.h"
#include "perf/tcp/traffic.h"
#include "perf/tools.h"
#include "testbed/proxy_rules.h"

namespace sluice::perf {
namespace {

using std::chrono::milliseconds;

constexpr int kBackends = 20;
constexpr int kTries = 500;  // that one of 20 backends gets none of them has a probability of 1.4e-10
constexpr int kLoadSeconds = 600;
constexpr std::uint16_t kServicePort = 80, kTargetPort = 8080;
constexpr const char* kWhats[] = {"stream", "request-response", "connect-close"};
constexpr const char* kUnits[] = {"Mbit/s", "a second", "a second"};

using Rules = std::optional<test::ProxyMode>;
constexpr test::ProxyMode kIptables = test::ProxyMode::kIptables, kNftables = test::ProxyMode::kNftables;

struct Path {
  std::string name;  // with cluster-ip/
  Rules rules;
  bool sluice = false;
  int services = 0;  // 0: to the backend's own address
  std::vector<std::string> against;
};

std::vector<Path> PathsOf(bool brief) {
  std::vector<Path> paths = {{.name = "cluster-ip/direct", .sluice = true}};
  for (const int services : brief ? std::vector<int>{20} : std::vector<int>{1, 100, 5000}) {
    const auto name = [&](const char* who) { return fmt::format("cluster-ip/{}/services:{}", who, services); };
    paths.push_back({.name = name("iptables"), .rules = kIptables, .services = services});
    paths.push_back({.name = name("nftables"), .rules = kNftables, .services = services});
    const std::vector<std::string> against = {"cluster-ip/direct", name("iptables"), name("nftables")};
    for (const auto& [who, rules] : {std::pair{"sluice", Rules()},
                                     {"sluice-beside-iptables", Rules(kIptables)},
                                     {"sluice-beside-nftables", Rules(kNftables)}})
      paths.push_back({.name = name(who), .rules = rules, .sluice = true, .services = services, .against = against});
  }
  return paths;
}

std::string Ip(int first, int number) {
  return fmt::format("{}.{}.{}.{}", first >> 8, (first & 0xff) + number / 65536, number / 256 % 256, number % 256);
}
std::string ClusterIpOf(int service) { return Ip(10 << 8 | 96, service); }
std::string BackendOf(int backend) { return fmt::format("10.1.1.{}", 1 + backend); }

// The one that is measured is in the middle of the table, and so of the rules. Nobody has the others' backends.
StatusOr<std::shared_ptr<const policy::ServiceTable>> TableOf(int services) {
  const auto table = std::make_shared<policy::ServiceTable>();
  for (int i = 0; i < services; ++i) {
    policy::ServiceEntry entry{
        .service = {"bench", fmt::format("service-{}", i)}, .port_name = "http", .affinity = {}, .backends = {}};
    for (int j = 0; j < kBackends; ++j) {
      const std::string ip = i == services / 2 ? BackendOf(j) : Ip(11 << 8, i * kBackends + j);
      SL_ASSIGN_OR_RETURN(const policy::Address address, policy::Address::Parse(ip));
      entry.backends.push_back({address, kTargetPort});
    }
    SL_ASSIGN_OR_RETURN(const policy::Address address, policy::Address::Parse(ClusterIpOf(i)));
    (*table)[{address, kServicePort, IPPROTO_TCP}] = std::move(entry);
  }
  return table;
}

std::vector<test::ProxiedService> ProxiedOf(const policy::ServiceTable& table) {
  std::vector<test::ProxiedService> services;
  for (const auto& [frontend, entry] : table) {
    test::ProxiedService service{.name = entry.service.ToString(),
                                 .port_name = entry.port_name,
                                 .protocol = frontend.protocol,
                                 .cluster_ip = frontend.address.ToString(),
                                 .port = frontend.port};
    for (const policy::Backend& backend : entry.backends)
      service.backends.push_back({.ip = backend.address.ToString(), .port = backend.port});
    services.push_back(std::move(service));
  }
  return services;
}

// A node with a client and a server, which has the addresses of all measured backends; and rules of kube-proxy.
class TranslatingNode {
 public:
  static StatusOr<std::shared_ptr<TranslatingNode>> Create(Rules rules, int services) {
    const auto node = std::make_shared<TranslatingNode>();
    SL_ASSIGN_OR_RETURN(node->node_, test::TestNode::Create({.pods = {kClient, kServer}}));
    SL_RETURN_IF_ERROR(node->AddBackends());
    if (!rules) return node;
    SL_ASSIGN_OR_RETURN(const auto table, TableOf(services));
    SL_RETURN_IF_ERROR(node->node_->Run(
        [&] { return test::InstallProxyRules(*rules, ProxiedOf(*table), {node->node_->ip4()}, kLoadSeconds); }));
    return node;
  }

  StatusOr<TcpFigures> Measure(const Path& path, const TcpDurations& durations) const {
    // Only while it is measured, as its programs run at all connections of the machine.
    std::unique_ptr<SluiceNode> sluice;
    if (path.sluice) {
      SluiceNode::Options options{.resources = WorkloadYaml(node_->pod(kClient)) + WorkloadYaml(node_->pod(kServer))};
      if (path.services > 0) {
        SL_ASSIGN_OR_RETURN(options.services, TableOf(path.services));
      }
      SL_ASSIGN_OR_RETURN(sluice, SluiceNode::Start(*node_, options));
    }
    TcpEnds ends{.client_netns = node_->netns(node_->pod(kClient)).fd(),
                 .server_netns = node_->netns(node_->pod(kServer)).fd(),
                 .server = path.services > 0 ? ClusterIpOf(path.services / 2) : BackendOf(0),
                 .port = path.services > 0 ? kServicePort : kTargetPort,
                 .listens = kTargetPort};
    SL_ASSIGN_OR_RETURN(ends.client_cpu, MeasuredCpu());
    ends.server_cpu = ends.client_cpu;
    SL_ASSIGN_OR_RETURN(const std::set<std::string> reached, ReachedAddresses(ends, kTries));
    const std::size_t expected = path.services > 0 ? kBackends : 1;
    if (reached.size() != expected)
      return MakeError(absl::StatusCode::kInternal, "{} connections to {}:{} reached {} backends, expected {}", kTries,
                       ends.server, ends.port, reached.size(), expected);
    SL_ASSIGN_OR_RETURN(const TcpFigures figures, MeasureTcp(ends, durations));
    if (sluice != nullptr) SL_RETURN_IF_ERROR(CheckCounters(path, *sluice));
    return figures;
  }

 private:
  Status AddBackends() const {
    const test::TestPod& server = node_->pod(kServer);
    std::string inside, outside;
    for (int i = 0; i < kBackends; ++i) {
      inside += fmt::format("addr add {}/32 dev eth0\n", BackendOf(i));
      outside += fmt::format("route add {0}/32 dev {1} src {2}\nneigh add {0} lladdr {3} dev {1} nud permanent\n",
                             BackendOf(i), server.host_interface, node_->ip4(), server.pod_mac);
    }
    SL_RETURN_IF_ERROR(node_->netns(server).Ip(inside));
    return node_->netns().Ip(outside);
  }

  // All packets were let through. TCP that the host's connection tracking follows takes no redirect, all other does.
  static Status CheckCounters(const Path& path, SluiceNode& sluice) {
    SL_ASSIGN_OR_RETURN(const datapath::Counters counters, sluice.datapath().ReadCounters());
    for (int hook = 0; hook < SL_HOOK_COUNT; ++hook)
      for (int outcome = 0; outcome < SL_OUTCOME_COUNT; ++outcome)
        if (outcome != SL_DROP_NONE && counters.packets[hook][outcome].packets > 0)
          return MakeError(absl::StatusCode::kInternal, "{} packets with outcome {} at hook {}",
                           counters.packets[hook][outcome].packets, outcome, hook);
    const bool redirected = counters.events[SL_COUNTER_REDIRECT_PEER] > 0;
    if (redirected == !path.rules) return OkStatus();
    return MakeError(absl::StatusCode::kInternal, "{}",
                     redirected ? "packets took the redirect, which connection tracking does not see"
                                : "no packet took the redirect");
  }

  std::unique_ptr<test::TestNode> node_;
};

// Made when first needed; those without Sluice are also of the paths with it.
using Nodes = std::map<std::pair<Rules, int>, std::shared_ptr<TranslatingNode>>;

Scenario ScenarioOf(const Path& path, const TcpDurations& durations, const std::shared_ptr<Nodes>& nodes) {
  Scenario scenario;
  scenario.floor = path.against.empty();
  for (std::size_t i = 0; i < std::size(kWhats); ++i) {
    Row row{.name = fmt::format("{}/{}", path.name, kWhats[i]), .unit = kUnits[i]};
    for (const std::string& other : path.against) row.against.push_back(fmt::format("{}/{}", other, kWhats[i]));
    scenario.rows.push_back(std::move(row));
  }
  // Sluice alone has its Services in its own tables only.
  const std::pair key{path.rules, !path.rules ? 0 : path.services};
  scenario.prepare = [nodes, key]() -> Status {
    std::shared_ptr<TranslatingNode>& node = (*nodes)[key];
    if (node == nullptr) {
      SL_ASSIGN_OR_RETURN(node, TranslatingNode::Create(key.first, key.second));
    }
    return OkStatus();
  };
  scenario.measure = [nodes, key, path, durations]() -> StatusOr<std::vector<double>> {
    SL_ASSIGN_OR_RETURN(const TcpFigures figures, nodes->at(key)->Measure(path, durations));
    return std::vector<double>{figures.stream_mbits, figures.requests.per_second, figures.connections};
  };
  return scenario;
}

}  // namespace

std::vector<std::string> ClusterIpRows(bool brief) {
  std::vector<std::string> rows;
  for (const Path& path : PathsOf(brief))
    for (const char* what : kWhats) rows.push_back(fmt::format("{}/{}", path.name, what));
  return rows;
}

Status MeasureClusterIp(const RunOptions& options, Report* report) {
  const TcpDurations durations = options.brief ? TcpDurations{milliseconds(120), milliseconds(20), milliseconds(20)}
                                               : TcpDurations{milliseconds(400), milliseconds(300), milliseconds(300)};
  const auto nodes = std::make_shared<Nodes>();
  std::vector<Scenario> scenarios;
  for (const Path& path : PathsOf(options.brief)) {
    if (!path.rules || IsInstalled(test::ProxyProgram(*path.rules)))
      scenarios.push_back(ScenarioOf(path, durations, nodes));
    else
      report->left_out.push_back(fmt::format("{}: {} is not installed", path.name, test::ProxyProgram(*path.rules)));
  }
  Select(options, &scenarios);
  QuietCheck quiet = QuietCheck::Start(options.quiet_check);
  SL_RETURN_IF_ERROR(RunScenarios(options.runs, &scenarios, &quiet));
  report->notes.insert(report->notes.end(), quiet.notes().begin(), quiet.notes().end());
  // By quantity, so that compared rows are adjacent.
  for (std::size_t i = 0; i < std::size(kWhats); ++i)
    for (Scenario& one : scenarios) report->rows.push_back(std::move(one.rows[i]));
  return OkStatus();
}

}  // namespace sluice::perf
