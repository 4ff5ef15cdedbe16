#include "telemetry/hubble/hubble_agent_events.h"

#include <google/protobuf/util/time_util.h>

namespace sluice::telemetry {
namespace {

constexpr EventRingLimits kLimits{.max_entries = 1023, .max_bytes = 4U << 20};

bool IsPolicy(const v1::ResourceRef& resource) { return resource.kind().ends_with("Policy"); }

// UNKNOWN: nothing changed.
flow::AgentEventType TypeOf(const v1::ResourceChange& change) {
  switch (change.change()) {
    case v1::ResourceChange::CREATED:
    case v1::ResourceChange::REPLACED:
      return flow::POLICY_UPDATED;
    case v1::ResourceChange::REMOVED:
      return flow::POLICY_DELETED;
    default:
      return flow::AGENT_EVENT_UNKNOWN;
  }
}

}  // namespace

std::vector<observer::GetAgentEventsResponse> ToHubbleAgentEvents(const v1::Change& change,
                                                                  const std::string& node_name) {
  std::vector<observer::GetAgentEventsResponse> events;
  if (!change.problem().empty()) return events;
  for (const v1::ResourceChange& one : change.changes()) {
    const flow::AgentEventType type = TypeOf(one);
    if (!IsPolicy(one.resource()) || type == flow::AGENT_EVENT_UNKNOWN) continue;
    observer::GetAgentEventsResponse& event = events.emplace_back();
    event.set_node_name(node_name);
    *event.mutable_time() = change.time();
    event.mutable_agent_event()->set_type(type);
    flow::PolicyUpdateNotification& update = *event.mutable_agent_event()->mutable_policy_update();
    update.add_labels("k8s:io.cilium.k8s.policy.derived-from=" + one.resource().kind());
    update.add_labels("k8s:io.cilium.k8s.policy.name=" + one.resource().name());
    if (!one.resource().namespace_().empty())
      update.add_labels("k8s:io.cilium.k8s.policy.namespace=" + one.resource().namespace_());
    update.set_revision(change.revision());
    update.set_rule_count(1);  // one policy
  }
  return events;
}

HubbleAgentEvents::HubbleAgentEvents(std::string node_name) : node_name_(std::move(node_name)), ring_(kLimits) {
  observer::GetAgentEventsResponse started;
  started.set_node_name(node_name_);
  *started.mutable_time() = google::protobuf::util::TimeUtil::GetCurrentTime();
  started.mutable_agent_event()->set_type(flow::AGENT_STARTED);
  *started.mutable_agent_event()->mutable_agent_start()->mutable_time() = started.time();
  ring_.Push(std::make_shared<const observer::GetAgentEventsResponse>(started), started.SpaceUsedLong());
}

void HubbleAgentEvents::Push(const EventPtr& event) {
  if (!event->has_change()) return;
  for (observer::GetAgentEventsResponse& one : ToHubbleAgentEvents(event->change(), node_name_)) {
    const std::size_t bytes = one.SpaceUsedLong();
    ring_.Push(std::make_shared<const observer::GetAgentEventsResponse>(std::move(one)), bytes);
  }
}

void HubbleAgentEvents::Read(const RingWindow& window,
                             const std::function<bool(const observer::GetAgentEventsResponse&)>& consume,
                             const std::function<bool()>& is_cancelled) const {
  RingDelivery<HubbleAgentEvent> delivery;
  delivery.time_of = [](const HubbleAgentEvent& event) -> const google::protobuf::Timestamp& { return event->time(); };
  delivery.is_counted = [](const HubbleAgentEvent&) { return true; };
  delivery.matches = [](const HubbleAgentEvent&, std::uint64_t) { return true; };
  delivery.deliver = [&](const HubbleAgentEvent& event, std::uint64_t) {
    return consume(*event) ? Delivery::kSent : Delivery::kReaderGone;
  };
  // Hubble has no report of lost agent events.
  delivery.deliver_loss = [](std::uint64_t, const google::protobuf::Timestamp&, const google::protobuf::Timestamp&) {
    return Delivery::kSkipped;
  };
  delivery.is_cancelled = is_cancelled;
  RingReader<HubbleAgentEvent>(&ring_, window, std::move(delivery)).Run();
}

}  // namespace sluice::telemetry
