// An end of a flow in Hubble's form. Pure.
#pragma once

#include <string>

#include "api/hubble_flow.pb.h"
#include "api/sluice.pb.h"

namespace sluice::telemetry {

// Always has an identity and labels, because Hubble's page leaves out flows without: an end that is not known has the
// reserved label `unknown`.
flow::Endpoint ToHubbleEndpoint(const v1::Peer& peer, const std::string& cluster);

}  // namespace sluice::telemetry
