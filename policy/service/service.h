// Kubernetes Services and EndpointSlices as values, and what they come to on one node: the addresses of each Service
// with the backends that this node may use. Pure; safe to share between threads.
//   const ServiceTable table = MakeServiceTable(services, slices, node);   // service_table.h
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "policy/resource/address.h"
#include "policy/resource/model.h"

namespace sluice::policy {

// core/v1 ServicePort.
struct ServicePort {
  std::string name;  // empty: the Service's only port
  std::uint8_t protocol = kTcp;
  std::uint16_t port = 0;
  std::uint16_t node_port = 0;  // 0: none
  auto operator<=>(const ServicePort&) const = default;
};

// core/v1 Service. Those of type ExternalName and headless ones have no address of their own, so nothing is translated.
struct Service {
  ObjectName name;
  std::vector<Address> cluster_ips;  // empty: headless or ExternalName
  std::vector<Address> external_ips;
  std::vector<Address> load_balancer_ips;  // of status.loadBalancer.ingress; not those with ipMode Proxy
  std::vector<Prefix> source_ranges;       // spec.loadBalancerSourceRanges, of load_balancer_ips; empty: all
  std::vector<ServicePort> ports;
  bool internal_local = false;       // internalTrafficPolicy: Local
  bool external_local = false;       // externalTrafficPolicy: Local
  std::chrono::seconds affinity{0};  // sessionAffinity: ClientIP with its timeout; 0: None
  std::string created;               // metadata.creationTimestamp as the API writes it: the older one is less
};

// discovery.k8s.io/v1 (and v1beta1) EndpointSlice.
struct EndpointSlice {
  struct Endpoint {
    Address address;  // the first one: the API says that only it counts
    bool ready = true;
    bool serving = true;
    bool terminating = false;
    std::string node;                // empty: not of a node
    std::vector<std::string> zones;  // hints.forZones
    std::vector<std::string> nodes;  // hints.forNodes
  };
  struct Port {
    std::string name;
    std::uint8_t protocol = kTcp;
    std::uint16_t port = 0;
    auto operator<=>(const Port&) const = default;
  };
  ObjectName name;
  std::string service;  // name of the Service, in the namespace of the slice
  std::vector<Endpoint> endpoints;
  std::vector<Port> ports;
};

// What is asked of this node.
struct ServiceNode {
  std::string name;
  std::string zone;                // label topology.kubernetes.io/zone; empty: none
  std::vector<Address> addresses;  // of node ports
  Labels labels;                   // all of them, for policies that select nodes
  bool operator==(const ServiceNode&) const = default;
};

struct Backend {
  Address address;
  std::uint16_t port = 0;
  auto operator<=>(const Backend&) const = default;
};

// One address of one port of a Service.
struct Frontend {
  Address address;
  std::uint16_t port = 0;
  std::uint8_t protocol = kTcp;
  auto operator<=>(const Frontend&) const = default;
  std::string ToString() const;  // "10.96.0.10:53/UDP", "[fd00::a]:53/UDP"
};

struct ServiceEntry {
  ObjectName service;
  std::string port_name;
  std::chrono::seconds affinity{0};
  std::vector<Backend> backends;  // sorted, each once; empty: connections fail
  bool operator==(const ServiceEntry&) const = default;
};

using ServiceTable = std::map<Frontend, ServiceEntry>;

}  // namespace sluice::policy
