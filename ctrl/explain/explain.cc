#include "ctrl/explain/explain.h"

#include <algorithm>

#include "bpf/abi/policy.h"
#include "ctrl/explain/protocol.h"
#include "ctrl/explain/reason.h"
#include "ctrl/explain/world_address.h"
#include "policy/network/evaluate.h"
#include "policy/network/near_miss.h"
#include "policy/network/suggest.h"
#include "telemetry/event/policy_refs.h"
#include "telemetry/event/text.h"

namespace sluice::explain {
namespace {

using policy::Address;

StatusOr<std::vector<Address>> AddressesOfEntity(const policy::Snapshot& snapshot, const std::string& entity) {
  const bool is_node = entity == "node";
  std::vector<Address> addresses = is_node ? snapshot.node_addresses : WorldAddresses(snapshot);
  if (!addresses.empty()) return addresses;
  return MakeError(
      absl::StatusCode::kFailedPrecondition, "{}; give an IP address instead",
      is_node ? "node: no address of the node is known here" : "world: the policies' ipBlocks name every address");
}

StatusOr<std::vector<Address>> AddressesOf(const policy::Snapshot& snapshot, const std::string& end) {
  if (const auto address = Address::Parse(end); address.ok()) return std::vector<Address>{*address};
  if (end == "node" || end == "world") return AddressesOfEntity(snapshot, end);
  const std::size_t slash = end.find('/');
  if (slash == std::string::npos || slash == 0 || slash + 1 == end.size()) {
    return InvalidError("{}: expected namespace/name of a workload or pod, an IP address, node or world", end);
  }
  const policy::Endpoint* endpoint = snapshot.FindByName({end.substr(0, slash), end.substr(slash + 1)});
  if (!endpoint) {
    return MakeError(absl::StatusCode::kNotFound, "{}: no such workload or pod; `sluice get workloads` lists them",
                     end);
  }
  if (endpoint->ips.empty()) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "{} has no address yet", end);
  }
  return endpoint->ips;
}

// The first pair of one family, IPv4 first.
StatusOr<std::pair<Address, Address>> Pair(const std::vector<Address>& from, const std::vector<Address>& to) {
  for (const bool v4 : {true, false}) {
    const auto in_family = [v4](const Address& address) { return address.is_v4() == v4; };
    const auto source = std::find_if(from.begin(), from.end(), in_family);
    const auto destination = std::find_if(to.begin(), to.end(), in_family);
    if (source != from.end() && destination != to.end()) return std::make_pair(*source, *destination);
  }
  return InvalidError("{} and {} are addresses of different IP families", from.front().ToString(),
                      to.front().ToString());
}

v1::Explanation::End ToEnd(const policy::Snapshot& snapshot, const Address& address) {
  v1::Explanation::End end;
  end.set_address(address.ToString());
  if (const policy::Endpoint* endpoint = snapshot.Find(address)) {
    end.set_namespace_(endpoint->name.ns);
    end.set_workload(endpoint->name.name);
  } else {
    end.set_entity(snapshot.IsNode(address) ? "node" : "world");
  }
  return end;
}

StatusOr<std::string> ParsePath(const char* what, const std::string& text) {
  if (text.starts_with('/') && text.size() <= SL_PROGRAM_PATH_MAX) return text;
  return InvalidError("{} {}: expected an absolute path of at most {} bytes", what, text, SL_PROGRAM_PATH_MAX);
}

// Where no rule allows the flow at that end: the rules that come nearest.
void AddNearMisses(const policy::Snapshot& snapshot, const policy::Flow& flow, policy::Direction direction,
                   v1::Explanation::Direction& out) {
  for (const policy::NearMiss& near : policy::NearMisses(snapshot, flow, direction)) {
    v1::Explanation::NearMiss& miss = *out.add_near_misses();
    telemetry::PolicyRefs refs;
    telemetry::AppendPolicyRefs({.contributions = {near.rule}}, direction, &refs);
    *miss.mutable_policy() = refs.Get(0);
    for (const std::string& difference : near.differences) miss.add_differences(telemetry::ToUtf8(difference));
  }
}

bool IsDefaultDeny(const std::optional<policy::Decision>& decision) {
  return decision && std::any_of(decision->contributions.begin(), decision->contributions.end(),
                                 [](const auto& part) { return part.effect == policy::Effect::kDefaultDeny; });
}

// Programs as the kernel will know them: a path that is a link is replaced by its target, and added to `links`.
class Programs {
 public:
  Programs(const policy::Snapshot& snapshot, const FindProgram& find, ProgramLinks* links)
      : snapshot_(snapshot), find_(find), links_(links) {}

  std::string Resolve(const Address& end, std::string path) const {
    const policy::Endpoint* endpoint = snapshot_.Find(end);
    if (!find_ || endpoint == nullptr) return path;
    const auto files = find_(endpoint->name, path);
    const bool counts =
        std::any_of(files.begin(), files.end(), [&](const auto& file) { return file.is_script || file.path == path; });
    if (files.empty() || counts) return path;
    AddLink(endpoint->name, path, files.front().path, links_);
    return files.front().path;
  }

  // Adds those of all policies that select the end.
  void AddLinksOfPolicies(const Address& end, policy::Direction direction) const {
    const policy::Endpoint* endpoint = snapshot_.Find(end);
    if (!find_ || endpoint == nullptr) return;
    for (const auto& policy : snapshot_.policies) {
      if (policy::Selects(*policy, *endpoint)) AddLinks(*policy, direction, endpoint->name, find_, links_);
    }
  }

 private:
  const policy::Snapshot& snapshot_;
  const FindProgram& find_;
  ProgramLinks* const links_;
};

// Sets both ends' processes, as far as the request names them.
Status ReadProcesses(const v1::ExplainRequest& request, const Programs& programs, policy::Flow& flow) {
  if (!request.process().empty()) {
    SL_ASSIGN_OR_RETURN(std::string binary, ParsePath("process", request.process()));
    flow.source_process.emplace().binary = programs.Resolve(flow.source, std::move(binary));
    for (const std::string& ancestor : request.ancestors()) {
      SL_ASSIGN_OR_RETURN(std::string path, ParsePath("ancestor", ancestor));
      flow.source_process->ancestors.push_back(programs.Resolve(flow.source, std::move(path)));
    }
  } else if (request.ancestors_size() != 0) {
    return InvalidError("ancestor {}: name its process too", request.ancestors(0));
  }
  if (!request.listener().empty()) {
    SL_ASSIGN_OR_RETURN(std::string binary, ParsePath("listener", request.listener()));
    flow.destination_process.emplace().binary = programs.Resolve(flow.destination, std::move(binary));
  }
  return OkStatus();
}

v1::Explanation::Direction ToDirection(const std::optional<policy::Decision>& decision, policy::Direction direction) {
  v1::Explanation::Direction out;
  if (!decision) return out;
  out.set_verdict(decision->allowed ? "ALLOWED" : "DENIED");
  out.set_isolated(std::any_of(decision->contributions.begin(), decision->contributions.end(),
                               [](const policy::Contribution& part) { return part.effect != policy::Effect::kAudit; }));
  telemetry::AppendPolicyRefs(*decision, direction, out.mutable_policies());
  return out;
}

// The flow that the request asks about; links among its processes are added to those of `programs`.
StatusOr<policy::Flow> ReadFlow(const policy::Snapshot& snapshot, const v1::ExplainRequest& request,
                                const Programs& programs) {
  SL_ASSIGN_OR_RETURN(const std::uint8_t protocol, ParseProtocol(request.protocol()));
  if (request.port() > UINT16_MAX) return InvalidError("port {}: ports end at {}", request.port(), UINT16_MAX);
  if (request.port() != 0 && !HasPorts(protocol)) {
    return InvalidError("port {}: {} has no ports", request.port(), request.protocol());
  }
  SL_ASSIGN_OR_RETURN(const auto from, AddressesOf(snapshot, request.from()));
  SL_ASSIGN_OR_RETURN(const auto to, AddressesOf(snapshot, request.to()));
  SL_ASSIGN_OR_RETURN(const auto ends, Pair(from, to));
  policy::Flow flow{.source = ends.first,
                    .destination = ends.second,
                    .protocol = protocol,
                    .port = static_cast<std::uint16_t>(request.port()),
                    .from_node = snapshot.IsNode(ends.first)};
  SL_RETURN_IF_ERROR(ReadProcesses(request, programs, flow));
  return flow;
}

}  // namespace

StatusOr<v1::Explanation> Explain(const policy::Snapshot& snapshot, const policy::Quarantine& quarantine,
                                  const v1::ExplainRequest& request, const FindProgram& find) {
  v1::Explanation out;
  const Programs programs(snapshot, find, out.mutable_links());
  SL_ASSIGN_OR_RETURN(const policy::Flow flow, ReadFlow(snapshot, request, programs));
  const policy::Evaluation answer = policy::Evaluate(snapshot, flow, policy::Scope::kEverywhere, quarantine);
  out.set_allowed(answer.allowed);
  out.set_audit_denied(answer.audit_denied);
  out.set_exempt(policy::ExemptionName(answer.exemption));
  *out.mutable_from() = ToEnd(snapshot, flow.source);
  *out.mutable_to() = ToEnd(snapshot, flow.destination);
  out.set_protocol(request.protocol());
  out.set_port(request.port());
  *out.mutable_egress() = ToDirection(answer.egress, policy::Direction::kEgress);
  *out.mutable_ingress() = ToDirection(answer.ingress, policy::Direction::kIngress);
  for (const auto& [decision, direction, end] :
       {std::tuple{&answer.egress, policy::Direction::kEgress, out.mutable_egress()},
        {&answer.ingress, policy::Direction::kIngress, out.mutable_ingress()}}) {
    if (IsDefaultDeny(*decision)) AddNearMisses(snapshot, flow, direction, *end);
  }
  if (answer.egress_by_process) {
    out.mutable_egress()->set_by_process(true);
    if (flow.source_process) out.mutable_egress()->set_process(telemetry::ToUtf8(flow.source_process->binary));
    programs.AddLinksOfPolicies(flow.source, policy::Direction::kEgress);
  }
  if (answer.ingress_by_process) {
    out.mutable_ingress()->set_by_process(true);
    if (flow.destination_process)
      out.mutable_ingress()->set_process(telemetry::ToUtf8(flow.destination_process->binary));
    programs.AddLinksOfPolicies(flow.destination, policy::Direction::kIngress);
  }
  if (answer.quarantined) {
    out.set_quarantined(true);
    out.mutable_egress()->set_quarantined(answer.egress.has_value());
    out.mutable_ingress()->set_quarantined(answer.ingress.has_value());
  }
  out.set_reason(ReasonText(out));
  return out;
}

StatusOr<web::Suggestions> Suggest(const policy::Snapshot& snapshot, const policy::Quarantine& quarantine,
                                   const v1::ExplainRequest& request, const FindProgram& find) {
  web::Suggestions out;
  SL_ASSIGN_OR_RETURN(*out.mutable_explanation(), Explain(snapshot, quarantine, request, find));
  ProgramLinks links;  // the explanation has them
  const Programs programs(snapshot, find, &links);
  SL_ASSIGN_OR_RETURN(const policy::Flow flow, ReadFlow(snapshot, request, programs));
  const policy::Suggestions suggested = policy::Suggest(snapshot, flow, quarantine);
  for (const policy::Suggestion& one : suggested.policies) {
    web::Suggestions::Policy& suggestion = *out.add_policies();
    suggestion.set_direction(one.direction == policy::Direction::kIngress ? v1::Flow::INGRESS : v1::Flow::EGRESS);
    suggestion.set_workload(one.subject.ToString());
    suggestion.set_yaml(telemetry::ToUtf8(one.yaml));
  }
  for (const std::string& note : suggested.notes) out.add_notes(telemetry::ToUtf8(note));
  return out;
}

}  // namespace sluice::explain
