#include "telemetry/flow/flow_sweeper.h"

#include <algorithm>
#include <cstring>

#include "bpf/lib/flow_timeout.h"

namespace sluice::telemetry {
namespace {

using datapath::FlowRecord;
using datapath::FlowState;

EventPtr ToEvent(v1::Flow flow) {
  auto event = std::make_shared<v1::Event>();
  *event->mutable_flow() = std::move(flow);
  return event;
}

// Removes duplicates: two CPUs that see a flow's first packets at the same moment may both insert an entry.
void DropTwins(std::vector<FlowRecord>& records) {
  const auto order = [](const FlowRecord& a, const FlowRecord& b) {
    const int keys = std::memcmp(&a.key, &b.key, sizeof a.key);
    return keys != 0 ? keys < 0 : a.state < b.state;
  };
  const auto same_flow = [](const FlowRecord& a, const FlowRecord& b) {
    return (a.state == FlowState::kDenied) == (b.state == FlowState::kDenied) &&
           std::memcmp(&a.key, &b.key, sizeof a.key) == 0;
  };
  std::sort(records.begin(), records.end(), order);
  records.erase(std::unique(records.begin(), records.end(), same_flow), records.end());
}

}  // namespace

bool IsOver(const FlowRecord& record, std::uint64_t monotonic_now_ns) {
  if (monotonic_now_ns <= record.entry.last_seen_ns) return false;
  const std::uint64_t idle = monotonic_now_ns - record.entry.last_seen_ns;
  const std::uint64_t allowed = record.state == FlowState::kDenied
                                    ? SL_CT_TIMEOUT_DENIED
                                    : sl_flow_timeout(record.entry.flags, record.key.protocol);
  return idle > allowed;
}

const FlowContext& FlowSweeper::Recent() {
  constexpr std::uint64_t kRecent = 1'000'000'000;
  if (!recent_ || assembler_->Now() - recent_->now_ns() > kRecent) recent_ = assembler_->Capture();
  return *recent_;
}

void FlowSweeper::Note(const FlowReport& ended) {
  expired_++;
  const bool denied = ended.entry.reason != SL_DROP_NONE && !(ended.entry.flags & SL_CT_REVOKED);
  const FlowRecord record{denied ? FlowState::kDenied : FlowState::kEstablished, ended.key, ended.entry, 0};
  if (traffic_ != nullptr) traffic_->Note(record);
  if (top_ != nullptr && top_->IsAsked()) top_->NoteEnded(Recent(), record);
}

Status FlowSweeper::Sweep() {
  const FlowContext context = assembler_->Capture();
  recent_.reset();  // it may keep an old policy in memory
  std::array<std::uint64_t, kFlowStates> active{};
  std::vector<FlowRecord> over;
  if (traffic_ != nullptr) traffic_->BeginPass(context.LocalNames());
  SL_RETURN_IF_ERROR(datapath_->ForEachFlow([&](const FlowRecord& record) {
    if (traffic_ != nullptr) traffic_->Note(record);
    if (verdicts_ != nullptr) verdicts_->Note(record);
    if (IsOver(record, context.now_ns())) {
      over.push_back(record);
    } else {
      active[static_cast<std::size_t>(record.state)]++;
    }
  }));
  if (traffic_ != nullptr) traffic_->EndPass();
  if (verdicts_ != nullptr) verdicts_->EndPass(context);
  for (std::size_t i = 0; i < kFlowStates; i++) active_[i] = active[i];
  if (over.empty()) return OkStatus();
  SL_ASSIGN_OR_RETURN(over, datapath_->ForgetFlows(over));

  DropTwins(over);
  std::sort(over.begin(), over.end(),
            [](const FlowRecord& a, const FlowRecord& b) { return a.entry.last_seen_ns < b.entry.last_seen_ns; });
  expired_ += over.size();
  for (const FlowRecord& record : over) {
    if (top_ != nullptr) top_->NoteEnded(context, record);
    const EventPtr event = ToEvent(context.Assemble(FromEndedRecord(record)));
    history_->Push(event);
    hub_->Publish(event);
  }
  return OkStatus();
}

}  // namespace sluice::telemetry
