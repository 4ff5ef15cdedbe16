// The names of bpf/abi/drop_reasons.h, for events and metric labels.
#pragma once

#include <cstdint>

namespace sluice::telemetry {

const char* DropReasonName(std::uint32_t reason);  // "POLICY_DENIED"; empty: out of range

}  // namespace sluice::telemetry
