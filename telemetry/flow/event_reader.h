// Past events and live flows, for who asks once: handed over one by one, so that what it takes in memory follows the
// answer and not the tables. A consumer that returns false has enough.
#pragma once

#include "telemetry/event/event_filter.h"
#include "telemetry/event/history.h"
#include "telemetry/flow/flow_assembler.h"

namespace sluice::telemetry {

// Whether it keeps a record of about every live flow while it runs: as long as the consumer lets it wait.
bool IsLargeRead(const EventFilter& filter, std::uint32_t last);

// Those that match, at most `last` (0: all), newest last. While it runs it keeps a record of each live flow that it
// may have to hand over.
Status ReadEvents(datapath::PathReader* datapath, FlowAssembler* assembler, const History& history,
                  const EventFilter& filter, std::uint32_t last, const std::function<bool(const v1::Event&)>& consume);

// Live flows: all in no order, or the newest `limit`, the newest last. It then keeps a record of so many.
Status ReadFlows(datapath::PathReader* datapath, FlowAssembler* assembler, std::uint32_t limit,
                 const std::function<bool(v1::Flow flow)>& consume);

}  // namespace sluice::telemetry
