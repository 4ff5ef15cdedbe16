#include "telemetry/flow/top_traffic.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace sluice::telemetry {
namespace {

using datapath::FlowRecord;
using datapath::FlowState;
using v1::TopRequest;

constexpr std::size_t kSharesOfRows = 8;
constexpr const char* kOther = "other";
// Parts of ended flows that are collected before they are added to the rows.
constexpr std::size_t kEndedAtOnce = 1024;

}  // namespace

TopTraffic::Amount& TopTraffic::Amount::operator+=(const Amount& other) {
  packets += other.packets;
  bytes += other.bytes;
  return *this;
}

TopTraffic::Sum& TopTraffic::Sum::operator+=(const Sum& other) {
  sent += other.sent;
  received += other.received;
  dropped_packets += other.dropped_packets;
  flows += other.flows;
  return *this;
}

// The parts that one flow adds to rows: workloads, and the rows of kind `by`; BY_UNSPECIFIED: of every kind.
std::vector<TopTraffic::Part> TopTraffic::PartsOf(const FlowContext& context, const FlowRecord& record, By by,
                                                  Binaries* binaries) const {
  std::vector<Part> parts;
  const sl_flow_entry& entry = record.entry;
  // The source address is forged, so the sender is not known.
  if (entry.reason == SL_DROP_SPOOFED_SOURCE) return parts;
  const auto wants = [by](By kind) { return by == kind || by == TopRequest::BY_UNSPECIFIED; };
  const Amount forward{entry.forward_packets, entry.forward_bytes};
  const Amount backward{entry.reply_packets, entry.reply_bytes};
  for (const bool initiator : {true, false}) {
    const sl_flow_end& end = initiator ? entry.initiator : entry.responder;
    const policy::ObjectName* const workload = end.endpoint == 0 ? nullptr : context.WorkloadAt(end);
    if (workload == nullptr) continue;
    Sum sum{.flows = 1};
    if (record.state == FlowState::kDenied) {
      sum.dropped_packets = forward.packets + backward.packets;
    } else {
      sum.sent = initiator ? forward : backward;
      sum.received = initiator ? backward : forward;
    }
    parts.push_back({{*workload, TopRequest::WORKLOAD, ""}, sum});
    const sl_process_id process = initiator ? entry.initiator_process : entry.responder_process;
    if (wants(TopRequest::PROGRAM) && process != 0 && binary_) {
      const auto [known, fresh] = binaries->try_emplace(process);
      if (fresh) known->second = binary_(process);
      if (!known->second.empty()) parts.push_back({{*workload, TopRequest::PROGRAM, known->second}, sum});
    }
    if (wants(TopRequest::PEER))
      parts.push_back({{*workload, TopRequest::PEER, context.NameOfEnd(record, !initiator)}, sum});
  }
  return parts;
}

// The key's own row, or the workload's "other" if there is no room.
TopTraffic::Row& TopTraffic::RowOf(const Key& key) {
  if (const auto known = rows_.find(key); known != rows_.end()) return known->second;
  if (key.by != TopRequest::WORKLOAD) {
    std::size_t& share = share_of_[{key.by, key.workload}];
    std::size_t& taken = taken_[key.by];
    if (taken >= options_.max_rows || share >= std::max<std::size_t>(options_.max_rows / kSharesOfRows, 1))
      return rows_[{key.workload, key.by, kOther}];
    ++share;
    ++taken;
  }
  return rows_[key];
}

bool TopTraffic::IsAsked() const {
  const Clock::rep asked_at = asked_at_;
  return asked_at != 0 && Clock::now() - Clock::time_point(Clock::duration(asked_at)) <= options_.forget;
}

void TopTraffic::NoteEnded(const FlowContext& context, const FlowRecord& record) {
  if (!IsAsked()) return;
  Binaries binaries;
  std::vector<Part> parts = PartsOf(context, record, TopRequest::BY_UNSPECIFIED, &binaries);
  bool many = false;
  {
    const std::lock_guard lock(ended_mutex_);
    std::move(parts.begin(), parts.end(), std::back_inserter(ended_));
    many = ended_.size() >= kEndedAtOnce;
  }
  // If Read holds the lock now, it adds them; this thread must not wait for it.
  if (!many) return;
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (lock) AddEnded();
}

// Under mutex_.
void TopTraffic::AddEnded() {
  std::vector<Part> ended;
  {
    const std::lock_guard lock(ended_mutex_);
    ended.swap(ended_);
  }
  for (const Part& part : ended) {
    Row& row = RowOf(part.key);
    row.ended += part.sum;
    row.seen = Clock::now();
  }
}

// Under mutex_. A forgotten row that comes back begins at zero.
void TopTraffic::Forget(Clock::time_point now) {
  std::erase_if(rows_, [&](const auto& entry) { return now - entry.second.seen > options_.forget; });
  share_of_.clear();
  taken_.clear();
  for (const auto& [key, row] : rows_) {
    if (key.by == TopRequest::WORKLOAD || key.part == kOther) continue;
    share_of_[{key.by, key.workload}]++;
    taken_[key.by]++;
  }
}

v1::TopReply TopTraffic::MakeReply(const FlowContext& context, const TopRequest& request) const {
  const auto set = [](const Amount& amount, v1::Traffic* out) {
    out->set_packets(amount.packets);
    out->set_bytes(amount.bytes);
  };
  v1::TopReply reply;
  *reply.mutable_time() = context.time();
  for (const auto& [key, row] : rows_) {
    if (key.by != TopRequest::WORKLOAD && key.by != request.by()) continue;
    if (!request.namespace_().empty() && request.namespace_() != key.workload.ns) continue;
    Sum sum = row.live;
    sum += row.ended;
    v1::TopReply::Row& out = *reply.add_rows();
    out.set_namespace_(key.workload.ns);
    out.set_workload(key.workload.name);
    if (key.by == TopRequest::PROGRAM) out.set_binary(key.part);
    if (key.by == TopRequest::PEER) out.set_peer(key.part);
    set(sum.sent, out.mutable_sent());
    set(sum.received, out.mutable_received());
    out.set_dropped_packets(sum.dropped_packets);
    out.set_flows(row.live.flows);
  }
  return reply;
}

StatusOr<v1::TopReply> TopTraffic::Read(datapath::PathReader* datapath, const FlowContext& context,
                                        const TopRequest& request) {
  const By by = request.by() == TopRequest::BY_UNSPECIFIED ? TopRequest::WORKLOAD : request.by();
  const std::lock_guard lock(mutex_);
  const Clock::time_point now = Clock::now();
  if (!IsAsked()) {
    const std::lock_guard ended_lock(ended_mutex_);
    ended_.clear();
    rows_.clear();
  }
  asked_at_ = now.time_since_epoch().count();
  Forget(now);
  // Before the flows are read: a flow that ends meanwhile is missing until the next request, and not counted twice.
  AddEnded();
  for (auto& [key, row] : rows_) row.live = Sum();
  Binaries binaries;
  SL_RETURN_IF_ERROR(datapath->ForEachFlow([&](const FlowRecord& record) {
    for (const Part& part : PartsOf(context, record, by, &binaries)) {
      Row& row = RowOf(part.key);
      row.live += part.sum;
      row.seen = now;
    }
  }));
  return MakeReply(context, request);
}

}  // namespace sluice::telemetry
