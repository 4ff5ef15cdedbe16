#include "perf/kube/kube_suite.h"

#include <fmt/format.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/log.h"
#include "perf/agent_child.h"
#include "perf/elapsed.h"
#include "perf/kube/cluster.h"
#include "perf/kube/cluster_ip.h"
#include "perf/kube/cni_calls.h"
#include "perf/kube/probe_flow.h"
#include "perf/kube/runtime.h"
#include "perf/machine.h"
#include "perf/network.h"
#include "perf/orderly_end.h"
#include "perf/own_directory.h"
#include "perf/rows.h"
#include "policy/network/tables.h"
#include "testbed/command.h"

namespace sluice::perf {
namespace {

constexpr double kKilobyte = 1e3, kMegabyte = 1e6;
constexpr int kDefaultAddresses = policy::Limits{}.addresses;
constexpr auto kSettled = std::chrono::seconds(1);
constexpr auto kEventPatience = std::chrono::seconds(60);
constexpr auto kBetweenLooks = std::chrono::milliseconds(20);
constexpr std::uint64_t kBytesOfAnEvent = 2000;  // at least, of a pod

struct KubeSizes {
  ClusterSizes cluster;
  int cni_pods;                    // that the plugin adds
  int neighbours = 0;              // other pods on the node, beside kClient and kServer
  int labels = 0;                  // changes in a run
  std::chrono::seconds api{0};     // how long requests are counted
  int api_changes = 0;             // of pods, in that time
  std::vector<std::string> agent;  // options
};

KubeSizes KubeSizesOf(bool brief) {
  KubeSizes sizes{.cluster = brief ? kBriefCluster : kFullCluster, .cni_pods = 0};
  sizes.labels = brief ? 2 : 10;
  sizes.api = std::chrono::seconds(brief ? 1 : 60);
  sizes.api_changes = brief ? 10 : 100;
  return sizes;
}

// A kubelet's most pods by default are 110.
KubeSizes CniSizesOf(bool brief) {
  return {.cluster = brief ? kBriefCluster : kFullCluster, .cni_pods = brief ? 3 : 20, .neighbours = brief ? 2 : 88};
}

// What grows, each with as many Services and policies for a pod as the full cluster has; no more than the 10,000
// Services that Kubernetes supports.
std::vector<KubeSizes> GrowthOf(bool brief) {
  std::vector<KubeSizes> sizes;
  for (const int pods : brief ? std::vector<int>{200} : std::vector<int>{1000, 5000, 10000, 20000, 50000, 150000}) {
    sizes.push_back({.cluster = {pods, std::min(pods / 5, 10000), pods / 20}, .cni_pods = 0, .labels = 5});
    if (pods > kDefaultAddresses) sizes.back().agent = {"--max-addresses", std::to_string(2 * kDefaultAddresses)};
  }
  return sizes;
}
constexpr double kBytesOfAPod = 20000;  // here, where its text is kept twice, and in the agent

// Tables of the kernel that grow with the cluster, as `sluice status` names them.
constexpr const char* kGrowingTables[] = {"addresses", "peers", "ports", "services", "service_backends"};

std::string StartName(const KubeSizes& sizes) { return fmt::format("start/pods:{}", sizes.cluster.pods); }
std::string LabelName(const KubeSizes& sizes) { return fmt::format("label/pods:{}", sizes.cluster.pods); }
std::vector<std::string> StartNames(const KubeSizes& sizes) {
  const std::string name = StartName(sizes);
  return {name, name + "/again", name + "/resident"};
}
std::string IdleName(const KubeSizes& sizes) { return fmt::format("idle:{}s", sizes.api.count()); }
std::string ChangesName(const KubeSizes& sizes) {
  return fmt::format("changes:{}/{}s", sizes.api_changes, sizes.api.count());
}
std::vector<std::string> CniNames() {
  return {"floor/cni/start-a-program", "floor/cni/start-a-program/at-once", "cni/add", "cni/add/p99", "cni/add/at-once",
          "cni/add/at-once/p99"};
}
std::vector<std::string> ApiNames(const KubeSizes& sizes) {
  std::vector<std::string> names;
  for (const std::string& what : {std::string("list"), IdleName(sizes), ChangesName(sizes)})
    for (const char* unit : {"requests", "sent", "received"}) names.push_back(fmt::format("api/{}/{}", what, unit));
  return names;
}
std::string GrowthName(const KubeSizes& sizes) { return fmt::format("growth/pods:{}", sizes.cluster.pods); }
std::vector<std::string> GrowthNames(const KubeSizes& sizes) {
  std::vector<std::string> names;
  for (const char* what : {"start", "resident", "list", "label"}) names.push_back(GrowthName(sizes) + "/" + what);
  for (const char* table : kGrowingTables) names.push_back(fmt::format("{}/{}", GrowthName(sizes), table));
  return names;
}

// 64-bit numbers are text in protobuf's JSON.
double NumberOf(const nlohmann::json& object, const char* field) {
  const auto number = object.find(field);
  if (number == object.end()) return 0;
  return number->is_string() ? std::strtod(number->get<std::string>().c_str(), nullptr) : number->get<double>();
}

// A node with pods, an API server that has all of the cluster, a container runtime that has the pods that run already,
// and directories for the agent.
class KubeNode {
 public:
  static StatusOr<std::unique_ptr<KubeNode>> Create(const KubeSizes& sizes) {
    SL_ASSIGN_OR_RETURN(Scratch scratch, Scratch::Create());
    std::unique_ptr<KubeNode> made(new KubeNode(sizes, std::move(scratch)));
    SL_RETURN_IF_ERROR(made->Prepare());
    return made;
  }

  Status MeasureStarts(int runs, Rows* rows) {
    const std::string name = StartName(sizes_);
    for (int run = 0; run < runs; ++run) {
      SL_RETURN_IF_ERROR(scratch_.Clear());
      for (const bool again : {false, true}) {
        SL_RETURN_IF_ERROR(OrderlyEnd::Check());
        SL_RETURN_IF_ERROR(StartAgent());
        rows->Add(again ? name + "/again" : name, "ms", agent_->start_ms());
        SL_RETURN_IF_ERROR(CheckVerdicts());
        std::this_thread::sleep_for(kSettled);
        SL_ASSIGN_OR_RETURN(const double resident, agent_->ResidentBytes());
        if (!again) rows->Add(name + "/resident", "MB", resident / kMegabyte);
        SL_RETURN_IF_ERROR(StopAgent());
      }
    }
    return OkStatus();
  }

  // From the change at the API server to the first packet with the new verdict.
  Status MeasureLabels(const std::string& name, int changes, Rows* rows) {
    SL_RETURN_IF_ERROR(CheckVerdicts());
    for (int i = 0; i < changes; ++i) {
      SL_ASSIGN_OR_RETURN(ProbeFlow flow, ProbeFlow::Create(*node_, kClient, kServer));
      SL_RETURN_IF_ERROR(flow.AwaitSilence());
      const auto start = Clock::now();
      PutClient("friend");
      SL_ASSIGN_OR_RETURN(const Clock::time_point arrived, flow.FirstArrival());
      rows->Add(name, "ms", Milliseconds(start, arrived));
      PutClient("other");
      SL_RETURN_IF_ERROR(flow.AwaitSilence());
    }
    return OkStatus();
  }

  // What the agent asks of the API server and gets: until it enforces, while nothing changes, and while pods change.
  Status MeasureApi(Rows* rows) {
    SL_RETURN_IF_ERROR(scratch_.Clear());
    ApiServer::Traffic before = api_->traffic();
    const auto add = [&](const std::string& what) {
      const ApiServer::Traffic now = api_->traffic();
      const std::string name = "api/" + what;
      rows->Add(name + "/requests", "requests", static_cast<double>(now.requests - before.requests));
      const auto add_bytes = [&](const char* way, std::uint64_t bytes) {
        rows->Add(name + way, "KB", static_cast<double>(bytes) / kKilobyte, {std::string("api/list") + way});
      };
      add_bytes("/sent", now.bytes_received - before.bytes_received);
      add_bytes("/received", now.bytes_sent - before.bytes_sent);
      before = now;
    };
    SL_RETURN_IF_ERROR(StartAgent());
    add("list");
    std::this_thread::sleep_for(kSettled);
    before = api_->traffic();
    std::this_thread::sleep_for(sizes_.api);
    add(IdleName(sizes_));
    for (int i = 0; i < sizes_.api_changes; ++i) {
      SL_RETURN_IF_ERROR(OrderlyEnd::Check());
      ChangePod(i, *api_);
      std::this_thread::sleep_for(std::chrono::milliseconds(sizes_.api) / sizes_.api_changes);
    }
    // Each event carries the whole pod.
    const auto all_came = [&] {
      return api_->traffic().bytes_sent - before.bytes_sent >=
             kBytesOfAnEvent * static_cast<unsigned>(sizes_.api_changes);
    };
    for (const auto end = Clock::now() + kEventPatience; !all_came(); std::this_thread::sleep_for(kBetweenLooks)) {
      SL_RETURN_IF_ERROR(OrderlyEnd::Check());
      if (Clock::now() > end)
        return MakeError(absl::StatusCode::kDeadlineExceeded, "the agent does not get the changes of pods");
    }
    add(ChangesName(sizes_));
    return StopAgent();
  }

  Status MeasureGrowth(Rows* rows) {
    const std::string name = GrowthName(sizes_);
    const ApiServer::Traffic before = api_->traffic();
    SL_RETURN_IF_ERROR(StartAgent());
    rows->Add(name + "/start", "ms", agent_->start_ms());
    rows->Add(name + "/list", "MB", static_cast<double>(api_->traffic().bytes_sent - before.bytes_sent) / kMegabyte);
    SL_RETURN_IF_ERROR(MeasureLabels(name + "/label", sizes_.labels, rows));
    SL_ASSIGN_OR_RETURN(const double resident, agent_->ResidentBytes());
    rows->Add(name + "/resident", "MB", resident / kMegabyte);
    SL_RETURN_IF_ERROR(AddTables(rows));
    return StopAgent();
  }

  Status MeasurePlugin(int rounds, Rows* rows) {
    return MeasureCni({.node = *node_, .socket = Socket(), .ns = kNamespace}, cni_pods_, rounds, rows);
  }

  // In the node's namespace; so are all that it starts.
  Status StartAgent() {
    return node_->Run([this]() -> Status {
      std::vector<std::string> arguments = {"--kube",       scratch_.directory() + "/kubeconfig",
                                            "--cri",        "unix://" + scratch_.directory() + "/cri",
                                            "--cni-socket", Socket(),
                                            "--node-name",  kNodeName,
                                            "--metrics",    ""};
      arguments.insert(arguments.end(), sizes_.agent.begin(), sizes_.agent.end());
      SL_ASSIGN_OR_RETURN(agent_, AgentChild::Start(scratch_, arguments));
      return OkStatus();
    });
  }
  Status StopAgent() {
    const auto agent = std::move(agent_);
    return agent->Stop();
  }

 private:
  KubeNode(const KubeSizes& sizes, Scratch scratch) : sizes_(sizes), scratch_(std::move(scratch)) {
    for (int i = 0; i < sizes.cni_pods; ++i) cni_pods_.push_back(fmt::format("cni-{}", i));
    for (int i = 0; i < sizes.neighbours; ++i) running_.push_back(fmt::format("neighbour-{}", i));
  }

  Status AddTables(Rows* rows) {
    SL_ASSIGN_OR_RETURN(const test::CommandResult status,
                        test::RunCommand({OwnDirectory() + "/sluice", "--server",
                                          "unix://" + scratch_.directory() + "/api", "status", "-o", "json"}));
    const auto json = nlohmann::json::parse(status.output, nullptr, /*allow_exceptions=*/false);
    for (const char* table : kGrowingTables) {
      bool found = false;
      for (const auto& map : json.is_object() ? json.value("maps", nlohmann::json::array()) : nlohmann::json::array()) {
        if (map.value("name", "") != table) continue;
        found = true;
        rows->Add(fmt::format("{}/{}", GrowthName(sizes_), table), "entries", NumberOf(map, "entries"));
      }
      if (!found)
        return MakeError(absl::StatusCode::kInternal, "sluice status has no map {}: {}", table, status.output);
    }
    return OkStatus();
  }

  std::string Socket() const { return scratch_.directory() + "/cni"; }
  void PutClient(const std::string& app) { PutLocalPod(kClient, app, node_->pod(kClient).ip4, *api_); }

  Status Prepare() {
    std::vector<std::string> pods = running_;
    pods.insert(pods.end(), cni_pods_.begin(), cni_pods_.end());
    SL_ASSIGN_OR_RETURN(node_, test::TestNode::Create({.pods = pods}));
    SL_RETURN_IF_ERROR(node_->Run([this]() -> Status {
      SL_ASSIGN_OR_RETURN(api_, ApiServer::Start());
      return OkStatus();
    }));
    Fill(sizes_.cluster, *api_);
    for (const std::string& pod : pods)
      PutLocalPod(pod, pod == kServer ? "server" : "other", node_->pod(pod).ip4, *api_);
    std::ofstream(scratch_.directory() + "/kubeconfig") << api_->Kubeconfig();
    std::vector<node::Sandbox> sandboxes;
    for (const std::string& pod : running_) {
      sandboxes.push_back({.pod = {kNamespace, pod},
                           .uid = fmt::format("uid-{}", pod),
                           .id = fmt::format("sandbox-{}", pod),
                           .netns = node_->pod(pod).netns_path});
    }
    SL_ASSIGN_OR_RETURN(runtime_, Runtime::Start(scratch_.directory() + "/cri", std::move(sandboxes)));
    return OkStatus();
  }

  // The client is no friend of the server.
  Status CheckVerdicts() {
    SL_ASSIGN_OR_RETURN(ProbeFlow denied, ProbeFlow::Create(*node_, kClient, kServer));
    SL_RETURN_IF_ERROR(denied.AwaitSilence());
    SL_ASSIGN_OR_RETURN(ProbeFlow allowed, ProbeFlow::Create(*node_, kServer, kClient));
    return allowed.FirstArrival().status();
  }

  const KubeSizes sizes_;
  std::vector<std::string> running_ = {kClient, kServer};
  std::vector<std::string> cni_pods_;
  Scratch scratch_;  // destroyed after all that uses it
  std::unique_ptr<test::TestNode> node_;
  std::unique_ptr<ApiServer> api_;
  std::unique_ptr<Runtime> runtime_;
  std::unique_ptr<AgentChild> agent_;
};

}  // namespace

std::vector<std::string> KubeRows(bool brief) {
  const KubeSizes sizes = KubeSizesOf(brief);
  std::vector<std::string> rows = StartNames(sizes);
  rows.push_back(LabelName(sizes));
  const auto append = [&](const std::vector<std::string>& names) {
    rows.insert(rows.end(), names.begin(), names.end());
  };
  append(CniNames());
  append(ApiNames(sizes));
  for (const KubeSizes& one : GrowthOf(brief)) append(GrowthNames(one));
  append(ClusterIpRows(brief));
  return rows;
}

namespace {

Status MeasureFollowing(const RunOptions& options, const KubeSizes& sizes, bool starts, bool labels, bool api,
                        Rows* rows) {
  SL_ASSIGN_OR_RETURN(const auto node, KubeNode::Create(sizes));
  if (starts) {
    LogInfo("kube: start with {} pods", sizes.cluster.pods);
    SL_RETURN_IF_ERROR(node->MeasureStarts(std::min(options.runs, 5), rows));
  }
  if (labels) {
    LogInfo("kube: changes of a label");
    SL_RETURN_IF_ERROR(node->StartAgent());
    SL_RETURN_IF_ERROR(node->MeasureLabels(LabelName(sizes), options.runs * sizes.labels, rows));
    SL_RETURN_IF_ERROR(node->StopAgent());
  }
  if (api) {
    LogInfo("kube: requests, in {} s without changes and as many with {}", sizes.api.count(), sizes.api_changes);
    SL_RETURN_IF_ERROR(node->MeasureApi(rows));
  }
  return OkStatus();
}

Status MeasureAgent(const RunOptions& options, Rows* rows) {
  const KubeSizes sizes = KubeSizesOf(options.brief);
  const bool starts = IsAnySelected(options, StartNames(sizes)), labels = IsSelected(options, LabelName(sizes)),
             cni = IsAnySelected(options, CniNames()), api = IsAnySelected(options, ApiNames(sizes));
  if (starts || labels || api) SL_RETURN_IF_ERROR(MeasureFollowing(options, sizes, starts, labels, api, rows));
  if (!cni) return OkStatus();
  SL_ASSIGN_OR_RETURN(const auto node, KubeNode::Create(CniSizesOf(options.brief)));
  LogInfo("kube: calls of the CNI plugin");
  SL_RETURN_IF_ERROR(node->StartAgent());
  SL_RETURN_IF_ERROR(node->MeasurePlugin(options.runs, rows));
  return node->StopAgent();
}

// Once, whatever `runs` is: it is about how figures grow.
Status MeasureAllGrowth(const RunOptions& options, Rows* rows, std::vector<std::string>* left_out) {
  for (const KubeSizes& sizes : GrowthOf(options.brief)) {
    if (!IsAnySelected(options, GrowthNames(sizes))) continue;
    if (const std::string missing = MissingMemory(sizes.cluster.pods * kBytesOfAPod); !missing.empty()) {
      left_out->push_back(fmt::format("{}: {}", GrowthName(sizes), missing));
      continue;
    }
    LogInfo("kube: growth to {} pods", sizes.cluster.pods);
    SL_ASSIGN_OR_RETURN(const auto node, KubeNode::Create(sizes));
    SL_RETURN_IF_ERROR(node->MeasureGrowth(rows));
  }
  return OkStatus();
}

}  // namespace

StatusOr<Report> RunKubeSuite(const RunOptions& options) {
  NameNamespaces();
  Report report{.unit = "ms"};
  Rows rows;
  SL_RETURN_IF_ERROR(MeasureAgent(options, &rows));
  SL_RETURN_IF_ERROR(MeasureAllGrowth(options, &rows, &report.left_out));
  report.rows = std::move(rows).Take(options);
  if (IsAnySelected(options, ClusterIpRows(options.brief))) {
    LogInfo("kube: TCP to a cluster IP");
    SL_RETURN_IF_ERROR(MeasureClusterIp(options, &report));
  }
  return report;
}

}  // namespace sluice::perf
