// The addresses that one Service claims, whatever other Services claim. Pure.
#pragma once

#include <vector>

#include "policy/service/service.h"

namespace sluice::policy {

// Where an address comes from. The lesser one wins an address that several Services claim: what the cluster gave out
// itself comes before what anybody can write into a Service.
enum class AddressSource { kCluster, kNodePort, kLoadBalancer, kExternal };

struct ServiceClaim {
  Frontend frontend;
  AddressSource source = AddressSource::kCluster;
  ServiceEntry entry;
  bool operator==(const ServiceClaim&) const = default;
};

// Sorted by frontend, each once. `slices`: of this Service, sorted by name. None: it is headless or of type
// ExternalName. Load balancer addresses with source ranges are left out: who may use them depends on the client.
std::vector<ServiceClaim> ClaimsOf(const Service& service, const std::vector<const EndpointSlice*>& slices,
                                   const ServiceNode& node);

}  // namespace sluice::policy
