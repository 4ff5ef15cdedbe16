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
    case policy::Kind::kSluiceClusterNetworkPolicy:
      return {.name = "clusternetworkpolicies.sluice.dev", .path = "/apis/sluice.dev/v1alpha1/clusternetworkpolicies"};
    case policy::Kind::kTracingPolicy:
      return {.name = "tracingpolicies.cilium.io", .path = "/apis/cilium.io/v1alpha1/tracingpolicies"};
    case policy::Kind::kTracingPolicyNamespaced:
      return {.name = "tracingpoliciesnamespaced.cilium.io",
              .path = "/apis/cilium.io/v1alpha1/tracingpoliciesnamespaced"};
    case policy::Kind::kResponse:
      return {.name = "responses.sluice.dev", .path = "/apis/sluice.dev/v1alpha1/responses"};
    case policy::Kind::kKubeArmorPolicy:
      return {.name = "kubearmorpolicies.security.kubearmor.com",
              .path = "/apis/security.kubearmor.com/v1/kubearmorpolicies"};
    case policy::Kind::kKubeArmorHostPolicy:
      return {.name = "kubearmorhostpolicies.security.kubearmor.com",
              .path = "/apis/security.kubearmor.com/v1/kubearmorhostpolicies"};
    case policy::Kind::kKubeArmorClusterPolicy:
      return {.name = "kubearmorclusterpolicies.security.kubearmor.com",
              .path = "/apis/security.kubearmor.com/v1/kubearmorclusterpolicies"};
    case policy::Kind::kWorkload:
      break;
  }
  return {};
}

ResourceSpec ServicesSpec() { return {.name = "services", .path = "/api/v1/services"}; }

ResourceSpec EndpointSlicesSpec() {
  return {.name = "endpointslices",
          .path = "/apis/discovery.k8s.io/v1/endpointslices",
          .other_path = "/apis/discovery.k8s.io/v1beta1/endpointslices"};
}

ResourceSpec NodeSpec(const std::string& name) {
  return {.name = "node", .path = "/api/v1/nodes", .field_selector = "metadata.name=" + name};
}

}  // namespace sluice::kube
