// Which events an observer asked for. Pure.
#pragma once

#include "ctrl/api/sluice.pb.h"
#include "ctrl/base/status.h"

namespace sluice::telemetry {

// InvalidArgument when `filter` can match nothing by its own contents.
Status CheckFilter(const v1::ObserveRequest::Filter& filter);

// All conditions hold. Losses are for everybody.
bool Matches(const v1::ObserveRequest::Filter& filter, const v1::Event& event);

}  // namespace sluice::telemetry
