// Decisions as messages: the policies and rules behind a verdict. Pure.
#pragma once

#include "api/sluice.pb.h"
#include "policy/network/decision.h"

namespace sluice::telemetry {

using PolicyRefs = google::protobuf::RepeatedPtrField<v1::PolicyRef>;

// Appends `decision`'s contributions. `direction`: egress if made at the source's end, ingress at the destination's.
void AppendPolicyRefs(const policy::Decision& decision, policy::Direction direction, PolicyRefs* refs);

}  // namespace sluice::telemetry
