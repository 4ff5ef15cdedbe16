// Reading flows for a Hubble client.
//   SL_ASSIGN_OR_RETURN(const HubbleQuery query, HubbleQuery::Make(request));
//   query.Run(flows, [&](const auto& response) { return writer->Write(response); }, [&] { return is_cancelled; });
#pragma once

#include <functional>

#include "api/hubble_observer.pb.h"
#include "telemetry/hubble/hubble_filter.h"
#include "telemetry/hubble/hubble_flows.h"
#include "telemetry/hubble/hubble_mask.h"
#include "telemetry/hubble/ring_window.h"

namespace sluice::telemetry {

class HubbleQuery {
 public:
  // False: the reader has gone.
  using Consume = std::function<bool(const observer::GetFlowsResponse& response)>;
  // What is known by now of an event, maybe more than when it happened. May be empty.
  using Complete = std::function<EventPtr(EventPtr event)>;

  // InvalidArgument, Unimplemented: as RingWindow, HubbleFilter and HubbleMask.
  static StatusOr<HubbleQuery> Make(const observer::GetFlowsRequest& request);

  bool follows() const { return window_.follow; }
  // Blocks until everything is read, `consume` returns false, `is_cancelled` returns true, or `flows` is closed.
  void Run(const HubbleFlows& flows, const Complete& complete, const Consume& consume,
           const std::function<bool()>& is_cancelled) const;

 private:
  RingWindow window_;
  HubbleFilter filter_;
  HubbleMask mask_;
};

}  // namespace sluice::telemetry
