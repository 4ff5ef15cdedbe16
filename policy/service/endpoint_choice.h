// Which endpoints of a Service's port this node uses. Pure.
//
// The rules are kube-proxy's, so that a connection gets the same backends whoever translates it. docs/services.md has
// them with their tests.
#pragma once

#include <vector>

#include "policy/service/service.h"

namespace sluice::policy {

// An endpoint at one port of its slice.
struct EndpointAtPort {
  Backend backend;
  const EndpointSlice::Endpoint* endpoint = nullptr;
};

// Of `slices`, the endpoints at the Service's port `port`, for addresses of one family: each backend once, sorted. Of
// one that several slices have, the occurrence that takes traffic best counts.
std::vector<EndpointAtPort> EndpointsAtPort(const std::vector<const EndpointSlice*>& slices, const ServicePort& port,
                                            bool is_v4);

// For traffic with internalTrafficPolicy Cluster: ready endpoints, those that the topology hints give to this node if
// all ready ones have hints and some are for this node; without any ready one, those that still serve while they end.
std::vector<Backend> ChooseInCluster(const std::vector<EndpointAtPort>& endpoints, const ServiceNode& node);
// For internalTrafficPolicy Local: this node's ready endpoints, else its serving ones that end. Hints do not count.
std::vector<Backend> ChooseOnNode(const std::vector<EndpointAtPort>& endpoints, const ServiceNode& node);

}  // namespace sluice::policy
