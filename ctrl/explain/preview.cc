#include "ctrl/explain/preview.h"

#include <algorithm>

#include "ctrl/explain/protocol.h"
#include "telemetry/event/policy_refs.h"

namespace sluice::explain {
namespace {

std::optional<policy::Process> ToProcess(const v1::Process& known) {
  if (known.binary().empty()) return std::nullopt;
  policy::Process process{.binary = known.binary(),
                          .script = known.script(),
                          .ancestors = {known.ancestors().begin(), known.ancestors().end()}};
  process.more_ancestors = std::any_of(known.flags().begin(), known.flags().end(), [](int flag) {
    return flag == v1::Process::ANCESTORS_INCOMPLETE || flag == v1::Process::INCOMPLETE;
  });
  return process;
}

// Absent: the message is not that of a flow.
std::optional<policy::Flow> ToFlow(const v1::Flow& message) {
  const auto source = policy::Address::Parse(message.ip().source());
  const auto destination = policy::Address::Parse(message.ip().destination());
  const auto protocol = ParseProtocol(message.l4().protocol());
  if (!source.ok() || !destination.ok() || !protocol.ok()) return std::nullopt;
  return policy::Flow{.source = *source,
                      .destination = *destination,
                      .protocol = *protocol,
                      .port = static_cast<std::uint16_t>(message.l4().destination_port()),
                      .from_node = message.exempt() == policy::ExemptionName(policy::Exemption::kFromNode),
                      .source_process = ToProcess(message.source().process()),
                      .destination_process = ToProcess(message.destination().process())};
}

std::string NameOf(const v1::Peer& peer, const std::string& address) {
  return peer.workload().empty() ? address : peer.namespace_() + "/" + peer.workload();
}

// A peer without what differs from process to process.
v1::Peer Outline(const v1::Peer& peer) {
  v1::Peer outline = peer;
  outline.clear_process();
  if (!peer.process().binary().empty()) outline.mutable_process()->set_binary(peer.process().binary());
  return outline;
}

bool IsOlder(const google::protobuf::Timestamp& a, const google::protobuf::Timestamp& b) {
  return std::pair(a.seconds(), a.nanos()) < std::pair(b.seconds(), b.nanos());
}

void AddRefs(const policy::Evaluation& evaluation, telemetry::PolicyRefs* refs) {
  if (evaluation.egress) telemetry::AppendPolicyRefs(*evaluation.egress, policy::Direction::kEgress, refs);
  if (evaluation.ingress) telemetry::AppendPolicyRefs(*evaluation.ingress, policy::Direction::kIngress, refs);
}

}  // namespace

StatusOr<std::shared_ptr<const policy::Snapshot>> WithChange(const policy::Snapshot& before,
                                                             const policy::ResourceMap& resources,
                                                             const std::vector<policy::Resource>& documents,
                                                             bool remove) {
  policy::ResourceMap changed = resources;
  for (const policy::Resource& document : documents) {
    if (!policy::IsPolicy(document.id.kind)) {
      return InvalidError("{}: only policies of the network have a preview", document.id.ToString());
    }
    if (!remove) {
      changed.insert_or_assign(document.id, document);
    } else if (changed.erase(document.id) == 0) {
      return MakeError(absl::StatusCode::kNotFound, "{}: there is no such policy", document.id.ToString());
    }
  }
  return policy::Snapshot::Build(changed, before.population->bindings, before.node_addresses, &before);
}

void Preview::Add(const v1::Flow& message) {
  const std::optional<policy::Flow> flow = ToFlow(message);
  if (!flow) return;
  const policy::Evaluation was = policy::Evaluate(*before_, *flow, policy::Scope::kLocal, quarantine_);
  const policy::Evaluation would = policy::Evaluate(*after_, *flow, policy::Scope::kLocal, quarantine_);
  if (!was.egress && !was.ingress) {
    answer_.set_not_evaluated(answer_.not_evaluated() + 1);
    return;
  }
  answer_.set_flows(answer_.flows() + 1);
  if (!answer_.has_oldest() || IsOlder(message.time(), answer_.oldest())) *answer_.mutable_oldest() = message.time();
  if (was.allowed == would.allowed) return;
  const Key key{NameOf(message.source(), message.ip().source()),
                NameOf(message.destination(), message.ip().destination()),
                message.source().process().binary(),
                message.destination().process().binary(),
                message.l4().protocol(),
                message.l4().destination_port(),
                was.allowed};
  auto found = changes_.find(key);
  if (found == changes_.end()) {
    if (changes_.size() >= kMostChanges) {
      answer_.set_left_out(answer_.left_out() + 1);
      return;
    }
    web::Preview::Change& change = *(was.allowed ? answer_.add_denied() : answer_.add_allowed());
    *change.mutable_source() = Outline(message.source());
    *change.mutable_destination() = Outline(message.destination());
    change.set_source_address(message.ip().source());
    change.set_destination_address(message.ip().destination());
    change.set_protocol(message.l4().protocol());
    change.set_port(message.l4().destination_port());
    AddRefs(would, change.mutable_policies());
    found = changes_.emplace(key, &change).first;
  }
  web::Preview::Change& change = *found->second;
  change.set_flows(change.flows() + 1);
  if (IsOlder(change.last(), message.time())) *change.mutable_last() = message.time();
}

}  // namespace sluice::explain
