// Past events and live flows for a single request. They are passed on one by one, so memory depends on the size of the
// answer and not of the tables. A consumer returns false to stop.
#pragma once

#include "telemetry/event/event_filter.h"
#include "telemetry/event/history.h"
#include "telemetry/flow/flow_assembler.h"

namespace sluice::telemetry {

// Whether ReadEvents keeps a record of almost every live flow while it runs, which is as long as the consumer takes.
bool IsLargeRead(const EventFilter& filter, std::uint32_t last);

// Matching events, at most `last` (0: all), newest last. While it runs, it keeps a record of each live flow that it may
// have to pass on.
Status ReadEvents(datapath::PathReader* datapath, FlowAssembler* assembler, const History& history,
                  const EventFilter& filter, std::uint32_t last, const std::function<bool(const v1::Event&)>& consume);

// Live flows: all in no order (`limit` 0), or the newest `limit` with the newest last, which keeps `limit` records.
Status ReadFlows(datapath::PathReader* datapath, FlowAssembler* assembler, std::uint32_t limit,
                 const std::function<bool(v1::Flow flow)>& consume);

}  // namespace sluice::telemetry
