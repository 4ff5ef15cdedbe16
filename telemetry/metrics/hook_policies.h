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

using HookPoliciesNow = std::function<std::vector<HookPolicyNumbers>()>;  // thread-safe

}  // namespace sluice::telemetry
