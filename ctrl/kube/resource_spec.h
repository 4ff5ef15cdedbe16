// Which objects to list and watch.
#pragma once

#include <string>
#include <vector>

#include "policy/resource/model.h"

namespace sluice::kube {

struct ResourceSpec {
  std::string name;            // for people and metrics: "pods"
  std::string path;            // "/api/v1/pods", of all namespaces or of one
  std::string field_selector;  // "spec.nodeName=node-1"; empty: all
  std::string label_selector;
  std::string other_path;  // of another version of the API, for servers that do not have `path`; empty: there is none
};

// The resource of all objects of `kind` in the cluster. `kind`: not kWorkload.
ResourceSpec SpecOf(policy::Kind kind);
ResourceSpec ServicesSpec();
ResourceSpec EndpointSlicesSpec();  // discovery.k8s.io/v1, before Kubernetes 1.21 v1beta1
ResourceSpec NodeSpec(const std::string& name);

}  // namespace sluice::kube
