// The policies behind a flow, in Hubble's form. Pure.
#pragma once

#include "api/hubble_flow.pb.h"
#include "api/sluice.pb.h"

namespace sluice::telemetry {

// Fills egress_allowed_by, egress_denied_by and the same for ingress. A policy whose default deny isolates counts as
// one that denies, and one in audit as what it would do.
void AddHubblePolicies(const v1::Flow& flow, flow::Flow* out);

// What the policies of one direction say of the flow. VERDICT_UNKNOWN: no policy isolates in that direction, or the
// other end decided.
flow::Verdict VerdictOfPolicies(const v1::Flow& flow, v1::Flow::Direction direction);

// 0: no rule matched (default deny), else 2 (by peer and port, which is what every rule is about).
std::uint32_t MatchTypeOfPolicies(const v1::Flow& flow, v1::Flow::Direction direction);

}  // namespace sluice::telemetry
