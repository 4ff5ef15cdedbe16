#include "perf/kube/kube_suite.h"

#include <fmt/format.h>

#include <fstream>
#include <thread>

#include "base/log.h"
#include "perf/agent_child.h"
#include "perf/elapsed.h"
#include "perf/kube/cluster.h"
#include "perf/kube/cni_calls.h"
#include "perf/kube/probe_flow.h"
#include "perf/kube/runtime.h"
#include "perf/orderly_end.h"
#include "perf/rows.h"

namespace sluice::perf {
namespace {

constexpr double kMegabyte = 1e6;
constexpr auto kSettled = std::chrono::seconds(1);
constexpr char kClient[] = "client", kServer[] = "server";

struct KubeSizes {
  ClusterSizes cluster;
  int cni_pods;
  int labels;  // changes in a run
};

KubeSizes KubeSizesOf(bool brief) { return brief ? KubeSizes{kBriefCluster, 3, 2} : KubeSizes{kFullCluster, 20, 10}; }

std::string StartName(const KubeSizes& sizes) { return fmt::format("start/pods:{}", sizes.cluster.pods); }
std::string LabelName(const KubeSizes& sizes) { return fmt::format("label/pods:{}", sizes.cluster.pods); }
std::vector<std::string> StartNames(const KubeSizes& sizes) {
  const std::string name = StartName(sizes);
  return {name, name + "/again", name + "/resident"};
}
std::vector<std::string> CniNames() {
  return {"floor/cni/start-a-program", "cni/add", "cni/add/p99", "cni/add/at-once", "cni/add/at-once/p99"};
}

// A node with pods, an API server that has all of the cluster, a container runtime that has two of the pods, and
// directories for the agent.
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
  Status MeasureLabels(int changes, Rows* rows) {
    SL_RETURN_IF_ERROR(CheckVerdicts());
    for (int i = 0; i < changes; ++i) {
      SL_ASSIGN_OR_RETURN(ProbeFlow flow, ProbeFlow::Create(*node_, kClient, kServer));
      SL_RETURN_IF_ERROR(flow.AwaitSilence());
      const auto start = Clock::now();
      PutClient("friend");
      SL_ASSIGN_OR_RETURN(const Clock::time_point arrived, flow.FirstArrival());
      rows->Add(LabelName(sizes_), "ms", Milliseconds(start, arrived));
      PutClient("other");
      SL_RETURN_IF_ERROR(flow.AwaitSilence());
    }
    return OkStatus();
  }

  Status MeasurePlugin(int rounds, Rows* rows) {
    return MeasureCni({.node = *node_, .socket = Socket(), .ns = kNamespace}, cni_pods_, rounds, rows);
  }

  // In the node's namespace; so are all that it starts.
  Status StartAgent() {
    return node_->Run([this]() -> Status {
      SL_ASSIGN_OR_RETURN(
          agent_, AgentChild::Start(scratch_, {"--kube", scratch_.directory() + "/kubeconfig", "--cri",
                                               "unix://" + scratch_.directory() + "/cri", "--cni-socket", Socket(),
                                               "--node-name", kNodeName, "--metrics", ""}));
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
  }

  std::string Socket() const { return scratch_.directory() + "/cni"; }
  void PutClient(const std::string& app) { PutLocalPod(kClient, app, node_->pod(kClient).ip4, *api_); }

  Status Prepare() {
    std::vector<std::string> pods = {kClient, kServer};
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
    for (const char* pod : {kClient, kServer}) {
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
  const std::vector<std::string> cni = CniNames();
  rows.insert(rows.end(), cni.begin(), cni.end());
  return rows;
}

StatusOr<Report> RunKubeSuite(const RunOptions& options) {
  const KubeSizes sizes = KubeSizesOf(options.brief);
  Rows rows;
  SL_ASSIGN_OR_RETURN(const auto node, KubeNode::Create(sizes));
  if (IsAnySelected(options, StartNames(sizes))) {
    LogInfo("kube: start with {} pods", sizes.cluster.pods);
    SL_RETURN_IF_ERROR(node->MeasureStarts(std::min(options.runs, 5), &rows));
  }
  const bool labels = IsSelected(options, LabelName(sizes)), cni = IsAnySelected(options, CniNames());
  if (labels || cni) {
    SL_RETURN_IF_ERROR(node->StartAgent());
    if (labels) {
      LogInfo("kube: changes of a label");
      SL_RETURN_IF_ERROR(node->MeasureLabels(options.runs * sizes.labels, &rows));
    }
    if (cni) {
      LogInfo("kube: calls of the CNI plugin");
      SL_RETURN_IF_ERROR(node->MeasurePlugin(options.runs, &rows));
    }
    SL_RETURN_IF_ERROR(node->StopAgent());
  }
  return Report{.unit = "ms",
                .rows = std::move(rows).Take(options),
                .left_out = {"ClusterIP beside kube-proxy: not measured by this suite yet"}};
}

}  // namespace sluice::perf
