// One parser for each kind. `root` is the whole document, `metadata` the result of ParseMetadata.
#pragma once

#include <memory>

#include "policy/resource/resource_common.h"

namespace sluice::policy {

StatusOr<std::shared_ptr<const Namespace>> ParseNamespace(const Field& root, const Metadata& metadata);
StatusOr<std::shared_ptr<const Pod>> ParsePod(const Field& root, const Metadata& metadata);
// Labels and ports of the pods that `pod_template` (a PodTemplateSpec) makes. `name` becomes their name.
StatusOr<std::shared_ptr<const Pod>> ParsePodTemplate(const Field& pod_template, const ObjectName& name);
StatusOr<std::shared_ptr<const Workload>> ParseWorkload(const Field& root, const Metadata& metadata);
StatusOr<std::shared_ptr<const NetworkPolicy>> ParseNetworkPolicy(const Field& root, const Metadata& metadata,
                                                                  NetworkPolicy::Api api);

}  // namespace sluice::policy
