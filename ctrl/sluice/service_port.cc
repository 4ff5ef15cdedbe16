#include "ctrl/sluice/service_port.h"

#include <algorithm>

#include "policy/resource/model.h"
#include "policy/resource/parser.h"

namespace sluice::client {
namespace {

// As Kubernetes names ports: RFC 6335.
bool IsName(std::string_view text) {
  const auto is_letter = [](char c) { return c >= 'a' && c <= 'z'; };
  const auto is_allowed = [&](char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '-'; };
  return text.size() <= 15 && std::any_of(text.begin(), text.end(), is_letter) &&
         std::all_of(text.begin(), text.end(), is_allowed);
}

std::string PortText(const policy::NamedPort& port) {
  return fmt::format("{} {}/{}", port.name, port.port, policy::ProtocolName(port.protocol));
}

std::string ListText(const std::vector<policy::NamedPort>& ports) {
  std::vector<std::string> texts;
  for (const policy::NamedPort& port : ports) texts.push_back(PortText(port));
  return texts.empty() ? "none" : fmt::format("{}", fmt::join(texts, ", "));
}

}  // namespace

StatusOr<ProtocolPort> ResolvePort(const std::string& text, const std::string& end, const FindPorts& find) {
  auto number = ParseProtocolPort(text);
  const std::size_t slash = text.find('/');
  const std::string name = text.substr(0, slash);
  if (number.ok() || !IsName(name)) return number;
  std::string protocol;
  if (slash != std::string::npos) {
    SL_ASSIGN_OR_RETURN(const ProtocolPort with_number, ParseProtocolPort("1" + text.substr(slash)));
    protocol = with_number.protocol;
  }
  if (end.find('/') == std::string::npos) {
    return InvalidError("port {}: only a workload or pod names its ports; give --to as namespace/name, or the number",
                        text);
  }
  SL_ASSIGN_OR_RETURN(const std::vector<policy::NamedPort> ports, find(end));
  std::vector<policy::NamedPort> found;
  std::copy_if(ports.begin(), ports.end(), std::back_inserter(found), [&](const policy::NamedPort& port) {
    return port.name == name && (protocol.empty() || protocol == policy::ProtocolName(port.protocol));
  });
  if (found.empty()) {
    return InvalidError("port {}: {} names no such port; its named ports: {}", text, end, ListText(ports));
  }
  if (found.size() > 1) {
    return InvalidError("port {}: {} has several of that name: {}; give the number", text, end, ListText(found));
  }
  return ProtocolPort{.protocol = policy::ProtocolName(found.front().protocol), .port = found.front().port};
}

StatusOr<std::vector<policy::NamedPort>> AskForPorts(Client& client, const std::string& end) {
  const std::size_t slash = end.find('/');
  for (const char* kind : {"workloads", "pods"}) {
    v1::GetRequest request;
    request.set_kind(kind);
    request.set_namespace_(end.substr(0, slash));
    request.set_name(end.substr(slash + 1));
    request.set_with_yaml(true);
    std::string yaml;
    SL_RETURN_IF_ERROR(client.Get(request, [&yaml](const v1::Object& object) {
      yaml = object.resource().yaml();
      return OkStatus();
    }));
    if (yaml.empty()) continue;
    SL_ASSIGN_OR_RETURN(const auto parsed, policy::ParseResources(end, yaml));
    for (const policy::Resource& resource : parsed) {
      if (resource.workload) return resource.workload->ports;
      if (resource.pod) return resource.pod->ports;
    }
  }
  return MakeError(absl::StatusCode::kNotFound, "{}: no such workload or pod; `sluice get workloads` lists them", end);
}

}  // namespace sluice::client
