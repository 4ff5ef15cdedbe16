#include "telemetry/capture/packet_namer.h"

#include <algorithm>
#include <array>

#include "telemetry/event/drop_reason.h"

namespace sluice::telemetry {
namespace {

constexpr std::array kHookNames{
#define SL_X(name, label, direction) label,
    SL_PACKET_HOOKS(SL_X)
#undef SL_X
};
constexpr std::size_t kMacs = 12;  // bytes of an Ethernet header before a VLAN tag

bool Has(const sl_capture_packet& facts, sl_capture_flags flag) { return (facts.flags & flag) != 0; }

// The ring has only the lower 32 bits; a flow is not younger than its packet.
std::uint64_t CreatedNs(const sl_capture_packet& facts) {
  const std::uint64_t packet = facts.time_ns >> SL_TICK_SHIFT;
  std::uint64_t created = (packet & ~0xffffffffULL) | facts.created;
  if (created > packet + 1 && created >> 32 != 0) created -= 1ULL << 32;
  return created << SL_TICK_SHIFT;
}

FlowReport ReportOf(const sl_capture_packet& facts) {
  FlowReport report;
  report.key = facts.key;
  report.time_ns = facts.time_ns;
  report.ifindex = facts.ifindex;
  report.reply = Has(facts, SL_CAPTURE_REPLY);
  sl_flow_entry& entry = report.entry;
  entry.flags = facts.flow_flags & ~static_cast<__u32>(SL_CT_QUARANTINED);
  if (facts.outcome == SL_DROP_QUARANTINED) entry.flags |= SL_CT_QUARANTINED;
  entry.reason = facts.flow_reason;
  entry.hook = facts.flow_hook;
  entry.id = facts.flow_id;
  entry.created_ns = CreatedNs(facts);
  entry.initiator = {.identity = facts.initiator_identity, .workload = facts.initiator_workload};
  entry.responder = {.identity = facts.responder_identity, .workload = facts.responder_workload};
  entry.initiator_process = facts.initiator_process;
  entry.responder_process = facts.responder_process;
  entry.egress_decision = facts.egress_decision;
  entry.ingress_decision = facts.ingress_decision;
  entry.service = facts.service;
  return report;
}

// What the ring does not have.
void ClearUnknown(v1::Flow* flow) {
  flow->clear_event();
  flow->clear_forward();
  flow->clear_backward();
  flow->mutable_l4()->clear_tcp_flags();
  flow->mutable_l4()->clear_icmp_type();
  flow->mutable_l4()->clear_icmp_code();
}

v1::Flow WithoutFlow(const policy::ObjectName& workload, const sl_capture_packet& facts, v1::Flow flow) {
  v1::Flow plain;
  plain.set_node(flow.node());
  plain.set_type("flow");
  plain.set_interface(flow.interface());
  v1::Peer* const peer = Has(facts, SL_CAPTURE_SENT) ? plain.mutable_source() : plain.mutable_destination();
  peer->set_namespace_(workload.ns);
  peer->set_workload(workload.name);
  return plain;
}

// Packets with the same key have the same flow in a stream.
std::string CommonOf(const policy::ObjectName& workload, const sl_capture_packet& facts) {
  sl_capture_packet common = facts;
  common.time_ns = 0;
  common.length = 0;
  common.captured = common.vlan_tci = common.vlan_protocol = 0;
  common.flow_flags &= SL_CT_INITIATOR_HI | SL_CT_AUDIT | SL_CT_FROM_NODE;
  if (!Has(facts, SL_CAPTURE_HAS_FLOW)) {
    common = {.ifindex = facts.ifindex, .hook = facts.hook, .outcome = facts.outcome, .flags = facts.flags};
  }
  return workload.ToString() + std::string(reinterpret_cast<const char*>(&common), sizeof(common));
}

// A tag that the kernel keeps apart from the frame goes back to its place.
std::string FrameOf(const sl_capture_packet& facts, std::span<const std::uint8_t> bytes) {
  std::string frame(bytes.begin(), bytes.end());
  if (!Has(facts, SL_CAPTURE_TAGGED) || frame.size() < kMacs) return frame;
  const auto* const protocol = reinterpret_cast<const char*>(&facts.vlan_protocol);
  const char tag[] = {protocol[0], protocol[1], static_cast<char>(facts.vlan_tci >> 8),
                      static_cast<char>(facts.vlan_tci & 0xff)};
  frame.insert(kMacs, tag, sizeof(tag));
  return frame;
}

}  // namespace

v1::CapturedFlow DescribePacket(const FlowContext& context, const policy::ObjectName& workload,
                                const sl_capture_packet& facts) {
  v1::CapturedFlow described;
  v1::Flow& flow = *described.mutable_flow();
  flow = context.Assemble(ReportOf(facts));
  if (Has(facts, SL_CAPTURE_HAS_FLOW)) {
    ClearUnknown(&flow);
  } else {
    flow = WithoutFlow(workload, facts, std::move(flow));
  }
  const bool passed = facts.outcome == SL_DROP_NONE || facts.outcome == SL_OUTCOME_AUDITED;
  flow.set_verdict(!passed                               ? v1::Flow::DROPPED
                   : facts.outcome == SL_OUTCOME_AUDITED ? v1::Flow::AUDIT
                                                         : v1::Flow::FORWARDED);
  if (passed) {
    flow.clear_drop_reason();
  } else {
    flow.set_drop_reason(DropReasonName(facts.outcome));
  }
  flow.set_direction(facts.hook == SL_HOOK_TC_FROM_POD ? v1::Flow::EGRESS : v1::Flow::INGRESS);
  flow.set_hook(facts.hook == SL_HOOK_XDP_UPLINK ? v1::Flow::XDP : v1::Flow::TC);
  *flow.mutable_time() = context.TimeAt(facts.time_ns);
  described.set_hook(facts.hook < kHookNames.size() ? kHookNames[facts.hook] : "");
  described.set_interface_index(facts.ifindex);
  described.set_workload(workload.ToString());
  described.set_sent(Has(facts, SL_CAPTURE_SENT));
  return described;
}

PacketNamer::Named PacketNamer::Name(const FlowContext& context, const policy::ObjectName& workload,
                                     const sl_capture_packet& facts, v1::CaptureReply* reply) {
  std::string common = CommonOf(workload, facts);
  const auto known = named_.find(common);
  if (known != named_.end()) return known->second;
  v1::CapturedFlow flow = DescribePacket(context, workload, facts);
  Named named{.number = next_};
  v1::Event event;
  *event.mutable_flow() = flow.flow();
  named.wanted = filter_.Matches(event);
  next_ = (next_ + 1) % max_flows_;
  std::string& owner = by_number_[named.number];
  if (!owner.empty()) named_.erase(owner);
  owner = common;
  named_.emplace(std::move(common), named);
  if (named.wanted) {
    flow.set_number(named.number);
    *reply->add_flows() = std::move(flow);
  }
  return named;
}

bool PacketNamer::Add(const FlowContext& context, const policy::ObjectName& workload, const sl_capture_packet& facts,
                      std::span<const std::uint8_t> bytes, std::uint32_t snaplen, v1::CaptureReply* reply) {
  const Named named = Name(context, workload, facts, reply);
  if (!named.wanted) return false;
  std::string frame = FrameOf(facts, bytes);
  v1::CapturedPacket& packet = *reply->add_packets();
  packet.set_flow(named.number);
  *packet.mutable_time() = context.TimeAt(facts.time_ns);
  packet.set_length(facts.length + static_cast<std::uint32_t>(frame.size() - bytes.size()));
  frame.resize(std::min<std::size_t>(frame.size(), snaplen));
  packet.set_data(std::move(frame));
  return true;
}

}  // namespace sluice::telemetry
