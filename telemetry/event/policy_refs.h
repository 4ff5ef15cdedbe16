// Decisions as messages: the policies and rules that a verdict rests on. Pure.
#pragma once

#include "api/sluice.pb.h"
#include "policy/network/decision.h"

namespace sluice::telemetry {

using PolicyRefs = google::protobuf::RepeatedPtrField<v1::PolicyRef>;

// Appends `decision`'s contributions. `direction`: at whose end it was taken.
void AppendPolicyRefs(const policy::Decision& decision, policy::Direction direction, PolicyRefs* refs);

}  // namespace sluice::telemetry
