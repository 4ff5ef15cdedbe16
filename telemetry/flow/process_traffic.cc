#include "telemetry/flow/process_traffic.h"

#include <cstring>
#include <string_view>
#include <type_traits>
#include <utility>

#include "bpf/abi/events.h"

namespace sluice::telemetry {
namespace {

using datapath::FlowRecord;
using datapath::FlowState;

// The counts of `record`, seen from one end.
struct Amount {
  std::uint64_t egress = 0;
  std::uint64_t ingress = 0;
};

Amount AmountFor(const FlowRecord& record, bool initiator) {
  const sl_flow_entry& entry = record.entry;
  // No packet of a denied flow arrived.
  if (record.state == FlowState::kDenied)
    return initiator ? Amount{entry.forward_packets, entry.reply_packets}
                     : Amount{entry.reply_packets, entry.forward_packets};
  return initiator ? Amount{entry.forward_bytes, entry.reply_bytes} : Amount{entry.reply_bytes, entry.forward_bytes};
}

// Never negative: while a flow's entry moves, an older copy may be read after the newer one.
std::uint64_t TakeGrowth(std::uint64_t* counted, std::uint64_t now) {
  return now > *counted ? now - std::exchange(*counted, now) : 0;
}

void Add(const FlowRecord& record, std::uint64_t amount, ProcessTotals* totals) {
  if (record.state != FlowState::kDenied) {
    totals->bytes += amount;
  } else if (record.entry.reason < totals->dropped_packets.size()) {
    totals->dropped_packets[record.entry.reason] += amount;
  }
}

void AddFlow(const FlowRecord& record, ProcessTotals* totals) {
  if (record.state == FlowState::kDenied) {
    totals->dropped_flows++;
  } else if (record.entry.flags & SL_CT_AUDIT) {
    totals->audited_flows++;
  } else {
    totals->forwarded_flows++;
  }
}

}  // namespace

std::size_t ProcessTraffic::FlowIdHash::operator()(const FlowId& id) const {
  static_assert(std::has_unique_object_representations_v<FlowId>);
  return std::hash<std::string_view>()({reinterpret_cast<const char*>(&id), sizeof(id)});
}

bool ProcessTraffic::FlowIdEqual::operator()(const FlowId& a, const FlowId& b) const {
  return std::memcmp(&a, &b, sizeof(a)) == 0;
}

void ProcessTraffic::BeginPass(LocalWorkloads workloads) {
  workloads_ = std::move(workloads);
  binaries_.clear();
  pass_++;
}

const std::string& ProcessTraffic::BinaryOf(sl_process_id process) {
  const auto [place, fresh] = binaries_.try_emplace(process);
  if (fresh) place->second = binary_(process);
  return place->second;
}

// Null: the end is not a local workload, or its process is not known.
ProcessCounters* ProcessTraffic::CountersOf(const sl_flow_end& end, sl_process_id process) {
  if (end.endpoint == 0 || process == 0 || !workloads_.contains(end.workload)) return nullptr;
  const std::string& binary = BinaryOf(process);
  return binary.empty() ? nullptr : &growth_[{end.workload, binary}];
}

void ProcessTraffic::NoteEnd(const FlowRecord& record, bool initiator, Flow* flow) {
  const sl_flow_entry& entry = record.entry;
  const Amount now = AmountFor(record, initiator);
  Counted& counted = initiator ? flow->initiator : flow->responder;
  if (counted.flow && now.egress <= counted.egress && now.ingress <= counted.ingress) return;
  ProcessCounters* const counters = initiator ? CountersOf(entry.initiator, entry.initiator_process)
                                              : CountersOf(entry.responder, entry.responder_process);
  if (counters == nullptr) return;
  if (!std::exchange(counted.flow, true)) AddFlow(record, initiator ? &counters->egress : &counters->ingress);
  Add(record, TakeGrowth(&counted.egress, now.egress), &counters->egress);
  Add(record, TakeGrowth(&counted.ingress, now.ingress), &counters->ingress);
}

void ProcessTraffic::Note(const FlowRecord& record) {
  const sl_flow_entry& entry = record.entry;
  const FlowId id{record.key, entry.id, record.state == FlowState::kDenied ? 1U : 0U};
  if (!begun_) {
    const Amount initiator = AmountFor(record, true);
    const Amount responder = AmountFor(record, false);
    flows_[id] = {.initiator = {initiator.egress, initiator.ingress, true},
                  .responder = {responder.egress, responder.ingress, true},
                  .pass = pass_};
    return;
  }
  // With a forged source address, only the sender's own hook knows the workload.
  if (entry.reason == SL_DROP_SPOOFED_SOURCE && entry.hook != SL_HOOK_TC_FROM_POD) return;
  auto known = flows_.find(id);
  if (known == flows_.end()) {
    if (entry.initiator_process == 0 && entry.responder_process == 0) return;
    known = flows_.try_emplace(id).first;
  }
  known->second.pass = pass_;
  NoteEnd(record, true, &known->second);
  NoteEnd(record, false, &known->second);
}

void ProcessTraffic::EndPass() {
  std::erase_if(flows_, [this](const auto& entry) { return entry.second.pass != pass_; });
  series_.Update(growth_, workloads_);
  growth_.clear();
  begun_ = true;
}

}  // namespace sluice::telemetry
