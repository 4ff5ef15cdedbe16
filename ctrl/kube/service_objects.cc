#include "ctrl/kube/service_objects.h"

#include <utility>

#include "ctrl/kube/json_fields.h"

namespace sluice::kube {
namespace {

using policy::EndpointSlice;
using policy::Service;

constexpr char kServiceOfSlice[] = "kubernetes.io/service-name";
constexpr char kOtherProxy[] = "service.kubernetes.io/service-proxy-name";
constexpr char kZoneLabel[] = "topology.kubernetes.io/zone";
constexpr char kNodeOfTopology[] = "kubernetes.io/hostname";  // v1beta1
constexpr std::int64_t kDefaultAffinity = 10800;              // as the API's default
constexpr std::int64_t kLongestAffinity = 86400;              // as the API allows

StatusOr<policy::Address> ReadAddress(const JsonFields& fields, std::string_view key, std::string_view text) {
  auto address = policy::Address::Parse(text);
  if (!address.ok()) return fields.Error(key, Message(address.status()));
  return address;
}

StatusOr<std::uint16_t> ReadPort(const JsonFields& fields, std::string_view key) {
  SL_ASSIGN_OR_RETURN(const std::int64_t number, fields.Integer(key));
  if (number < 0 || number > 65535) return fields.Error(key, fmt::format("{} is not a port (1 to 65535)", number));
  return static_cast<std::uint16_t>(number);
}

StatusOr<std::uint8_t> ReadProtocol(const JsonFields& fields) {
  SL_ASSIGN_OR_RETURN(const std::string_view name, fields.String("protocol"));
  if (name.empty() || name == "TCP") return policy::kTcp;
  if (name == "UDP") return policy::kUdp;
  if (name == "SCTP") return policy::kSctp;
  return fields.Error("protocol", fmt::format("{} is none of TCP, UDP and SCTP", name));
}

Status AddAddresses(const JsonFields& fields, std::string_view key, std::vector<policy::Address>& to) {
  return fields.ForEach(key, [&](const JsonFields& item) -> Status {
    SL_ASSIGN_OR_RETURN(const std::string_view text, item.Text());
    SL_ASSIGN_OR_RETURN(policy::Address address, ReadAddress(item, "", text));
    to.push_back(address);
    return OkStatus();
  });
}

StatusOr<std::string_view> ReadLabel(const JsonFields& root, std::string_view label) {
  SL_ASSIGN_OR_RETURN(const auto metadata, root.Object("metadata"));
  if (!metadata) return std::string_view();
  SL_ASSIGN_OR_RETURN(const auto labels, metadata->Object("labels"));
  if (!labels) return std::string_view();
  return labels->String(label);
}

// Only of one that has addresses of its own.
Status ReadClusterIps(const JsonFields& spec, Service& service) {
  SL_ASSIGN_OR_RETURN(const std::string_view type, spec.String("type"));
  SL_ASSIGN_OR_RETURN(const std::string_view first, spec.String("clusterIP"));
  if (type == "ExternalName" || first.empty() || first == "None") return OkStatus();
  SL_RETURN_IF_ERROR(AddAddresses(spec, "clusterIPs", service.cluster_ips));
  if (!service.cluster_ips.empty()) return OkStatus();
  SL_ASSIGN_OR_RETURN(policy::Address address, ReadAddress(spec, "clusterIP", first));  // of an older server
  service.cluster_ips.push_back(address);
  return OkStatus();
}

Status ReadServicePorts(const JsonFields& spec, Service& service) {
  return spec.ForEach("ports", [&](const JsonFields& item) -> Status {
    policy::ServicePort port;
    SL_ASSIGN_OR_RETURN(port.name, item.String("name"));
    SL_ASSIGN_OR_RETURN(port.protocol, ReadProtocol(item));
    SL_ASSIGN_OR_RETURN(port.port, ReadPort(item, "port"));
    SL_ASSIGN_OR_RETURN(port.node_port, ReadPort(item, "nodePort"));
    if (port.port == 0) return item.Error("port", "missing");
    service.ports.push_back(std::move(port));
    return OkStatus();
  });
}

Status ReadAffinity(const JsonFields& spec, Service& service) {
  SL_ASSIGN_OR_RETURN(const std::string_view kind, spec.String("sessionAffinity"));
  if (kind != "ClientIP") return OkStatus();
  std::int64_t seconds = 0;
  SL_ASSIGN_OR_RETURN(const auto config, spec.Object("sessionAffinityConfig"));
  if (config) {
    SL_ASSIGN_OR_RETURN(const auto client, config->Object("clientIP"));
    if (client) {
      SL_ASSIGN_OR_RETURN(seconds, client->Integer("timeoutSeconds"));
    }
  }
  if (seconds == 0) seconds = kDefaultAffinity;
  if (seconds < 0 || seconds > kLongestAffinity) {
    return spec.Error("sessionAffinityConfig.clientIP.timeoutSeconds",
                      fmt::format("{} is not from 1 to {}", seconds, kLongestAffinity));
  }
  service.affinity = std::chrono::seconds(seconds);
  return OkStatus();
}

Status ReadSourceRanges(const JsonFields& spec, Service& service) {
  return spec.ForEach("loadBalancerSourceRanges", [&](const JsonFields& item) -> Status {
    SL_ASSIGN_OR_RETURN(std::string_view text, item.Text());
    // The API allows spaces around one.
    while (text.starts_with(' ')) text.remove_prefix(1);
    while (text.ends_with(' ')) text.remove_suffix(1);
    auto prefix = policy::Prefix::Parse(text);
    if (!prefix.ok()) return item.Error("", Message(prefix.status()));
    service.source_ranges.push_back(*prefix);
    return OkStatus();
  });
}

Status ReadServiceSpec(const JsonFields& spec, Service& service) {
  SL_RETURN_IF_ERROR(ReadClusterIps(spec, service));
  SL_RETURN_IF_ERROR(ReadServicePorts(spec, service));
  SL_RETURN_IF_ERROR(AddAddresses(spec, "externalIPs", service.external_ips));
  SL_RETURN_IF_ERROR(ReadSourceRanges(spec, service));
  SL_RETURN_IF_ERROR(ReadAffinity(spec, service));
  SL_ASSIGN_OR_RETURN(const std::string_view internal, spec.String("internalTrafficPolicy"));
  SL_ASSIGN_OR_RETURN(const std::string_view external, spec.String("externalTrafficPolicy"));
  service.internal_local = internal == "Local";
  service.external_local = external == "Local";
  return OkStatus();
}

// With ipMode Proxy the packets must go out to the load balancer.
Status ReadLoadBalancer(const JsonFields& status, Service& service) {
  SL_ASSIGN_OR_RETURN(const auto balancer, status.Object("loadBalancer"));
  if (!balancer) return OkStatus();
  return balancer->ForEach("ingress", [&](const JsonFields& item) -> Status {
    SL_ASSIGN_OR_RETURN(const std::string_view ip, item.String("ip"));
    SL_ASSIGN_OR_RETURN(const std::string_view mode, item.String("ipMode"));
    if (ip.empty() || mode == "Proxy") return OkStatus();
    SL_ASSIGN_OR_RETURN(policy::Address address, ReadAddress(item, "ip", ip));
    service.load_balancer_ips.push_back(address);
    return OkStatus();
  });
}

Status ReadHints(const JsonFields& item, EndpointSlice::Endpoint& endpoint) {
  SL_ASSIGN_OR_RETURN(const auto hints, item.Object("hints"));
  if (!hints) return OkStatus();
  for (auto& [key, names] : {std::pair("forZones", &endpoint.zones), std::pair("forNodes", &endpoint.nodes)}) {
    SL_RETURN_IF_ERROR(hints->ForEach(key, [names = names](const JsonFields& one) -> Status {
      SL_ASSIGN_OR_RETURN(const std::string_view name, one.String("name"));
      names->emplace_back(name);
      return OkStatus();
    }));
  }
  return OkStatus();
}

// What is absent is true but for `terminating`, as kube-proxy reads it.
Status ReadConditions(const JsonFields& item, EndpointSlice::Endpoint& endpoint) {
  SL_ASSIGN_OR_RETURN(const auto conditions, item.Object("conditions"));
  if (!conditions) return OkStatus();
  SL_ASSIGN_OR_RETURN(const auto ready, conditions->Bool("ready"));
  SL_ASSIGN_OR_RETURN(const auto serving, conditions->Bool("serving"));
  SL_ASSIGN_OR_RETURN(const auto terminating, conditions->Bool("terminating"));
  endpoint.ready = ready.value_or(true);
  endpoint.serving = serving.value_or(true);
  endpoint.terminating = terminating.value_or(false);
  return OkStatus();
}

Status ReadNodeOf(const JsonFields& item, EndpointSlice::Endpoint& endpoint) {
  SL_ASSIGN_OR_RETURN(endpoint.node, item.String("nodeName"));
  if (!endpoint.node.empty()) return OkStatus();
  SL_ASSIGN_OR_RETURN(const auto topology, item.Object("topology"));
  if (topology) {
    SL_ASSIGN_OR_RETURN(endpoint.node, topology->String(kNodeOfTopology));
  }
  return OkStatus();
}

Status AddEndpoint(const JsonFields& item, bool is_v4, EndpointSlice& slice) {
  EndpointSlice::Endpoint endpoint;
  std::vector<policy::Address> addresses;
  SL_RETURN_IF_ERROR(AddAddresses(item, "addresses", addresses));
  if (addresses.empty()) return item.Error("addresses", "there is none");
  endpoint.address = addresses.front();
  if (endpoint.address.is_v4() != is_v4) {
    return item.Error("addresses[0]", endpoint.address.ToString() + " is not of the slice's addressType");
  }
  SL_RETURN_IF_ERROR(ReadConditions(item, endpoint));
  SL_RETURN_IF_ERROR(ReadNodeOf(item, endpoint));
  SL_RETURN_IF_ERROR(ReadHints(item, endpoint));
  slice.endpoints.push_back(std::move(endpoint));
  return OkStatus();
}

}  // namespace

StatusOr<std::shared_ptr<const Service>> ConvertService(const JsonElement& object) {
  SL_ASSIGN_OR_RETURN(const ObjectMeta meta, ReadMeta(object));
  const std::string subject = "Service " + meta.key.ToString();
  const JsonFields root(object, subject);
  auto service = std::make_shared<Service>();
  service->name = {meta.key.ns, meta.key.name};
  SL_ASSIGN_OR_RETURN(const auto metadata, root.Object("metadata"));
  SL_ASSIGN_OR_RETURN(service->created, metadata->String("creationTimestamp"));
  SL_ASSIGN_OR_RETURN(const std::string_view proxy, ReadLabel(root, kOtherProxy));
  if (!proxy.empty()) return service;
  SL_ASSIGN_OR_RETURN(const auto spec, root.Object("spec"));
  if (spec) SL_RETURN_IF_ERROR(ReadServiceSpec(*spec, *service));
  SL_ASSIGN_OR_RETURN(const auto status, root.Object("status"));
  if (status) SL_RETURN_IF_ERROR(ReadLoadBalancer(*status, *service));
  return service;
}

StatusOr<std::shared_ptr<const EndpointSlice>> ConvertEndpointSlice(const JsonElement& object) {
  SL_ASSIGN_OR_RETURN(const ObjectMeta meta, ReadMeta(object));
  const std::string subject = "EndpointSlice " + meta.key.ToString();
  const JsonFields root(object, subject);
  auto slice = std::make_shared<EndpointSlice>();
  slice->name = {meta.key.ns, meta.key.name};
  SL_ASSIGN_OR_RETURN(slice->service, ReadLabel(root, kServiceOfSlice));
  SL_ASSIGN_OR_RETURN(const std::string_view type, root.String("addressType"));
  if (type == "FQDN") return slice;
  if (type != "IPv4" && type != "IPv6") {
    return root.Error("addressType", fmt::format("{} is none of IPv4, IPv6 and FQDN", type));
  }
  SL_RETURN_IF_ERROR(
      root.ForEach("endpoints", [&](const JsonFields& item) { return AddEndpoint(item, type == "IPv4", *slice); }));
  SL_RETURN_IF_ERROR(root.ForEach("ports", [&](const JsonFields& item) -> Status {
    EndpointSlice::Port port;
    SL_ASSIGN_OR_RETURN(port.name, item.String("name"));
    SL_ASSIGN_OR_RETURN(port.protocol, ReadProtocol(item));
    SL_ASSIGN_OR_RETURN(port.port, ReadPort(item, "port"));
    slice->ports.push_back(std::move(port));
    return OkStatus();
  }));
  return slice;
}

StatusOr<std::shared_ptr<const policy::ServiceNode>> ConvertNode(const JsonElement& object) {
  SL_ASSIGN_OR_RETURN(const ObjectMeta meta, ReadMeta(object));
  const std::string subject = "Node " + meta.key.ToString();
  const JsonFields root(object, subject);
  auto node = std::make_shared<policy::ServiceNode>();
  node->name = meta.key.name;
  SL_ASSIGN_OR_RETURN(node->zone, ReadLabel(root, kZoneLabel));
  SL_ASSIGN_OR_RETURN(const auto metadata, root.Object("metadata"));
  if (metadata) {
    SL_ASSIGN_OR_RETURN(node->labels, metadata->Texts("labels"));
  }
  SL_ASSIGN_OR_RETURN(const auto status, root.Object("status"));
  if (!status) return node;
  SL_RETURN_IF_ERROR(status->ForEach("addresses", [&](const JsonFields& item) -> Status {
    SL_ASSIGN_OR_RETURN(const std::string_view type, item.String("type"));
    if (type != "InternalIP" && type != "ExternalIP") return OkStatus();
    SL_ASSIGN_OR_RETURN(const std::string_view text, item.String("address"));
    SL_ASSIGN_OR_RETURN(policy::Address address, ReadAddress(item, "address", text));
    node->addresses.push_back(address);
    return OkStatus();
  }));
  return node;
}

}  // namespace sluice::kube
