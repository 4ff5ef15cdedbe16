// What a pod belongs to, in messages and in text. Pure.
#pragma once

#include <string>

#include "api/sluice.pb.h"
#include "policy/resource/model.h"

namespace sluice::telemetry {

void SetOwner(const policy::PodOwner& owner, v1::Owner* out);
std::string OwnerText(const v1::Owner& owner);  // "Deployment/web"; empty: none

}  // namespace sluice::telemetry
