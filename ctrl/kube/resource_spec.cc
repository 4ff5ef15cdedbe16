#include "ctrl/kube/resource_spec.h"

namespace sluice::kube {

ResourceSpec SpecOf(policy::Kind kind) {
  switch (kind) {
    case policy::Kind::kNamespace:
      return {.name = "namespaces", .path = "/api/v1/namespaces"};
    case policy::Kind::kPod:
      return {.name = "pods", .path = "/api/v1/pods"};
    case policy::Kind::kNetworkPolicy:
      return {.name = "networkpolicies", .path = "/apis/networking.k8s.io/v1/networkpolicies"};
    case policy::Kind::kSluiceNetworkPolicy:
      return {.name = "networkpolicies.sluice.dev", .path = "/apis/sluice.dev/v1alpha1/networkpolicies"};
    case policy::Kind::kWorkload:
      break;
  }
  return {};
}

}  // namespace sluice::kube
