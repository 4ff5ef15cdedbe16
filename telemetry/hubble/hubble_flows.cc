#include "telemetry/hubble/hubble_flows.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "telemetry/event/event_owner.h"

namespace sluice::telemetry {
namespace {

constexpr std::chrono::hours kNamespaceStays{1};
constexpr std::size_t kMaxNamespaces = 4096;

std::uint64_t RandomNumber() {
  std::random_device device;
  return static_cast<std::uint64_t>(device()) << 32U | device();
}

// Version 8 of RFC 9562: 122 bits of our own choice.
std::string Uuid(std::uint64_t salt, std::uint64_t number) {
  constexpr std::uint64_t kVersion = 0x8000, kVariant = 1ULL << 63U;
  const std::uint64_t high = (salt & ~0xf000ULL) | kVersion;
  const std::uint64_t low = (number & (~0ULL >> 2U)) | kVariant;
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32U, (high >> 16U) & 0xffffU, high & 0xffffU,
                     low >> 48U, low & 0xffffffffffffU);
}

bool IsOfFlows(const v1::Lost& lost) { return lost.event().empty() || lost.event() == "flow"; }

}  // namespace

flow::LostEvent ToHubbleLoss(const v1::Lost& lost) {
  flow::LostEvent out;
  const bool in_agent = lost.cause() == "SUBSCRIBER_QUEUE_FULL";
  out.set_source(in_agent ? flow::OBSERVER_EVENTS_QUEUE : flow::PERF_EVENT_RING_BUFFER);
  out.set_num_events_lost(lost.count());
  if (lost.has_cpu()) out.mutable_cpu()->set_value(static_cast<std::int32_t>(lost.cpu()));
  *out.mutable_first() = lost.time();
  *out.mutable_last() = lost.time();
  return out;
}

HubbleFlows::HubbleFlows(EventRingLimits limits, HubbleNode node)
    : node_(std::move(node)), salt_(RandomNumber()), ring_(limits) {}

std::int64_t HubbleFlows::SecondOf(Clock::time_point now) const {
  return std::chrono::duration_cast<std::chrono::seconds>(now - start_).count();
}

void HubbleFlows::CountFlows(std::size_t count, Clock::time_point now) {
  seen_ += count;
  const std::int64_t second = SecondOf(now);
  Second& slot = seconds_.at(static_cast<std::size_t>(second % kRateSeconds));
  if (slot.second != second) slot = {.second = second, .flows = 0};
  slot.flows += count;
}

void HubbleFlows::NoteNamespace(const std::string& ns, Clock::time_point now) {
  if (ns.empty()) return;
  namespaces_[ns] = now;
  if (namespaces_.size() <= kMaxNamespaces) return;
  namespaces_.erase(std::min_element(namespaces_.begin(), namespaces_.end(),
                                     [](const auto& a, const auto& b) { return a.second < b.second; }));
}

void HubbleFlows::Push(const EventPtr& event, Clock::time_point now) {
  const policy::ObjectName owner = OwnerOf(*event);
  if (event->has_lost() && IsOfFlows(event->lost())) return ring_.Push({.event = event}, event->SpaceUsedLong(), owner);
  if (!event->has_flow()) return;
  const std::vector<HubblePart> parts = HubbleParts(event->flow());
  if (parts.empty()) return;
  {
    const std::lock_guard lock(mutex_);
    CountFlows(parts.size(), now);
    NoteNamespace(event->flow().source().namespace_(), now);
    NoteNamespace(event->flow().destination().namespace_(), now);
  }
  // All parts share the event; the last one to go has its memory.
  for (const HubblePart part : parts) {
    ring_.Push({.event = event, .part = part}, part == HubblePart::kPacket ? event->SpaceUsedLong() : 0, owner);
  }
}

flow::Flow HubbleFlows::Convert(const HubbleEntry& entry, std::uint64_t number) const {
  flow::Flow flow = ToHubbleFlow(entry.event->flow(), entry.part, node_);
  flow.set_uuid(Uuid(salt_, number));
  return flow;
}

observer::ServerStatusResponse HubbleFlows::Status(Clock::time_point now) const {
  observer::ServerStatusResponse status;
  status.set_version(node_.version);
  status.set_max_flows(ring_.capacity());
  status.set_num_flows(ring_.size());
  status.set_uptime_ns(
      static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now - start_).count()));
  const std::lock_guard lock(mutex_);
  status.set_seen_flows(seen_);
  const std::int64_t second = SecondOf(now);
  std::uint64_t flows = 0;
  for (const Second& slot : seconds_) {
    if (slot.second >= 0 && slot.second > second - kRateSeconds) flows += slot.flows;
  }
  const std::chrono::duration<double> running = now - start_;
  status.set_flows_rate(static_cast<double>(flows) / std::clamp<double>(running.count(), 1, kRateSeconds));
  return status;
}

observer::GetNamespacesResponse HubbleFlows::Namespaces(Clock::time_point now) const {
  observer::GetNamespacesResponse out;
  const std::lock_guard lock(mutex_);
  for (const auto& [ns, seen] : namespaces_) {
    if (now - seen > kNamespaceStays) continue;
    observer::Namespace& one = *out.add_namespaces();
    one.set_cluster(node_.cluster);
    one.set_namespace_(ns);
  }
  return out;
}

}  // namespace sluice::telemetry
