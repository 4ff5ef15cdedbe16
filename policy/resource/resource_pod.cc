// Namespace, Pod and Workload.
#include <algorithm>

#include "policy/resource/pod_owner.h"
#include "policy/resource/resource_kinds.h"
#include "policy/resource/resource_scalar.h"
#include "policy/resource/resource_syntax.h"

namespace sluice::policy {
namespace {

constexpr char kNamespaceNameLabel[] = "kubernetes.io/metadata.name";

// `number_key`: "port" of a Workload, "containerPort" of a container.
StatusOr<NamedPort> ParseNamedPort(const Field& field, std::string_view number_key) {
  const auto number = field.Get(number_key);
  if (!number) return field.Missing(number_key);
  NamedPort port;
  SL_ASSIGN_OR_RETURN(port.port, ParsePortNumber(*number));
  SL_RETURN_IF_ERROR(field.Read("protocol", port.protocol, ParseProtocol));
  SL_RETURN_IF_ERROR(field.Read("name", port.name, Checked(CheckPortName)));
  return port;
}

Status AppendAddress(const Field& field, std::vector<Address>& addresses) {
  SL_ASSIGN_OR_RETURN(const Address address, ParseHostAddress(field));
  if (std::find(addresses.begin(), addresses.end(), address) != addresses.end()) {
    return field.Error(fmt::format("{} is listed twice", address.ToString()));
  }
  addresses.push_back(address);
  return OkStatus();
}

// Policy needs only named ports: a port is open even if no container declares it.
Status AppendContainerPorts(const Field& container, std::vector<NamedPort>& named) {
  SL_RETURN_IF_ERROR(container.CheckMap());
  const auto ports = container.Get("ports");
  if (!ports) return OkStatus();
  return ports->ForEachItem([&](const Field& item) -> Status {
    SL_RETURN_IF_ERROR(item.CheckMap());
    SL_ASSIGN_OR_RETURN(NamedPort port, ParseNamedPort(item, "containerPort"));
    if (!port.name.empty()) named.push_back(std::move(port));
    return OkStatus();
  });
}

// An init container that always restarts is a sidecar: it runs as long as the pod.
bool IsSidecar(const Field& container) {
  const YamlNode* policy = container.node().Find("restartPolicy");
  return policy != nullptr && policy->scalar == "Always";
}

Status ParsePodSpec(const Field& spec, Pod& pod) {
  SL_RETURN_IF_ERROR(spec.CheckMap());
  SL_RETURN_IF_ERROR(spec.Read("hostNetwork", pod.host_network, [](const Field& field) { return field.Bool(); }));
  if (const auto containers = spec.Get("containers")) {
    SL_RETURN_IF_ERROR(
        containers->ForEachItem([&](const Field& item) { return AppendContainerPorts(item, pod.ports); }));
  }
  if (const auto containers = spec.Get("initContainers")) {
    SL_RETURN_IF_ERROR(containers->ForEachItem(
        [&](const Field& item) { return IsSidecar(item) ? AppendContainerPorts(item, pod.ports) : OkStatus(); }));
  }
  return OkStatus();
}

Status ParsePodStatus(const Field& status, Pod& pod) {
  SL_RETURN_IF_ERROR(status.CheckMap());
  if (const auto ips = status.Get("podIPs")) {
    SL_RETURN_IF_ERROR(ips->ForEachItem([&](const Field& item) -> Status {
      SL_RETURN_IF_ERROR(item.CheckMap());
      const auto ip = item.Get("ip");
      return ip ? AppendAddress(*ip, pod.ips) : item.Missing("ip");
    }));
  }
  if (const auto ip = status.Get("podIP"); ip && pod.ips.empty()) SL_RETURN_IF_ERROR(AppendAddress(*ip, pod.ips));
  if (const auto phase = status.Get("phase")) {
    SL_ASSIGN_OR_RETURN(const std::string text, phase->String());
    pod.finished = text == "Succeeded" || text == "Failed";
    if (!pod.finished && text != "Pending" && text != "Running" && text != "Unknown") {
      return phase->Error(fmt::format("must be Pending, Running, Succeeded, Failed or Unknown, got {}", Quoted(text)));
    }
  }
  return OkStatus();
}

std::string TextOf(const YamlNode& map, std::string_view key) {
  const YamlNode* const value = map.Find(key);
  return value == nullptr ? std::string() : value->scalar;
}

// No policy depends on the owner, so that whatever is no reference to a controller is passed over.
std::shared_ptr<const PodOwner> OwnerOf(const YamlNode& metadata, const Labels& labels) {
  const YamlNode* const references = metadata.Find("ownerReferences");
  if (references == nullptr) return nullptr;
  for (const auto& item : references->items) {
    if (TextOf(*item, "controller") != "true") continue;
    auto owner = ResolvePodOwner({TextOf(*item, "apiVersion"), TextOf(*item, "kind"), TextOf(*item, "name")}, labels);
    return owner ? std::make_shared<const PodOwner>(*std::move(owner)) : nullptr;
  }
  return nullptr;
}

Status ParseWorkloadPorts(const Field& field, std::vector<NamedPort>& ports) {
  return field.ForEachItem([&](const Field& item) -> Status {
    SL_RETURN_IF_ERROR(item.AllowOnly({"name", "port", "protocol"}));
    SL_ASSIGN_OR_RETURN(NamedPort port, ParseNamedPort(item, "port"));
    if (port.name.empty()) return OkStatus();
    const bool twice = std::any_of(ports.begin(), ports.end(), [&](const NamedPort& other) {
      return other.name == port.name && other.protocol == port.protocol;
    });
    if (twice) return item.Error(fmt::format("the name {} is used twice for one protocol", Quoted(port.name)));
    ports.push_back(std::move(port));
    return OkStatus();
  });
}

Status ParseAttachment(const Field& spec, Workload& workload) {
  const auto netns = spec.Get("netns");
  const auto host_interface = spec.Get("hostInterface");
  if (netns && host_interface) return host_interface->Error("cannot be combined with netns: give one of the two");
  if (!netns && !host_interface) return spec.Error("needs netns or hostInterface");
  SL_RETURN_IF_ERROR(spec.Read("netns", workload.netns, Checked(CheckAbsolutePath)));
  SL_RETURN_IF_ERROR(spec.Read("hostInterface", workload.host_interface, Checked(CheckInterfaceName)));
  SL_RETURN_IF_ERROR(spec.Read("interface", workload.interface, Checked(CheckInterfaceName)));
  return OkStatus();
}

StatusOr<Labels> ParsePostures(const Field& root) {
  Labels postures;
  const auto metadata = root.Get("metadata");
  const auto annotations = metadata ? metadata->Get("annotations") : std::nullopt;
  if (!annotations) return postures;
  for (const char* name : kPostureAnnotations) {
    const auto field = annotations->Get(name);
    if (!field) continue;
    SL_ASSIGN_OR_RETURN(const std::string posture, field->String());
    if (posture != "audit" && posture != "block") {
      return field->Error(fmt::format("must be audit or block, got {}", Quoted(posture)));
    }
    postures.emplace(name, posture);
  }
  return postures;
}

}  // namespace

StatusOr<std::shared_ptr<const Namespace>> ParseNamespace(const Field& root, const Metadata& metadata) {
  SL_RETURN_IF_ERROR(root.AllowOnly({"apiVersion", "kind", "metadata", "spec", "status"}));
  for (const char* key : {"spec", "status"}) {
    if (const auto field = root.Get(key)) SL_RETURN_IF_ERROR(field->CheckMap());
  }
  auto ns = std::make_shared<Namespace>();
  ns->name = metadata.name.name;
  ns->labels = metadata.labels;
  SL_ASSIGN_OR_RETURN(ns->postures, ParsePostures(root));
  const auto [label, implied] = ns->labels.emplace(kNamespaceNameLabel, ns->name);
  if (!implied && label->second != ns->name) {
    return root.Error(fmt::format("metadata.labels[\"{}\"]: must be {}, the namespace's name, got {}",
                                  kNamespaceNameLabel, Quoted(ns->name), Quoted(label->second)));
  }
  return ns;
}

StatusOr<std::shared_ptr<const Pod>> ParsePod(const Field& root, const Metadata& metadata) {
  SL_RETURN_IF_ERROR(root.AllowOnly({"apiVersion", "kind", "metadata", "spec", "status"}));
  auto pod = std::make_shared<Pod>();
  pod->name = metadata.name;
  pod->uid = metadata.uid;
  pod->labels = metadata.labels;
  const YamlNode* const annotations = root.node().Find("metadata")->Find("annotations");
  if (const YamlNode* const hash = annotations ? annotations->Find(kConfigHashAnnotation) : nullptr)
    pod->config_hash = hash->scalar;
  pod->owner = OwnerOf(*root.node().Find("metadata"), pod->labels);
  if (const auto spec = root.Get("spec")) SL_RETURN_IF_ERROR(ParsePodSpec(*spec, *pod));
  if (const auto status = root.Get("status")) SL_RETURN_IF_ERROR(ParsePodStatus(*status, *pod));
  return pod;
}

StatusOr<std::shared_ptr<const Pod>> ParsePodTemplate(const Field& pod_template, const ObjectName& name) {
  SL_RETURN_IF_ERROR(pod_template.CheckMap());
  auto pod = std::make_shared<Pod>();
  pod->name = name;
  if (const auto metadata = pod_template.Get("metadata")) {
    SL_RETURN_IF_ERROR(metadata->CheckMap());
    SL_RETURN_IF_ERROR(metadata->Read("labels", pod->labels, ParseLabels));
  }
  if (const auto spec = pod_template.Get("spec")) SL_RETURN_IF_ERROR(ParsePodSpec(*spec, *pod));
  return pod;
}

StatusOr<std::shared_ptr<const Workload>> ParseWorkload(const Field& root, const Metadata& metadata) {
  SL_RETURN_IF_ERROR(root.AllowOnly({"apiVersion", "kind", "metadata", "spec"}));
  const auto spec = root.Get("spec");
  if (!spec) return root.Missing("spec");
  SL_RETURN_IF_ERROR(spec->AllowOnly({"netns", "hostInterface", "interface", "ips", "ports", "cgroup"}));
  auto workload = std::make_shared<Workload>();
  workload->name = metadata.name;
  workload->labels = metadata.labels;
  SL_RETURN_IF_ERROR(ParseAttachment(*spec, *workload));
  if (const auto ips = spec->Get("ips")) {
    SL_RETURN_IF_ERROR(ips->ForEachItem([&](const Field& item) { return AppendAddress(item, workload->ips); }));
  }
  if (const auto ports = spec->Get("ports")) SL_RETURN_IF_ERROR(ParseWorkloadPorts(*ports, workload->ports));
  SL_RETURN_IF_ERROR(spec->Read("cgroup", workload->cgroup, Checked(CheckAbsolutePath)));
  return workload;
}

}  // namespace sluice::policy
