#include "telemetry/flow/flow_assembler.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include "policy/network/evaluate.h"
#include "telemetry/event/drop_reason.h"
#include "telemetry/event/layer4.h"
#include "telemetry/event/pod_owner.h"
#include "telemetry/event/policy_refs.h"

namespace sluice::telemetry {
namespace {

bool InitiatorIsHi(const FlowReport& report) { return (report.entry.flags & SL_CT_INITIATOR_HI) != 0; }

v1::Ip AssembleIp(const FlowReport& report) {
  const policy::Address lo(report.key.lo), hi(report.key.hi);
  v1::Ip ip;
  ip.set_version(lo.is_v4() ? 4 : 6);
  ip.set_source((InitiatorIsHi(report) ? hi : lo).ToString());
  ip.set_destination((InitiatorIsHi(report) ? lo : hi).ToString());
  return ip;
}

v1::Layer4 AssembleLayer4(const FlowReport& report) {
  const std::uint16_t lo = ntohs(report.key.lo_port), hi = ntohs(report.key.hi_port);
  return MakeLayer4({.protocol = report.key.protocol,
                     .source_port = InitiatorIsHi(report) ? hi : lo,
                     .destination_port = InitiatorIsHi(report) ? lo : hi,
                     .tcp_flags = report.entry.tcp_flags,
                     .icmp_type = report.entry.icmp_type,
                     .icmp_code = report.entry.icmp_code});
}

v1::Traffic AssembleTraffic(std::uint64_t packets, std::uint64_t bytes) {
  v1::Traffic traffic;
  traffic.set_packets(packets);
  traffic.set_bytes(bytes);
  return traffic;
}

// Includes the start time, because ids begin again at each boot. Empty: an older version made the entry.
std::string FlowId(const sl_flow_entry& entry) {
  return entry.id == 0 ? "" : fmt::format("{:x}-{:x}", entry.created_ns >> SL_TICK_SHIFT, entry.id);
}

// Quarantine stops a flow regardless of policy.
std::uint32_t ReasonOf(const sl_flow_entry& entry) {
  return (entry.flags & SL_CT_QUARANTINED) ? static_cast<std::uint32_t>(SL_DROP_QUARANTINED) : entry.reason;
}

v1::Flow::Verdict ToVerdict(const sl_flow_entry& entry) {
  if (ReasonOf(entry) != SL_DROP_NONE) return v1::Flow::DROPPED;
  return (entry.flags & SL_CT_AUDIT) ? v1::Flow::AUDIT : v1::Flow::FORWARDED;
}

// The interface of the hook that decided; 0 if the entry does not tell.
std::uint32_t DecidingInterface(const sl_flow_entry& entry) {
  if (entry.hook == SL_HOOK_TC_FROM_POD) return entry.initiator.ifindex;
  if (entry.hook == SL_HOOK_TC_TO_POD) return entry.responder.ifindex;
  return 0;
}

void NameWorkload(const policy::Endpoint& workload, v1::Peer* peer) {
  peer->set_namespace_(workload.name.ns);
  peer->set_workload(workload.name.name);
  peer->mutable_labels()->insert(workload.labels.begin(), workload.labels.end());
  if (workload.owner) SetOwner(*workload.owner, peer->mutable_owner());
}

FlowReport AtLastPacket(const datapath::FlowRecord& record, v1::Flow::Kind kind) {
  return {.key = record.key,
          .entry = record.entry,
          .kind = kind,
          .time_ns = record.entry.last_seen_ns,
          .ifindex = DecidingInterface(record.entry)};
}

}  // namespace

FlowReport FromEvent(const sl_flow_event& event) {
  return {
      .key = event.key,
      .entry = event.entry,
      .kind = v1::Flow::Kind_IsValid(event.type) ? static_cast<v1::Flow::Kind>(event.type) : v1::Flow::KIND_UNSPECIFIED,
      .time_ns = event.time_ns,
      .ifindex = event.ifindex,
      .reply = event.reply != 0};
}

FlowReport FromRecord(const datapath::FlowRecord& record) {
  const bool untouched = record.entry.last_seen_ns == record.entry.created_ns;
  return AtLastPacket(record, untouched ? v1::Flow::NEW : v1::Flow::UPDATE);
}

FlowReport FromEndedRecord(const datapath::FlowRecord& record) { return AtLastPacket(record, v1::Flow::END); }

FlowAssembler::FlowAssembler(std::string node, const datapath::PathReader* datapath, PolicySource policy, Clock clock)
    : node_(std::move(node)), datapath_(datapath), policy_(std::move(policy)), clock_(std::move(clock)) {}

FlowContext FlowAssembler::Capture() {
  FlowContext context;
  context.node_ = node_;
  context.now_ns_ = clock_.Now();
  context.clock_ = &clock_;
  context.decision_ = policy_.decision;
  for (const datapath::AttachedProgram& program : datapath_->Attached()) {
    context.interfaces_.emplace(program.ifindex, program.interface);
  }
  const std::lock_guard lock(mutex_);
  context.process_ = process_;
  context.services_ = services_;
  context.index_ = indexer_.Update(policy_.compiled());
  return context;
}

void FlowAssembler::NameProcesses(ProcessSource source) {
  const std::lock_guard lock(mutex_);
  process_ = std::move(source);
}

void FlowAssembler::NameServices(const datapath::ServiceNames* names) {
  const std::lock_guard lock(mutex_);
  services_ = names;
}

LocalWorkloads FlowContext::LocalNames() const {
  LocalWorkloads names;
  if (index_->compiled() == nullptr) return names;
  for (const policy::Endpoint& endpoint : index_->compiled()->snapshot->endpoints) {
    if (endpoint.endpoint != 0) names.emplace(endpoint.workload_id, endpoint.name);
  }
  return names;
}

std::map<std::uint32_t, policy::ObjectName> EndpointNames(const policy::CompiledPolicy* policy) {
  std::map<std::uint32_t, policy::ObjectName> names;
  if (policy == nullptr) return names;
  for (const policy::Endpoint& endpoint : policy->snapshot->endpoints) {
    if (endpoint.endpoint != 0) names.emplace(endpoint.endpoint, endpoint.name);
  }
  return names;
}

std::map<std::uint32_t, policy::ObjectName> FlowContext::EndpointNames() const {
  return telemetry::EndpointNames(index_->compiled());
}

void FlowContext::NameProcess(sl_process_id id, v1::Peer* peer) const {
  v1::Process process;
  if (id != 0 && process_ && process_(id, &process)) *peer->mutable_process() = std::move(process);
}

void FlowContext::NameService(std::uint32_t number, v1::Flow* flow) const {
  const auto name = number != 0 && services_ != nullptr ? services_->Find(number) : nullptr;
  if (name == nullptr) return;
  v1::Service& service = *flow->mutable_service();
  service.set_namespace_(name->service.ns);
  service.set_name(name->service.name);
  service.set_port_name(name->port_name);
  service.set_address(name->address.address.ToString());
  service.set_port(name->address.port);
}

v1::Peer FlowContext::AssemblePeer(const sl_flow_end& end, sl_process_id process) const {
  v1::Peer peer;
  NameProcess(process, &peer);
  if (end.identity == SL_IDENTITY_UNKNOWN) return peer;
  peer.set_identity(end.identity);
  const std::uint32_t kind = end.identity >> SL_IDENTITY_KIND_SHIFT;
  if (kind == SL_KIND_NODE) peer.set_entity("node");
  if (kind == SL_KIND_WORLD4 || kind == SL_KIND_WORLD6) peer.set_entity("world");
  if (const policy::Endpoint* known = index_->Find(end.workload)) NameWorkload(*known, &peer);
  return peer;
}

// A forged address identifies no workload. Only at the sender's own hook does the entry have the workload of the
// interface.
v1::Peer FlowContext::AssembleSource(const sl_flow_entry& entry) const {
  if (entry.reason != SL_DROP_SPOOFED_SOURCE || entry.hook == SL_HOOK_TC_FROM_POD) {
    return AssemblePeer(entry.initiator, entry.initiator_process);
  }
  return {};
}

void FlowContext::AddPolicies(const sl_flow_entry& entry, PolicyRefs* policies) const {
  if (ReasonOf(entry) == SL_DROP_QUARANTINED) return;  // no policy decided this
  const auto find = [this](std::uint32_t number) { return number ? decision_(number) : nullptr; };
  const auto egress = find(entry.egress_decision);
  const auto ingress = find(entry.ingress_decision);
  // In a denied flow, only the end that denied it made a decision.
  const auto decides = [&](const std::shared_ptr<const policy::Decision>& decision) {
    return decision && (entry.reason == SL_DROP_NONE || !decision->allowed);
  };
  if (decides(egress)) AppendPolicyRefs(*egress, policy::Direction::kEgress, policies);
  if (decides(ingress)) AppendPolicyRefs(*ingress, policy::Direction::kIngress, policies);
}

const policy::ObjectName* FlowContext::WorkloadAt(const sl_flow_end& end) const {
  const policy::Endpoint* const known = end.identity == SL_IDENTITY_UNKNOWN ? nullptr : index_->Find(end.workload);
  return known == nullptr ? nullptr : &known->name;
}

std::string FlowContext::NameOfEnd(const datapath::FlowRecord& record, bool initiator) const {
  const sl_flow_end& end = initiator ? record.entry.initiator : record.entry.responder;
  if (const policy::ObjectName* const workload = WorkloadAt(end)) return workload->ToString();
  if (end.identity >> SL_IDENTITY_KIND_SHIFT == SL_KIND_NODE) return "node";
  const bool hi = initiator == ((record.entry.flags & SL_CT_INITIATOR_HI) != 0);
  return policy::Address(hi ? record.key.hi : record.key.lo).ToString();
}

// For flows that passed without a policy decision, the ends show why.
policy::Exemption ExemptionOf(const sl_flow_entry& entry) {
  if (ReasonOf(entry) != SL_DROP_NONE || entry.egress_decision != 0 || entry.ingress_decision != 0) {
    return policy::Exemption::kNone;
  }
  const bool is_local = entry.responder.endpoint != 0;
  if (is_local && entry.initiator.workload == entry.responder.workload) return policy::Exemption::kToItself;
  const bool from_node = entry.initiator.identity >> SL_IDENTITY_KIND_SHIFT == SL_KIND_NODE;
  return is_local && from_node ? policy::Exemption::kFromNode : policy::Exemption::kNone;
}

v1::Flow FlowContext::Assemble(const FlowReport& report) const {
  const sl_flow_entry& entry = report.entry;
  v1::Flow flow;
  *flow.mutable_time() = clock_->At(report.time_ns);
  flow.set_node(node_);
  flow.set_type("flow");
  flow.set_event(report.kind);
  flow.set_verdict(ToVerdict(entry));
  if (const auto reason = ReasonOf(entry); reason != SL_DROP_NONE) flow.set_drop_reason(DropReasonName(reason));
  flow.set_direction(entry.hook == SL_HOOK_TC_FROM_POD ? v1::Flow::EGRESS : v1::Flow::INGRESS);
  flow.set_hook(entry.hook == SL_HOOK_XDP_UPLINK ? v1::Flow::XDP : v1::Flow::TC);
  if (const auto interface = interfaces_.find(report.ifindex); interface != interfaces_.end()) {
    flow.set_interface(interface->second);
  }
  flow.set_reply(report.reply);
  *flow.mutable_ip() = AssembleIp(report);
  *flow.mutable_l4() = AssembleLayer4(report);
  *flow.mutable_source() = AssembleSource(entry);
  *flow.mutable_destination() = AssemblePeer(entry.responder, entry.responder_process);
  AddPolicies(entry, flow.mutable_policies());
  flow.set_exempt(policy::ExemptionName(ExemptionOf(entry)));
  *flow.mutable_forward() = AssembleTraffic(entry.forward_packets, entry.forward_bytes);
  *flow.mutable_backward() = AssembleTraffic(entry.reply_packets, entry.reply_bytes);
  *flow.mutable_start_time() = clock_->At(entry.created_ns);
  flow.set_flow_id(FlowId(entry));
  NameService(entry.service, &flow);
  return flow;
}

}  // namespace sluice::telemetry
