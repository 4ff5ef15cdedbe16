// Nodes that the Kubernetes API names: one for each running pod of the agent's DaemonSet. Its address is the pod's, its
// name that of the pod's node.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "ctrl/kube/client.h"
#include "ctrl/relay/nodes.h"

namespace sluice::cluster {

struct KubeNodesOptions {
  std::string kube;      // "in-cluster", or the path of a kubeconfig file
  std::string ns;        // of the pods; empty: the relay's own
  std::string selector;  // of the pods, by label
  std::uint16_t port = 0;
};

class KubeNodes final : private kube::Sink {
 public:
  // InvalidArgument: the configuration is bad. Whether the server answers is found out later; what was known stays.
  // `nodes` outlives this.
  static StatusOr<std::unique_ptr<KubeNodes>> Start(const KubeNodesOptions& options, Nodes* nodes);
  ~KubeNodes() override;

 private:
  KubeNodes(std::uint16_t port, std::string source, Nodes* nodes)
      : port_(port), source_(std::move(source)), nodes_(nodes) {}
  StatusOr<kube::Converted> Convert(const kube::ResourceSpec& spec, const kube::ObjectMeta& meta,
                                    const simdjson::dom::element& object) override;
  void Apply(const kube::ResourceSpec& spec, kube::Batch batch) override;
  void FollowState();

  const std::uint16_t port_;
  const std::string source_;
  Nodes* const nodes_;
  std::map<kube::ObjectKey, NodeAddress> pods_;  // that have an address
  std::mutex mutex_;
  std::condition_variable stopped_;
  bool stopping_ = false;                 // by mutex_
  std::unique_ptr<kube::Client> client_;  // its thread calls back
  std::thread thread_;                    // looks whether the client works
};

}  // namespace sluice::cluster
