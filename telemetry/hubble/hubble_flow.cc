#include "telemetry/hubble/hubble_flow.h"

#include <algorithm>

#include "telemetry/hubble/hubble_drop_reason.h"
#include "telemetry/hubble/hubble_endpoint.h"
#include "telemetry/hubble/hubble_policies.h"
#include "telemetry/hubble/hubble_summary.h"

namespace sluice::telemetry {
namespace {

// Kinds of events, as CiliumEventType.type has them.
constexpr std::int32_t kDrop = 1;
constexpr std::int32_t kTrace = 4;
constexpr std::int32_t kPolicyVerdict = 5;

// They are the opening packet's, so they are known only when that packet is what is reported.
void SetTcpFlags(const v1::Flow& flow, flow::TCP* tcp) {
  if (flow.event() != v1::Flow::NEW || flow.reply()) return;
  const auto has = [&](const char* name) {
    const auto& flags = flow.l4().tcp_flags();
    return std::find(flags.begin(), flags.end(), name) != flags.end();
  };
  flow::TCPFlags& out = *tcp->mutable_flags();
  out.set_fin(has("FIN"));
  out.set_syn(has("SYN"));
  out.set_rst(has("RST"));
  out.set_psh(has("PSH"));
  out.set_ack(has("ACK"));
  out.set_urg(has("URG"));
  out.set_ece(has("ECE"));
  out.set_cwr(has("CWR"));
}

template <typename Ports>
Ports* SetPorts(const v1::Flow& flow, Ports* out) {
  const v1::Layer4& l4 = flow.l4();
  out->set_source_port(flow.reply() ? l4.destination_port() : l4.source_port());
  out->set_destination_port(flow.reply() ? l4.source_port() : l4.destination_port());
  return out;
}

template <typename Icmp>
void SetTypeAndCode(const v1::Layer4& l4, Icmp* out) {
  out->set_type(l4.icmp_type());
  out->set_code(l4.icmp_code());
}

// Absent for other protocols.
void SetLayer4(const v1::Flow& flow, flow::Flow* out) {
  const std::string& protocol = flow.l4().protocol();
  if (protocol == "TCP") {
    SetTcpFlags(flow, SetPorts(flow, out->mutable_l4()->mutable_tcp()));
  } else if (protocol == "UDP") {
    SetPorts(flow, out->mutable_l4()->mutable_udp());
  } else if (protocol == "SCTP") {
    SetPorts(flow, out->mutable_l4()->mutable_sctp());
  } else if (protocol == "ICMP") {
    SetTypeAndCode(flow.l4(), out->mutable_l4()->mutable_icmpv4());
  } else if (protocol == "ICMPv6") {
    SetTypeAndCode(flow.l4(), out->mutable_l4()->mutable_icmpv6());
  }
}

void SetIp(const v1::Flow& flow, flow::IP* out) {
  out->set_source(flow.reply() ? flow.ip().destination() : flow.ip().source());
  out->set_destination(flow.reply() ? flow.ip().source() : flow.ip().destination());
  if (flow.ip().version() == 4) out->set_ipversion(flow::IPv4);
  if (flow.ip().version() == 6) out->set_ipversion(flow::IPv6);
}

flow::TrafficDirection ToDirection(v1::Flow::Direction direction) {
  switch (direction) {
    case v1::Flow::EGRESS:
      return flow::EGRESS;
    case v1::Flow::INGRESS:
      return flow::INGRESS;
    default:
      return flow::TRAFFIC_DIRECTION_UNKNOWN;
  }
}

// Where the packet was seen: at the card, or on its way out of the workload at which the flow was decided, or into it.
flow::TraceObservationPoint ToObservationPoint(const v1::Flow& flow) {
  if (flow.hook() == v1::Flow::XDP && !flow.reply()) return flow::FROM_NETWORK;
  const bool leaves = (flow.direction() == v1::Flow::EGRESS) != flow.reply();
  return leaves ? flow::FROM_ENDPOINT : flow::TO_ENDPOINT;
}

// The same as sub_type of an event, which has another number for one of them.
std::int32_t ToSubType(flow::TraceObservationPoint point) { return point == flow::TO_ENDPOINT ? 0 : point; }

flow::TraceReason ToTraceReason(const v1::Flow& flow) {
  if (flow.reply()) return flow::REPLY;
  return flow.event() == v1::Flow::NEW ? flow::NEW : flow::ESTABLISHED;
}

flow::Verdict ToHubbleVerdict(v1::Flow::Verdict verdict) {
  switch (verdict) {
    case v1::Flow::FORWARDED:
      return flow::FORWARDED;
    case v1::Flow::DROPPED:
      return flow::DROPPED;
    case v1::Flow::AUDIT:
      return flow::AUDIT;
    default:
      return flow::VERDICT_UNKNOWN;
  }
}

// Clients print a drop's reason by the number in `event_type`.
void SetDropReason(const v1::Flow& flow, flow::Flow* out) {
  const flow::DropReason reason = ToHubbleDropReason(flow);
  out->set_drop_reason(reason);
  out->set_drop_reason_desc(reason);
}

// The end at which the flow was decided. The first hook decides for both ends, so what an ingress policy denies is of
// the ingress, wherever the hook was.
v1::Flow::Direction DirectionOf(const v1::Flow& flow) {
  for (const v1::Flow::Direction direction : {v1::Flow::EGRESS, v1::Flow::INGRESS}) {
    if (VerdictOfPolicies(flow, direction) == flow::DROPPED) return direction;
  }
  return flow.direction();
}

void SetPacketPart(const v1::Flow& flow, flow::Flow* out) {
  out->set_verdict(ToHubbleVerdict(flow.verdict()));
  out->set_traffic_direction(ToDirection(DirectionOf(flow)));
  if (out->verdict() == flow::DROPPED) {
    SetDropReason(flow, out);
    out->mutable_event_type()->set_type(kDrop);
    out->mutable_event_type()->set_sub_type(out->drop_reason_desc());
    return;
  }
  out->set_trace_observation_point(ToObservationPoint(flow));
  out->set_trace_reason(ToTraceReason(flow));
  out->mutable_event_type()->set_type(kTrace);
  out->mutable_event_type()->set_sub_type(ToSubType(out->trace_observation_point()));
}

void SetVerdictPart(const v1::Flow& flow, v1::Flow::Direction direction, flow::Flow* out) {
  out->set_verdict(VerdictOfPolicies(flow, direction));
  out->set_traffic_direction(ToDirection(direction));
  out->set_policy_match_type(MatchTypeOfPolicies(flow, direction));
  out->mutable_event_type()->set_type(kPolicyVerdict);
  if (out->verdict() == flow::DROPPED) SetDropReason(flow, out);
}

void SetService(const v1::Service& service, flow::Service* out) {
  out->set_namespace_(service.namespace_());
  out->set_name(service.name());
}

}  // namespace

std::vector<HubblePart> HubbleParts(const v1::Flow& flow) {
  if (flow.event() == v1::Flow::END) return {};
  std::vector<HubblePart> parts;
  if (flow.event() == v1::Flow::NEW) {
    if (VerdictOfPolicies(flow, v1::Flow::EGRESS) != flow::VERDICT_UNKNOWN) parts.push_back(HubblePart::kEgressVerdict);
    if (VerdictOfPolicies(flow, v1::Flow::INGRESS) != flow::VERDICT_UNKNOWN)
      parts.push_back(HubblePart::kIngressVerdict);
  }
  parts.push_back(HubblePart::kPacket);
  return parts;
}

flow::Flow ToHubbleFlow(const v1::Flow& flow, HubblePart part, const HubbleNode& node) {
  flow::Flow out;
  *out.mutable_time() = flow.time();
  out.set_node_name(node.full_name());
  out.set_type(flow::L3_L4);
  out.mutable_emitter()->set_name("Sluice");
  out.mutable_emitter()->set_version(node.version);
  SetIp(flow, out.mutable_ip());
  SetLayer4(flow, &out);
  *out.mutable_source() = ToHubbleEndpoint(flow.reply() ? flow.destination() : flow.source(), node.cluster);
  *out.mutable_destination() = ToHubbleEndpoint(flow.reply() ? flow.source() : flow.destination(), node.cluster);
  if (flow.has_service()) {
    SetService(flow.service(), flow.reply() ? out.mutable_source_service() : out.mutable_destination_service());
  }
  if (flow.has_reply()) {
    out.mutable_is_reply()->set_value(flow.reply());
    out.set_reply(flow.reply());
  }
  if (!flow.interface().empty()) out.mutable_interface()->set_name(flow.interface());
  AddHubblePolicies(flow, &out);
  out.set_summary(HubbleSummary(flow, out.l4()));
  switch (part) {
    case HubblePart::kEgressVerdict:
      SetVerdictPart(flow, v1::Flow::EGRESS, &out);
      break;
    case HubblePart::kIngressVerdict:
      SetVerdictPart(flow, v1::Flow::INGRESS, &out);
      break;
    case HubblePart::kPacket:
      SetPacketPart(flow, &out);
      break;
  }
  return out;
}

}  // namespace sluice::telemetry
