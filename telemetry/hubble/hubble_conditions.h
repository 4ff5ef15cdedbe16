// One filter of a Hubble client as conditions, one for each of its fields that has values. Pure.
#pragma once

#include <functional>
#include <vector>

#include "api/hubble_flow.pb.h"
#include "base/status.h"

namespace sluice::telemetry {

using HubbleCondition = std::function<bool(const flow::Flow&)>;

// Errors as HubbleFilter::Make. `out` gets the conditions of the ends (names, addresses, labels, ports, ...).
Status AddEndConditions(const flow::FlowFilter& filter, std::vector<HubbleCondition>* out);
// And those of the flow itself (verdict, protocol, event type, ...).
Status AddFlowConditions(const flow::FlowFilter& filter, std::vector<HubbleCondition>* out);

}  // namespace sluice::telemetry
