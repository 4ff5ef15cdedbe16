#include "ctrl/replay/replay.h"

#include <arpa/inet.h>

#include <algorithm>
#include <tuple>

#include "bpf/lib/flow_key.bpf.h"
#include "bpf/lib/flow_timeout.h"
#include "bpf/lib/orientation.bpf.h"

namespace sluice::replay {
namespace {

using policy::Address;

constexpr std::size_t kMaxFragments = 65536;

bool HasPorts(std::uint8_t protocol) {
  return protocol == policy::kTcp || protocol == policy::kUdp || protocol == policy::kSctp;
}

bool IsSource(const ReplayedFlow& flow, const sl_tuple& tuple) {
  return flow.flow.source == Address(tuple.src) &&
         (flow.flow.source != flow.flow.destination || flow.source_port == ntohs(tuple.src_port));
}

// As in the packet path: a SYN of the initiator opens a new flow if the old connection is over, one of the other end
// always does.
bool Reopens(const ReplayedFlow& flow, const sl_packet& packet) {
  if (!sl_is_syn(&packet)) return false;
  if (!IsSource(flow, packet.tuple)) return true;
  return (flow.state & SL_CT_RESET) != 0 || sl_has_both_fins(flow.state);
}

bool Expired(const ReplayedFlow& flow, std::uint64_t now) {
  return now > flow.last_ns && now - flow.last_ns > sl_flow_timeout(flow.state, flow.flow.protocol);
}

void Advance(ReplayedFlow* flow, const sl_packet& packet, std::uint32_t bytes, std::uint64_t time_ns) {
  const bool reply = !IsSource(*flow, packet.tuple);
  (reply ? flow->backward_packets : flow->forward_packets) += 1;
  (reply ? flow->backward_bytes : flow->forward_bytes) += bytes;
  flow->last_ns = std::max(flow->last_ns, time_ns);
  flow->state = sl_flags_after(flow->state, flow->awaited.data(), &packet, reply ? 1 : 0);
}

}  // namespace

Replay::Key Replay::KeyOf(const sl_tuple& tuple) {
  const Address source(tuple.src), destination(tuple.dst);
  const std::uint16_t source_port = ntohs(tuple.src_port), destination_port = ntohs(tuple.dst_port);
  const bool from_hi = std::tie(source, source_port) > std::tie(destination, destination_port);
  const std::uint8_t asker = sl_icmp_asker(&tuple, from_hi ? 1 : 0);
  if (from_hi) return {destination, source, destination_port, source_port, tuple.protocol, asker};
  return {source, destination, source_port, destination_port, tuple.protocol, asker};
}

// Later fragments take their ports from the first; false: the first was not recorded.
bool Replay::FollowFragment(sl_packet* packet) {
  if (packet->fragment == SL_FRAGMENT_NONE) return true;
  const auto key = std::make_tuple(Address(packet->tuple.src), Address(packet->tuple.dst),
                                   static_cast<std::uint32_t>(packet->fragment_id), packet->fragment_protocol);
  if (packet->fragment == SL_FRAGMENT_FIRST) {
    if (fragments_.size() >= kMaxFragments) fragments_.clear();
    fragments_[key] = packet->tuple;
    return true;
  }
  const auto first = fragments_.find(key);
  if (first == fragments_.end()) return false;
  packet->tuple = first->second;
  return true;
}

ReplayedFlow Replay::Begin(const sl_packet& packet, std::uint64_t time_ns) const {
  ReplayedFlow flow;
  sl_tuple tuple = packet.tuple;
  flow.joined_midway = tuple.protocol == policy::kTcp && !(packet.tcp_flags & SL_TCP_SYN);
  const sl_orientation orientation = sl_orientation_of(&packet);
  if (orientation == SL_ANSWERS || (orientation == SL_UNSURE && ntohs(tuple.src_port) < ntohs(tuple.dst_port))) {
    std::swap(tuple.src, tuple.dst);
    std::swap(tuple.src_port, tuple.dst_port);
  }
  flow.flow.source = Address(tuple.src);
  flow.flow.destination = Address(tuple.dst);
  flow.flow.protocol = tuple.protocol;
  flow.flow.port = HasPorts(tuple.protocol) ? ntohs(tuple.dst_port) : 0;
  flow.flow.from_node = snapshot_->IsNode(flow.flow.source);
  flow.source_port = ntohs(tuple.src_port);
  flow.first_ns = flow.last_ns = time_ns;
  flow.tcp_flags = packet.tcp_flags;
  flow.icmp_type = packet.icmp_type;
  flow.icmp_code = packet.icmp_code;
  flow.evaluation = policy::Evaluate(*snapshot_, flow.flow, policy::Scope::kEverywhere);
  return flow;
}

void Replay::Add(const CapturedFrame& frame) {
  sl_packet packet{};
  const int reason = sl_parse(frame.bytes.data(), frame.bytes.data() + frame.bytes.size(), &packet);
  if (reason != SL_DROP_NONE && packet.truncated && frame.bytes.size() < frame.original_length) {
    ++skipped_.cut_short;
    return;
  }
  if (reason != SL_DROP_NONE) {
    ++skipped_.unparsable[static_cast<sl_drop_reason>(reason)];
    return;
  }
  if (packet.kind == SL_PACKET_CONTROL) {
    ++skipped_.control;
    return;
  }
  if (!FollowFragment(&packet)) {
    ++skipped_.unparsable[SL_DROP_FRAGMENT_NOT_FOUND];
    return;
  }
  const std::uint32_t bytes = frame.original_length - packet.l3_offset;
  // An ICMP error about a recorded flow belongs to that flow.
  if (packet.is_icmp_error) {
    const auto about = live_.find(KeyOf(packet.inner));
    if (about != live_.end() && !Expired(about->second, frame.time_ns)) return;
  }
  const Key key = KeyOf(packet.tuple);
  auto found = live_.find(key);
  if (found != live_.end() && (Expired(found->second, frame.time_ns) || Reopens(found->second, packet))) {
    done_.push_back(std::move(found->second));
    live_.erase(found);
    found = live_.end();
  }
  if (found == live_.end()) found = live_.emplace(key, Begin(packet, frame.time_ns)).first;
  Advance(&found->second, packet, bytes, frame.time_ns);
}

std::vector<ReplayedFlow> Replay::Finish() {
  for (auto& [key, flow] : live_) done_.push_back(std::move(flow));
  live_.clear();
  std::stable_sort(done_.begin(), done_.end(),
                   [](const ReplayedFlow& a, const ReplayedFlow& b) { return a.first_ns < b.first_ns; });
  return std::move(done_);
}

}  // namespace sluice::replay
