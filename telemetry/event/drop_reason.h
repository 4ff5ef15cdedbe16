// Why packets are dropped, in words: the names of bpf/abi/drop_reasons.h, for events and metric labels, what each means
// and what to do about it. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::telemetry {

struct DropReasonInfo {
  const char* name;     // "POLICY_DENIED"
  std::string meaning;  // a sentence, as is the next
  const char* advice;
};

const char* DropReasonName(std::uint32_t reason);  // "POLICY_DENIED"; empty: out of range

// Every reason to drop, in the order of their numbers.
const std::vector<DropReasonInfo>& DropReasons();
// By name, in any case. Null: there is none.
const DropReasonInfo* FindDropReason(std::string_view name);

}  // namespace sluice::telemetry
