// What a pod belongs to, as people call it: the Deployment and not its ReplicaSet, the CronJob and not its Job. The API
// server says so in ReplicaSets and Jobs, which the agent does not watch; the names of the two say it too. Pure.
//   ResolvePodOwner({"apps/v1", "ReplicaSet", "web-5d4f8c7b9"}, {{"pod-template-hash", "5d4f8c7b9"}});  // Deployment
//   web
#pragma once

#include <optional>
#include <string>

#include "policy/resource/model.h"

namespace sluice::policy {

// The owner reference of a pod that has `controller: true`.
struct ControllerReference {
  std::string api_version;
  std::string kind;
  std::string name;
};

// Nothing: the pod belongs to nothing that has a name of its own, as a static pod, which belongs to its node.
std::optional<PodOwner> ResolvePodOwner(const ControllerReference& controller, const Labels& pod_labels);

}  // namespace sluice::policy
