// What hook policies (TracingPolicy) do, as counted in the kernel. A value.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "bpf/abi/hook.h"
#include "policy/resource/model.h"

namespace sluice::telemetry {

struct HookPolicyNumbers {
  struct Hook {
    std::string hook;
    std::array<std::uint64_t, SL_HOOK_COUNT_COUNT> counts{};
  };
  policy::ObjectName name;
  std::string state;  // one word
  std::uint64_t memory_bytes = 0;
  std::vector<Hook> hooks;
};

// What became of the records of their events, since the agent began to read them.
struct HookRecordNumbers {
  std::uint64_t events = 0;       // were made of them
  std::uint64_t malformed = 0;    // could not be decoded
  std::uint64_t policy_gone = 0;  // of a policy that was removed or replaced before they were read
  // Events that lack something.
  std::uint64_t cut_arguments = 0;  // arguments
  std::uint64_t calls_alone = 0;    // a call whose return did not come in time
  std::uint64_t returns_alone = 0;  // a return whose call was lost
  std::uint64_t runs_missed = 0;    // times that the programs did not look at a function at all
};

// Both are thread-safe.
using HookPoliciesNow = std::function<std::vector<HookPolicyNumbers>()>;
using HookRecordsNow = std::function<HookRecordNumbers()>;

}  // namespace sluice::telemetry
