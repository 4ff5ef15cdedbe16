// The text that Hubble's clients print behind a flow. Pure.
#pragma once

#include <string>

#include "api/hubble_flow.pb.h"
#include "api/sluice.pb.h"

namespace sluice::telemetry {

// "TCP Flags: SYN; from /usr/bin/curl to /usr/sbin/nginx": the packet as Hubble says it, then the programs that are
// known, of the end that opened the flow first.
std::string HubbleSummary(const v1::Flow& flow, const flow::Layer4& l4);

}  // namespace sluice::telemetry
