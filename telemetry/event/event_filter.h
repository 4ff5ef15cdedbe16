// Which events an observer asked for. Pure.
#pragma once

#include "api/sluice.pb.h"
#include "base/status.h"

namespace sluice::telemetry {

// InvalidArgument when `filter` can match nothing by its own contents.
Status CheckFilter(const v1::ObserveRequest::Filter& filter);

// All conditions hold. Losses are for everybody whose events may be among them.
bool Matches(const v1::ObserveRequest::Filter& filter, const v1::Event& event);

// Whether no flow has to be looked at to know that it matches.
bool MatchesEveryFlow(const v1::ObserveRequest::Filter& filter);

}  // namespace sluice::telemetry
