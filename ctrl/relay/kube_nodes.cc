#include "ctrl/relay/kube_nodes.h"

#include "base/log.h"
#include "ctrl/kube/objects.h"

namespace sluice::cluster {
namespace {

using namespace std::chrono_literals;

constexpr auto kLookAtState = 1s;

// Nothing: it has no address, or may have lost it.
std::optional<NodeAddress> AddressOf(const kube::KubeObject& object, std::uint16_t port) {
  if (!object.pod || !object.resource.pod) return std::nullopt;
  const policy::Pod& pod = *object.resource.pod;
  if (object.pod->phase != "Running" || object.pod->gave_up_ips || pod.finished || pod.ips.empty()) return std::nullopt;
  // The next one of this node is about to come.
  if (object.pod->node.empty() || object.pod->deleting) return std::nullopt;
  const std::string ip = pod.ips.front().ToString();
  const bool is_v6 = ip.find(':') != std::string::npos;
  return NodeAddress{.name = object.pod->node,
                     .address = fmt::format("{}{}{}:{}", is_v6 ? "[" : "", ip, is_v6 ? "]" : "", port)};
}

}  // namespace

StatusOr<std::unique_ptr<KubeNodes>> KubeNodes::Start(const KubeNodesOptions& options, Nodes* nodes) {
  SL_ASSIGN_OR_RETURN(kube::ApiConfig config,
                      options.kube == "in-cluster" ? kube::InClusterConfig() : kube::ReadKubeconfig(options.kube));
  const std::string ns = options.ns.empty() ? config.ns : options.ns;
  if (ns.empty()) return InvalidError("--kube {}: no namespace is known; give --kube-namespace", options.kube);
  const std::string source = fmt::format("pods of {} with {}", ns, options.selector);
  std::unique_ptr<KubeNodes> found(new KubeNodes(options.port, source, nodes));
  nodes->Set({}, source);
  nodes->SetProblem("the API server has not answered yet");
  const kube::ResourceSpec pods{
      .name = "pods", .path = "/api/v1/namespaces/" + ns + "/pods", .label_selector = options.selector};
  SL_ASSIGN_OR_RETURN(found->client_, kube::Client::Create(std::move(config), {pods}, *found));
  found->thread_ = std::thread(&KubeNodes::FollowState, found.get());
  return found;
}

KubeNodes::~KubeNodes() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stopped_.notify_all();
  if (thread_.joinable()) thread_.join();
  client_.reset();
}

StatusOr<kube::Converted> KubeNodes::Convert(const kube::ResourceSpec&, const kube::ObjectMeta&,
                                             const simdjson::dom::element& object) {
  return kube::ConvertObject(policy::Kind::kPod, object);
}

void KubeNodes::Apply(const kube::ResourceSpec&, kube::Batch batch) {
  for (const kube::Change& change : batch.changes) {
    if (change.kind == kube::Change::Kind::kRefused) {
      LogError("Kubernetes: {}; its last good version stays", Message(change.refused));
      continue;
    }
    std::optional<NodeAddress> address;
    if (change.kind == kube::Change::Kind::kUpsert) {
      address = AddressOf(*std::static_pointer_cast<const kube::KubeObject>(change.value), port_);
    }
    if (address) {
      pods_[change.meta.key] = *std::move(address);
    } else {
      pods_.erase(change.meta.key);
    }
  }
  std::vector<NodeAddress> addresses;
  for (const auto& [pod, address] : pods_) addresses.push_back(address);
  nodes_->Set(std::move(addresses), source_);
}

void KubeNodes::FollowState() {
  std::string told;
  std::unique_lock lock(mutex_);
  while (!stopped_.wait_for(lock, kLookAtState, [this] { return stopping_; })) {
    const kube::ResourceState state = client_->state().resources.at(0);
    std::string problem = state.failures == 0 ? "" : state.last_error;
    if (problem.empty() && !state.listed) problem = "the API server has not answered yet";
    if (problem == told) continue;
    nodes_->SetProblem(problem);
    if (!problem.empty()) LogError("Kubernetes: {}; the nodes from before stay", problem);
    told = problem;
  }
}

}  // namespace sluice::cluster
