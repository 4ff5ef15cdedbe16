#include "ctrl/notice/nodes_of_pods.h"

#include "policy/network/stable_id.h"

namespace sluice::notice {

void NodesOfPods::Put(const std::string& uid, const std::string& node) {
  Remove(uid);
  if (node.empty()) return;
  const auto count = pods_.emplace(node, 0).first;
  ++count->second;
  node_of_pod_.emplace(policy::StableHash(uid), count->first);
}

void NodesOfPods::Remove(const std::string& uid) {
  const auto at = node_of_pod_.find(policy::StableHash(uid));
  if (at == node_of_pod_.end()) return;
  const auto count = pods_.find(std::string(at->second));
  node_of_pod_.erase(at);
  if (--count->second == 0) pods_.erase(count);
}

std::set<std::string> NodesOfPods::nodes() const {
  std::set<std::string> nodes;
  for (const auto& [node, pods] : pods_) nodes.insert(node);
  return nodes;
}

}  // namespace sluice::notice
