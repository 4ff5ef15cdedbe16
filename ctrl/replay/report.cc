#include "ctrl/replay/report.h"

#include <google/protobuf/util/time_util.h>

#include "base/output.h"
#include "ctrl/resources/offline_snapshot.h"
#include "ctrl/resources/resource_directory.h"
#include "telemetry/event/drop_reason.h"
#include "telemetry/event/flow_text.h"
#include "telemetry/event/json.h"
#include "telemetry/event/layer4.h"
#include "telemetry/event/policy_refs.h"

namespace sluice::replay {
namespace {

using policy::Direction;

v1::Peer ToPeer(const policy::Snapshot& snapshot, const policy::Address& address) {
  v1::Peer peer;
  if (const policy::Endpoint* endpoint = snapshot.Find(address)) {
    peer.set_namespace_(endpoint->name.ns);
    peer.set_workload(endpoint->name.name);
    peer.mutable_labels()->insert(endpoint->labels.begin(), endpoint->labels.end());
  } else {
    peer.set_entity(snapshot.IsNode(address) ? "node" : "world");
  }
  return peer;
}

v1::Traffic ToTraffic(std::uint64_t packets, std::uint64_t bytes) {
  v1::Traffic traffic;
  traffic.set_packets(packets);
  traffic.set_bytes(bytes);
  return traffic;
}

v1::Flow::Verdict ToVerdict(const policy::Evaluation& evaluation) {
  if (!evaluation.allowed) return v1::Flow::DROPPED;
  return evaluation.audit_denied ? v1::Flow::AUDIT : v1::Flow::FORWARDED;
}

// Flows that are reported with a reservation.
struct Doubts {
  std::size_t joined_midway = 0;
  std::size_t by_process = 0;
};

std::string TableText(const std::vector<v1::Flow>& flows, const Replay::Skipped& skipped, const Doubts& doubts) {
  Table table = telemetry::MakeFlowTable();
  std::uint64_t dropped = 0;
  for (const v1::Flow& flow : flows) {
    dropped += flow.verdict() == v1::Flow::DROPPED;
    telemetry::AddFlow(flow, &table);
  }
  std::string text = table.ToString();
  text += fmt::format("{} flows: {} would be allowed, {} dropped\n", flows.size(), flows.size() - dropped, dropped);
  if (doubts.joined_midway != 0) {
    text += fmt::format("{} TCP flows began before the capture: their initiator is a guess\n", doubts.joined_midway);
  }
  if (doubts.by_process != 0) {
    text +=
        fmt::format("{} flows meet rules that name processes: a capture has no processes, so they count as not known\n",
                    doubts.by_process);
  }
  if (skipped.cut_short != 0) {
    text += fmt::format("{} frames left out: the capture has too few of their bytes\n", skipped.cut_short);
  }
  for (const auto& [reason, count] : skipped.unparsable) {
    text += fmt::format("{} frames left out: {}\n", count, telemetry::DropReasonName(reason));
  }
  return text;
}

}  // namespace

v1::Flow ToMessage(const policy::Snapshot& snapshot, const ReplayedFlow& replayed) {
  using google::protobuf::util::TimeUtil;
  const policy::Flow& flow = replayed.flow;
  v1::Flow message;
  *message.mutable_time() = TimeUtil::NanosecondsToTimestamp(static_cast<std::int64_t>(replayed.last_ns));
  *message.mutable_start_time() = TimeUtil::NanosecondsToTimestamp(static_cast<std::int64_t>(replayed.first_ns));
  message.set_type("flow");
  message.set_event(v1::Flow::END);
  message.set_verdict(ToVerdict(replayed.evaluation));
  message.set_exempt(policy::ExemptionName(replayed.evaluation.exemption));
  if (!replayed.evaluation.allowed) message.set_drop_reason(telemetry::DropReasonName(SL_DROP_POLICY_DENIED));
  message.mutable_ip()->set_version(flow.source.is_v4() ? 4 : 6);
  message.mutable_ip()->set_source(flow.source.ToString());
  message.mutable_ip()->set_destination(flow.destination.ToString());
  *message.mutable_l4() = telemetry::MakeLayer4({.protocol = flow.protocol,
                                                 .source_port = replayed.source_port,
                                                 .destination_port = flow.port,
                                                 .tcp_flags = replayed.tcp_flags,
                                                 .icmp_type = replayed.icmp_type,
                                                 .icmp_code = replayed.icmp_code});
  *message.mutable_source() = ToPeer(snapshot, flow.source);
  *message.mutable_destination() = ToPeer(snapshot, flow.destination);
  // The direction that decided: where it was dropped, else where the flow entered the policy.
  const auto& [egress, ingress] = std::tie(replayed.evaluation.egress, replayed.evaluation.ingress);
  const bool by_ingress = !egress || (ingress && egress->allowed && !ingress->allowed);
  if (egress || ingress) message.set_direction(by_ingress ? v1::Flow::INGRESS : v1::Flow::EGRESS);
  // For a denied flow, only the end that denies has decided.
  const auto decides = [&](const std::optional<policy::Decision>& decision) {
    return decision && (replayed.evaluation.allowed || !decision->allowed);
  };
  if (decides(egress)) telemetry::AppendPolicyRefs(*egress, Direction::kEgress, message.mutable_policies());
  if (decides(ingress)) telemetry::AppendPolicyRefs(*ingress, Direction::kIngress, message.mutable_policies());
  *message.mutable_forward() = ToTraffic(replayed.forward_packets, replayed.forward_bytes);
  *message.mutable_backward() = ToTraffic(replayed.backward_packets, replayed.backward_bytes);
  return message;
}

Status RunReplay(const std::string& capture, const std::string& resources_dir, const std::string& output) {
  SL_ASSIGN_OR_RETURN(const auto resources, resources::ReadResourceDirectory(resources_dir));
  SL_ASSIGN_OR_RETURN(const auto snapshot, resources::SnapshotOf(resources));
  Replay replay(snapshot);
  SL_RETURN_IF_ERROR(ReadCapture(capture, [&replay](const CapturedFrame& frame) { replay.Add(frame); }));
  std::vector<v1::Flow> flows;
  Doubts doubts;
  for (const ReplayedFlow& flow : replay.Finish()) {
    doubts.joined_midway += flow.joined_midway ? 1 : 0;
    doubts.by_process += flow.evaluation.egress_by_process || flow.evaluation.ingress_by_process ? 1 : 0;
    flows.push_back(ToMessage(*snapshot, flow));
  }
  if (output == "table") return WriteOut(TableText(flows, replay.skipped(), doubts));
  for (const v1::Flow& flow : flows) {
    SL_ASSIGN_OR_RETURN(const std::string line, telemetry::ToJson(flow));
    SL_RETURN_IF_ERROR(WriteOut(line + "\n"));
  }
  return OkStatus();
}

}  // namespace sluice::replay
