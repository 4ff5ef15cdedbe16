// The drop reasons of bpf/abi/drop_reasons.h in words: names for events and metric labels, the meaning of each, and
// what to do about it. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::telemetry {

struct DropReasonInfo {
  const char* name;     // "POLICY_DENIED"
  std::string meaning;  // a sentence
  const char* advice;   // sentences
};

const char* DropReasonName(std::uint32_t reason);  // "POLICY_DENIED"; empty: out of range

// Every reason to drop, in the order of their numbers.
const std::vector<DropReasonInfo>& DropReasons();
// By name, in upper or lower case. Null: unknown.
const DropReasonInfo* FindDropReason(std::string_view name);

}  // namespace sluice::telemetry
