// Services, EndpointSlices and Nodes: the API server's JSON -> the types of policy/service. Pure.
//
// Only fields that matter for translation are read. An error names object, field and value:
//   Service shop/web: spec.ports[0].port: 70000 is not a port (1 to 65535)
#pragma once

#include <memory>

#include "base/status.h"
#include "policy/service/service.h"

namespace simdjson::dom {
class element;
}  // namespace simdjson::dom

namespace sluice::kube {

// One that is headless, of type ExternalName, or served by another proxy (label
// service.kubernetes.io/service-proxy-name) has no cluster_ips.
StatusOr<std::shared_ptr<const policy::Service>> ConvertService(const simdjson::dom::element& object);

// discovery.k8s.io/v1 and v1beta1. One with domain names for addresses has no endpoints.
StatusOr<std::shared_ptr<const policy::EndpointSlice>> ConvertEndpointSlice(const simdjson::dom::element& object);

StatusOr<std::shared_ptr<const policy::ServiceNode>> ConvertNode(const simdjson::dom::element& object);

}  // namespace sluice::kube
