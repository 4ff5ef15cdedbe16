#include "telemetry/hubble/hubble_query.h"

#include "telemetry/event/event_time.h"
#include "telemetry/hubble/hubble_extensions.h"

namespace sluice::telemetry {

StatusOr<HubbleQuery> HubbleQuery::Make(const observer::GetFlowsRequest& request) {
  HubbleQuery query;
  SL_ASSIGN_OR_RETURN(query.window_, RingWindow::Make(request));
  SL_ASSIGN_OR_RETURN(query.filter_, HubbleFilter::Make(request.whitelist(), request.blacklist()));
  const bool is_older = request.field_mask().paths().empty();
  SL_ASSIGN_OR_RETURN(query.mask_,
                      HubbleMask::Make(is_older ? request.experimental().field_mask() : request.field_mask()));
  return query;
}

void HubbleQuery::Run(const HubbleFlows& flows, const Complete& complete, const Consume& consume,
                      const std::function<bool()>& is_cancelled) const {
  const std::string node = flows.node().full_name();
  const auto respond = [&](observer::GetFlowsResponse response, const google::protobuf::Timestamp& time) {
    response.set_node_name(node);
    *response.mutable_time() = time;
    return consume(response) ? Delivery::kSent : Delivery::kReaderGone;
  };
  RingDelivery<HubbleEntry> delivery;
  delivery.time_of = [](const HubbleEntry& entry) -> const google::protobuf::Timestamp& {
    return TimeOf(*entry.event);
  };
  delivery.is_counted = [](const HubbleEntry& entry) { return entry.event->has_flow(); };
  delivery.matches = [&](const HubbleEntry& entry, std::uint64_t number) {
    return filter_.MatchesAll() || filter_.Matches(flows.Convert(entry, number));
  };
  delivery.deliver = [&](const HubbleEntry& entry, std::uint64_t number) {
    observer::GetFlowsResponse response;
    if (entry.event->has_lost()) {
      *response.mutable_lost_events() = ToHubbleLoss(entry.event->lost());
      return respond(std::move(response), entry.event->lost().time());
    }
    flow::Flow& flow = *response.mutable_flow();
    flow = flows.Convert(entry, number);
    if (!filter_.Matches(flow)) return Delivery::kSkipped;
    if (mask_.WantsExtensions()) {
      const EventPtr event = complete ? complete(entry.event) : entry.event;
      *flow.mutable_extensions() = ToHubbleExtensions(event->flow());
    }
    mask_.Apply(&flow);
    return respond(std::move(response), entry.event->flow().time());
  };
  delivery.deliver_loss = [&](std::uint64_t count, const google::protobuf::Timestamp& first,
                              const google::protobuf::Timestamp& last) {
    observer::GetFlowsResponse response;
    flow::LostEvent& lost = *response.mutable_lost_events();
    lost.set_source(flow::HUBBLE_RING_BUFFER);
    lost.set_num_events_lost(count);
    *lost.mutable_first() = first;
    *lost.mutable_last() = last;
    return respond(std::move(response), last);
  };
  delivery.is_cancelled = is_cancelled;
  RingReader<HubbleEntry>(&flows.ring(), window_, std::move(delivery)).Run();
}

}  // namespace sluice::telemetry
