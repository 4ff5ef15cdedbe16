// Drop reasons as Hubble's clients know them. Pure.
#pragma once

#include "api/hubble_flow.pb.h"
#include "api/sluice.pb.h"

namespace sluice::telemetry {

// Of a dropped flow; the nearest of Hubble's reasons where it has no such reason. DROP_REASON_UNKNOWN: not dropped, or
// for a reason that this version does not know.
flow::DropReason ToHubbleDropReason(const v1::Flow& flow);

}  // namespace sluice::telemetry
