#include "policy/service/service_claims.h"

#include <algorithm>
#include <optional>

#include "policy/service/endpoint_choice.h"

namespace sluice::policy {
namespace {

// The backends of one port, computed once for each family and kind of address that needs them.
class BackendsOfPort {
 public:
  BackendsOfPort(const Service& service, const ServicePort& port, const std::vector<const EndpointSlice*>& slices,
                 const ServiceNode& node)
      : service_(service), port_(port), slices_(slices), node_(node) {}

  // A pod that uses an address of the outside is not subject to externalTrafficPolicy or internalTrafficPolicy, as if
  // its packets went out to the load balancer and came back anywhere.
  const std::vector<Backend>& For(AddressSource source, bool is_v4) {
    const bool on_node = source == AddressSource::kCluster && service_.internal_local;
    std::optional<std::vector<Backend>>& known = known_[is_v4 ? 1 : 0][on_node ? 1 : 0];
    if (!known) {
      const auto endpoints = EndpointsAtPort(slices_, port_, is_v4);
      known = on_node ? ChooseOnNode(endpoints, node_) : ChooseInCluster(endpoints, node_);
    }
    return *known;
  }

 private:
  const Service& service_;
  const ServicePort& port_;
  const std::vector<const EndpointSlice*>& slices_;
  const ServiceNode& node_;
  std::optional<std::vector<Backend>> known_[2][2];
};

}  // namespace

std::vector<ServiceClaim> ClaimsOf(const Service& service, const std::vector<const EndpointSlice*>& slices,
                                   const ServiceNode& node) {
  std::vector<ServiceClaim> claims;
  if (service.cluster_ips.empty()) return claims;
  for (const ServicePort& port : service.ports) {
    BackendsOfPort backends(service, port, slices, node);
    const auto add = [&](AddressSource source, const std::vector<Address>& addresses, std::uint16_t number) {
      for (const Address& address : addresses) {
        claims.push_back({.frontend = {.address = address, .port = number, .protocol = port.protocol},
                          .source = source,
                          .entry = {.service = service.name,
                                    .port_name = port.name,
                                    .affinity = service.affinity,
                                    .backends = backends.For(source, address.is_v4())}});
      }
    };
    add(AddressSource::kCluster, service.cluster_ips, port.port);
    if (port.node_port != 0) add(AddressSource::kNodePort, node.addresses, port.node_port);
    if (service.source_ranges.empty()) add(AddressSource::kLoadBalancer, service.load_balancer_ips, port.port);
    add(AddressSource::kExternal, service.external_ips, port.port);
  }
  std::stable_sort(claims.begin(), claims.end(), [](const ServiceClaim& a, const ServiceClaim& b) {
    return a.frontend != b.frontend ? a.frontend < b.frontend : a.source < b.source;
  });
  const auto is_same = [](const ServiceClaim& a, const ServiceClaim& b) { return a.frontend == b.frontend; };
  claims.erase(std::unique(claims.begin(), claims.end(), is_same), claims.end());
  return claims;
}

}  // namespace sluice::policy
