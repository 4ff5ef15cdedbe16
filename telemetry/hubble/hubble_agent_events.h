// What Hubble calls agent events: the agent's start, and changes of policies. Thread-safe.
#pragma once

#include <memory>

#include "api/hubble_observer.pb.h"
#include "telemetry/event/event_ring.h"
#include "telemetry/event/fair_queue.h"
#include "telemetry/hubble/ring_window.h"

namespace sluice::telemetry {

using HubbleAgentEvent = std::shared_ptr<const observer::GetAgentEventsResponse>;

// Of a v1::Change: one for each policy that was created, replaced or removed. None if the change was refused.
std::vector<observer::GetAgentEventsResponse> ToHubbleAgentEvents(const v1::Change& change,
                                                                  const std::string& node_name);

class HubbleAgentEvents {
 public:
  // `node_name`: as Hubble's clients see it. The first event is the agent's start, now.
  explicit HubbleAgentEvents(std::string node_name);

  // A v1::Change; others are ignored.
  void Push(const EventPtr& event);
  // As HubbleQuery::Run.
  void Read(const RingWindow& window, const std::function<bool(const observer::GetAgentEventsResponse&)>& consume,
            const std::function<bool()>& is_cancelled) const;
  void Close() { ring_.Close(); }

 private:
  const std::string node_name_;
  EventRing<HubbleAgentEvent> ring_;
};

}  // namespace sluice::telemetry
