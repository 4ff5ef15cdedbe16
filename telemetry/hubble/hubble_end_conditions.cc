// Conditions about the ends of a flow.
#include <absl/strings/numbers.h>

#include <algorithm>
#include <optional>
#include <string>

#include "policy/resource/address.h"
#include "telemetry/hubble/hubble_conditions.h"
#include "telemetry/hubble/hubble_labels.h"
#include "telemetry/hubble/hubble_patterns.h"

namespace sluice::telemetry {
namespace {

using Texts = google::protobuf::RepeatedPtrField<std::string>;
using Conditions = std::vector<HubbleCondition>;

template <typename Values, typename Holds>
bool AnyOf(const Values& values, const Holds& holds) {
  return std::any_of(values.begin(), values.end(), holds);
}

struct NamedObject {
  const std::string& ns;
  const std::string& name;
};

// "ns/prefix". Without a slash the namespace is `default`, as in Hubble; an empty part is any.
struct NamePrefix {
  std::string ns;
  std::string prefix;

  bool Matches(const NamedObject& object) const {
    return object.name.starts_with(prefix) && (ns.empty() || ns == object.ns);
  }
};

NamePrefix ToNamePrefix(const std::string& text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string::npos) return {"default", text};
  const std::size_t end = text.find('/', slash + 1);  // what is behind a second slash does not count
  return {text.substr(0, slash), text.substr(slash + 1, end == std::string::npos ? end : end - slash - 1)};
}

template <typename Get>
Status AddNames(const char* field, const Texts& texts, Get get, Conditions* out) {
  if (texts.empty()) return OkStatus();
  std::vector<NamePrefix> wanted;
  for (const std::string& text : texts) {
    if (text.empty()) return InvalidError("{}: a name must not be empty", field);
    wanted.push_back(ToNamePrefix(text));
  }
  out->push_back([wanted = std::move(wanted), get](const flow::Flow& flow) {
    const NamedObject object = get(flow);
    if (object.ns.empty() && object.name.empty()) return false;
    return AnyOf(wanted, [&](const NamePrefix& one) { return one.Matches(object); });
  });
  return OkStatus();
}

// An address matches as it is written; a CIDR by number.
template <typename Get>
Status AddAddresses(const char* field, const Texts& texts, Get get, Conditions* out) {
  if (texts.empty()) return OkStatus();
  std::vector<std::string> addresses;
  std::vector<policy::Prefix> prefixes;
  for (const std::string& text : texts) {
    if (text.find('/') == std::string::npos) {
      const auto address = policy::Address::Parse(text);
      if (!address.ok()) return Annotate(address.status(), field);
      addresses.push_back(text);
      continue;
    }
    const auto prefix = policy::Prefix::Parse(text);
    if (!prefix.ok()) return Annotate(prefix.status(), field);
    prefixes.push_back(*prefix);
  }
  out->push_back([addresses = std::move(addresses), prefixes = std::move(prefixes), get](const flow::Flow& flow) {
    const std::string& text = get(flow);
    if (text.empty()) return false;
    if (std::find(addresses.begin(), addresses.end(), text) != addresses.end()) return true;
    if (prefixes.empty()) return false;
    const auto address = policy::Address::Parse(text);
    return address.ok() && AnyOf(prefixes, [&](const policy::Prefix& prefix) { return prefix.Contains(*address); });
  });
  return OkStatus();
}

template <typename Get>
Status AddFqdns(const char* field, const Texts& texts, Get get, Conditions* out) {
  if (texts.empty()) return OkStatus();
  std::vector<HubblePattern> patterns;
  for (const std::string& text : texts) {
    auto pattern = MakeNamePattern(text);
    if (!pattern.ok()) return Annotate(pattern.status(), field);
    patterns.push_back(*std::move(pattern));
  }
  out->push_back([patterns = std::move(patterns), get](const flow::Flow& flow) {
    return AnyOf(get(flow), [&](const std::string& name) {
      return AnyOf(patterns, [&](const HubblePattern& pattern) { return re2::RE2::FullMatch(name, *pattern); });
    });
  });
  return OkStatus();
}

template <typename Get>
Status AddLabels(const char* field, const Texts& texts, Get get, Conditions* out) {
  if (texts.empty()) return OkStatus();
  std::vector<policy::Selector> selectors;
  for (const std::string& text : texts) {
    auto selector = ParseHubbleSelector(text);
    if (!selector.ok()) return Annotate(selector.status(), field);
    selectors.push_back(*std::move(selector));
  }
  out->push_back([selectors = std::move(selectors), get](const flow::Flow& flow) {
    const policy::Labels labels = HubbleLabelsOf(get(flow));
    return AnyOf(selectors, [&](const policy::Selector& selector) { return selector.Matches(labels); });
  });
  return OkStatus();
}

struct PortsOfFlow {
  std::uint32_t source;
  std::uint32_t destination;
};

std::optional<PortsOfFlow> PortsOf(const flow::Flow& flow) {
  const auto ports = [](const auto& l4) { return PortsOfFlow{l4.source_port(), l4.destination_port()}; };
  if (flow.l4().has_tcp()) return ports(flow.l4().tcp());
  if (flow.l4().has_udp()) return ports(flow.l4().udp());
  if (flow.l4().has_sctp()) return ports(flow.l4().sctp());
  return std::nullopt;
}

Status AddPorts(const char* field, const Texts& texts, std::uint32_t PortsOfFlow::*end, Conditions* out) {
  if (texts.empty()) return OkStatus();
  std::vector<std::uint32_t> wanted;
  for (const std::string& text : texts) {
    std::uint32_t port = 0;
    const bool is_number = text.find_first_not_of("0123456789") == std::string::npos && absl::SimpleAtoi(text, &port);
    if (!is_number || port > UINT16_MAX) return InvalidError("{}: {}: no port number", field, text);
    wanted.push_back(port);
  }
  out->push_back([wanted = std::move(wanted), end](const flow::Flow& flow) {
    const auto ports = PortsOf(flow);
    return ports && std::find(wanted.begin(), wanted.end(), (*ports).*end) != wanted.end();
  });
  return OkStatus();
}

using EndOf = const flow::Endpoint& (flow::Flow::*)() const;

void AddIdentities(const google::protobuf::RepeatedField<std::uint32_t>& identities, EndOf end, Conditions* out) {
  if (identities.empty()) return;
  out->push_back([identities, end](const flow::Flow& flow) {
    return std::find(identities.begin(), identities.end(), (flow.*end)().identity()) != identities.end();
  });
}

// An empty name or kind is any.
void AddWorkloads(const google::protobuf::RepeatedPtrField<flow::Workload>& wanted, EndOf end, Conditions* out) {
  if (wanted.empty()) return;
  out->push_back([wanted, end](const flow::Flow& flow) {
    return AnyOf((flow.*end)().workloads(), [&](const flow::Workload& workload) {
      return AnyOf(wanted, [&](const flow::Workload& one) {
        return (one.name().empty() || one.name() == workload.name()) &&
               (one.kind().empty() || one.kind() == workload.kind());
      });
    });
  });
}

Status AddClusters(const char* field, const Texts& names, EndOf end, Conditions* out) {
  if (names.empty()) return OkStatus();
  if (std::find(names.begin(), names.end(), "") != names.end())
    return InvalidError("{}: a name must not be empty", field);
  out->push_back([names, end](const flow::Flow& flow) {
    return std::find(names.begin(), names.end(), (flow.*end)().cluster_name()) != names.end();
  });
  return OkStatus();
}

auto PodOf(EndOf end) {
  return [end](const flow::Flow& flow) -> NamedObject {
    const flow::Endpoint& endpoint = (flow.*end)();
    return {endpoint.namespace_(), endpoint.pod_name()};
  };
}

}  // namespace

Status AddEndConditions(const flow::FlowFilter& filter, Conditions* out) {
  constexpr EndOf kSource = &flow::Flow::source, kDestination = &flow::Flow::destination;
  SL_RETURN_IF_ERROR(AddNames("source_pod", filter.source_pod(), PodOf(kSource), out));
  SL_RETURN_IF_ERROR(AddNames("destination_pod", filter.destination_pod(), PodOf(kDestination), out));
  SL_RETURN_IF_ERROR(AddNames(
      "source_service", filter.source_service(),
      [](const flow::Flow& flow) -> NamedObject {
        return {flow.source_service().namespace_(), flow.source_service().name()};
      },
      out));
  SL_RETURN_IF_ERROR(AddNames(
      "destination_service", filter.destination_service(),
      [](const flow::Flow& flow) -> NamedObject {
        return {flow.destination_service().namespace_(), flow.destination_service().name()};
      },
      out));
  SL_RETURN_IF_ERROR(AddAddresses(
      "source_ip", filter.source_ip(), [](const flow::Flow& flow) -> const std::string& { return flow.ip().source(); },
      out));
  SL_RETURN_IF_ERROR(AddAddresses(
      "destination_ip", filter.destination_ip(),
      [](const flow::Flow& flow) -> const std::string& { return flow.ip().destination(); }, out));
  SL_RETURN_IF_ERROR(AddAddresses(
      "source_ip_xlated", filter.source_ip_xlated(),
      [](const flow::Flow& flow) -> const std::string& { return flow.ip().source_xlated(); }, out));
  SL_RETURN_IF_ERROR(AddFqdns(
      "source_fqdn", filter.source_fqdn(), [](const flow::Flow& flow) -> const Texts& { return flow.source_names(); },
      out));
  SL_RETURN_IF_ERROR(AddFqdns(
      "destination_fqdn", filter.destination_fqdn(),
      [](const flow::Flow& flow) -> const Texts& { return flow.destination_names(); }, out));
  SL_RETURN_IF_ERROR(AddLabels(
      "source_label", filter.source_label(),
      [](const flow::Flow& flow) -> const Texts& { return flow.source().labels(); }, out));
  SL_RETURN_IF_ERROR(AddLabels(
      "destination_label", filter.destination_label(),
      [](const flow::Flow& flow) -> const Texts& { return flow.destination().labels(); }, out));
  SL_RETURN_IF_ERROR(AddLabels(
      "node_labels", filter.node_labels(), [](const flow::Flow& flow) -> const Texts& { return flow.node_labels(); },
      out));
  SL_RETURN_IF_ERROR(AddPorts("source_port", filter.source_port(), &PortsOfFlow::source, out));
  SL_RETURN_IF_ERROR(AddPorts("destination_port", filter.destination_port(), &PortsOfFlow::destination, out));
  AddIdentities(filter.source_identity(), kSource, out);
  AddIdentities(filter.destination_identity(), kDestination, out);
  AddWorkloads(filter.source_workload(), kSource, out);
  AddWorkloads(filter.destination_workload(), kDestination, out);
  SL_RETURN_IF_ERROR(AddClusters("source_cluster_name", filter.source_cluster_name(), kSource, out));
  return AddClusters("destination_cluster_name", filter.destination_cluster_name(), kDestination, out);
}

}  // namespace sluice::telemetry
