// The newest flow events for Hubble's clients, and what its status says of them. Events are kept as they are, and are
// converted for each reader: nothing is converted while nobody reads. A flood of one workload pushes out its own.
// Thread-safe.
#pragma once

#include <array>
#include <map>
#include <set>

#include "api/hubble_observer.pb.h"
#include "telemetry/event/event_ring.h"
#include "telemetry/event/fair_queue.h"
#include "telemetry/hubble/hubble_flow.h"

namespace sluice::telemetry {

// A part of a flow event, or a v1::Lost.
struct HubbleEntry {
  EventPtr event;
  HubblePart part = HubblePart::kPacket;
};

class HubbleFlows {
 public:
  using Clock = std::chrono::steady_clock;

  HubbleFlows(EventRingLimits limits, HubbleNode node);

  // A flow, or a loss of flows; others are ignored.
  void Push(const EventPtr& event, Clock::time_point now = Clock::now());

  const EventRing<HubbleEntry>& ring() const { return ring_; }
  const HubbleNode& node() const { return node_; }
  // Ends all readers.
  void Close() { ring_.Close(); }

  // The entry as Hubble's flow. The uuid is the same for every reader, and no other flow's.
  flow::Flow Convert(const HubbleEntry& entry, std::uint64_t number) const;

  observer::ServerStatusResponse Status(Clock::time_point now = Clock::now()) const;
  // Namespaces that a flow of the last hour had at an end. At most 4,096: the newest.
  observer::GetNamespacesResponse Namespaces(Clock::time_point now = Clock::now()) const;

 private:
  static constexpr std::int64_t kRateSeconds = 60;
  void NoteNamespace(const std::string& ns, Clock::time_point now);
  void CountFlows(std::size_t count, Clock::time_point now);
  std::int64_t SecondOf(Clock::time_point now) const;

  const HubbleNode node_;
  const Clock::time_point start_ = Clock::now();
  const std::uint64_t salt_;  // of uuids
  EventRing<HubbleEntry> ring_;
  mutable std::mutex mutex_;  // for what follows
  std::uint64_t seen_ = 0;
  struct Second {
    std::int64_t second = -1;
    std::uint64_t flows = 0;
  };
  std::array<Second, kRateSeconds> seconds_;
  std::map<std::string, Clock::time_point> namespaces_;
};

// A loss in Hubble's form.
flow::LostEvent ToHubbleLoss(const v1::Lost& lost);

}  // namespace sluice::telemetry
