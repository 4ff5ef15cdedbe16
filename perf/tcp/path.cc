#include "perf/tcp/path.h"

#include "perf/bpf/rotation.h"
#include "perf/net/allow.h"
#include "testbed/tcp_udp_probe.h"

namespace sluice::perf {
namespace {

using std::chrono::milliseconds;
constexpr std::uint16_t kPort = PERF_FIRST_SERVICE_PORT, kOtherPort = PERF_FIRST_SERVICE_PORT + PERF_SERVICE_PORTS;
constexpr char kClientAddress[] = "10.1.0.2";  // TestNode's first pod

template <typename... Args>
Status Wrong(fmt::format_string<Args...> format, Args&&... args) {
  return Status(absl::StatusCode::kInternal, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace

std::vector<TcpPath> AllTcpPaths(bool brief) {
  const int set = brief ? 100 : 10000, rules = brief ? 10 : 1000;
  const std::string by_set = fmt::format("nft-ct/set:{}", set), by_rules = fmt::format("nft-ct/rules:{}", rules);
  const std::vector<std::string> peers = {"route", "bridge", by_set, by_rules};
  std::vector<TcpPath> paths = {
      {.name = "route"},
      {.name = "bridge", .against = {"route"}, .bridged = true},
      {.name = by_set, .against = {"route"}, .nft = NftForwardSet({.listed = set, .allowed = kClientAddress})},
      {.name = by_rules, .against = {"route"}, .nft = NftForwardRules(rules, kClientAddress, kPort)}};
  for (const int number : brief ? std::vector<int>{0, 100} : std::vector<int>{0, 100, 10000})
    paths.push_back({.name = fmt::format("sluice/rules:{}", number), .against = peers, .sluice_rules = number});
  // A stream's spell is 50 ms long.
  const TcpDurations durations = brief ? TcpDurations{milliseconds(120), milliseconds(20), milliseconds(20)}
                                       : TcpDurations{milliseconds(1000), milliseconds(600), milliseconds(600)};
  for (TcpPath& path : paths) path.durations = durations;
  return paths;
}

StatusOr<std::unique_ptr<TcpPair>> TcpPair::Create(const TcpPath& path) {
  std::unique_ptr<TcpPair> pair(new TcpPair(path));
  SL_RETURN_IF_ERROR(pair->Build());
  return pair;
}

Status TcpPair::Build() {
  SL_ASSIGN_OR_RETURN(node_, test::TestNode::Create({.wiring = path_.bridged ? test::TestNode::Wiring::kBridged
                                                                             : test::TestNode::Wiring::kRouted,
                                                     .pods = {"client", "server"}}));
  const test::TestPod &client = node_->pod("client"), &server = node_->pod("server");
  if (!path_.nft.empty())
    SL_RETURN_IF_ERROR(node_->Run([&] { return test::RunChecked({"nft", "-f", "-"}, path_.nft); }));
  if (path_.sluice_rules >= 0) {
    const Allow allow{
        .sender = &client, .local_sender = true, .receiver = &server, .rules = path_.sluice_rules, .protocol = "TCP"};
    const std::string resources =
        path_.sluice_rules > 0 ? SluiceAllow(allow) : WorkloadYaml(client) + WorkloadYaml(server);
    SL_ASSIGN_OR_RETURN(sluice_, SluiceNode::Start(*node_, {.resources = resources}));
  }
  return CheckOtherPort();
}

// Nothing listens there: a packet that is forwarded is refused, and a dropped one gets no answer.
Status TcpPair::CheckOtherPort() const {
  const test::TestPod& client = node_->pod("client");
  SL_ASSIGN_OR_RETURN(const auto server, policy::Address::Parse(node_->pod("server").ip4));
  SL_ASSIGN_OR_RETURN(const auto results, test::RunProbes({{.netns_fd = node_->netns(client).fd(),
                                                            .destination = server,
                                                            .port = kOtherPort,
                                                            .timeout = milliseconds(path_.filters() ? 300 : 5000)}}));
  const auto expected = path_.filters() ? test::ProbeOutcome::kTimeout : test::ProbeOutcome::kRefused;
  if (results.front().outcome == expected) return OkStatus();
  return Wrong("wrong verdict: a connection to port {} ends with {}, expected {}", kOtherPort,
               test::ProbeOutcomeName(results.front().outcome), test::ProbeOutcomeName(expected));
}

StatusOr<TcpFigures> TcpPair::Run() const {
  return MeasureTcp({.client_netns = node_->netns(node_->pod("client")).fd(),
                     .server_netns = node_->netns(node_->pod("server")).fd(),
                     .server = node_->pod("server").ip4,
                     .port = kPort},
                    path_.durations);
}

// Checks that all packets came from the pods and none was denied. The first and last packets of a connection pass the
// host; the rest is redirected straight into the other pod.
Status TcpPair::CheckCounters(const datapath::Counters& before, const datapath::Counters& after) const {
  const auto counted = [&](int hook, int outcome) {
    return after.packets[hook][outcome].packets - before.packets[hook][outcome].packets;
  };
  for (int hook = 0; hook < SL_HOOK_COUNT; ++hook)
    for (int outcome = 0; outcome < SL_OUTCOME_COUNT; ++outcome)
      if ((hook == SL_HOOK_XDP_UPLINK || outcome != SL_DROP_NONE) && counted(hook, outcome) > 0)
        return Wrong("{} packets with outcome {} at hook {}", counted(hook, outcome), outcome, hook);
  const std::uint64_t redirects = after.events[SL_COUNTER_REDIRECT_PEER] - before.events[SL_COUNTER_REDIRECT_PEER];
  return redirects > 0 ? OkStatus() : Wrong("no packet took the redirect");
}

StatusOr<TcpFigures> TcpPair::Measure() {
  if (sluice_ == nullptr) return Run();
  SL_ASSIGN_OR_RETURN(const auto before, sluice_->datapath().ReadCounters());
  SL_ASSIGN_OR_RETURN(const TcpFigures figures, Run());
  SL_ASSIGN_OR_RETURN(const auto after, sluice_->datapath().ReadCounters());
  SL_RETURN_IF_ERROR(CheckCounters(before, after));
  return figures;
}

}  // namespace sluice::perf
