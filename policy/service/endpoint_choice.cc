#include "policy/service/endpoint_choice.h"

#include <algorithm>

namespace sluice::policy {
namespace {

using Endpoint = EndpointSlice::Endpoint;

bool ServesToTheEnd(const Endpoint& endpoint) { return endpoint.serving && endpoint.terminating; }
int Rank(const Endpoint& endpoint) { return endpoint.ready ? 0 : ServesToTheEnd(endpoint) ? 1 : 2; }

bool Has(const std::vector<std::string>& list, const std::string& name) {
  return !name.empty() && std::find(list.begin(), list.end(), name) != list.end();
}

template <typename Wanted>
std::vector<Backend> Select(const std::vector<EndpointAtPort>& endpoints, Wanted wanted) {
  std::vector<Backend> backends;
  backends.reserve(endpoints.size());
  for (const EndpointAtPort& one : endpoints) {
    if (wanted(*one.endpoint)) backends.push_back(one.backend);
  }
  return backends;
}

// Whether the hints of one sort divide the endpoints: each ready one has some, and one of them is for `name`.
bool HintsCount(const std::vector<EndpointAtPort>& endpoints, std::vector<std::string> Endpoint::*hints,
                const std::string& name) {
  bool is_named = false;
  for (const EndpointAtPort& one : endpoints) {
    if (!one.endpoint->ready) continue;
    if ((one.endpoint->*hints).empty()) return false;
    is_named = is_named || Has(one.endpoint->*hints, name);
  }
  return is_named;
}

}  // namespace

std::vector<EndpointAtPort> EndpointsAtPort(const std::vector<const EndpointSlice*>& slices, const ServicePort& port,
                                            bool is_v4) {
  std::vector<EndpointAtPort> endpoints;
  for (const EndpointSlice* slice : slices) {
    for (const EndpointSlice::Port& one : slice->ports) {
      if (one.name != port.name || one.protocol != port.protocol || one.port == 0) continue;
      endpoints.reserve(endpoints.size() + slice->endpoints.size());
      for (const Endpoint& endpoint : slice->endpoints) {
        if (endpoint.address.is_v4() != is_v4) continue;
        endpoints.push_back({.backend = {.address = endpoint.address, .port = one.port}, .endpoint = &endpoint});
      }
    }
  }
  const auto is_before = [](const EndpointAtPort& a, const EndpointAtPort& b) {
    if (a.backend != b.backend) return a.backend < b.backend;
    return Rank(*a.endpoint) < Rank(*b.endpoint);
  };
  if (!std::is_sorted(endpoints.begin(), endpoints.end(), is_before)) {
    std::stable_sort(endpoints.begin(), endpoints.end(), is_before);
  }
  const auto is_same = [](const EndpointAtPort& a, const EndpointAtPort& b) { return a.backend == b.backend; };
  endpoints.erase(std::unique(endpoints.begin(), endpoints.end(), is_same), endpoints.end());
  return endpoints;
}

std::vector<Backend> ChooseInCluster(const std::vector<EndpointAtPort>& endpoints, const ServiceNode& node) {
  std::vector<Backend> backends;
  if (HintsCount(endpoints, &Endpoint::nodes, node.name)) {
    backends = Select(endpoints, [&](const Endpoint& one) { return one.ready && Has(one.nodes, node.name); });
  } else if (HintsCount(endpoints, &Endpoint::zones, node.zone)) {
    backends = Select(endpoints, [&](const Endpoint& one) { return one.ready && Has(one.zones, node.zone); });
  } else {
    backends = Select(endpoints, [](const Endpoint& one) { return one.ready; });
  }
  return backends.empty() ? Select(endpoints, ServesToTheEnd) : backends;
}

std::vector<Backend> ChooseOnNode(const std::vector<EndpointAtPort>& endpoints, const ServiceNode& node) {
  const auto is_here = [&](const Endpoint& one) { return !node.name.empty() && one.node == node.name; };
  std::vector<Backend> backends = Select(endpoints, [&](const Endpoint& one) { return one.ready && is_here(one); });
  if (!backends.empty()) return backends;
  return Select(endpoints, [&](const Endpoint& one) { return ServesToTheEnd(one) && is_here(one); });
}

}  // namespace sluice::policy
