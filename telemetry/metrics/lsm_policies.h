// What KubeArmor policies do, as counted in the kernel. A value.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "policy/resource/model.h"

namespace sluice::telemetry {

struct LsmNumbers {
  struct Policy {
    std::string kind;
    policy::ObjectName name;
    bool in_force = false;
    std::uint64_t blocked = 0;
    std::uint64_t audited = 0;
    std::uint64_t lost = 0;  // alerts
  };
  struct Table {
    std::string name;
    std::uint64_t used = 0;
    std::uint64_t capacity = 0;
  };
  std::vector<Policy> policies;
  std::vector<Table> tables;       // empty: nothing is loaded
  std::uint64_t memory_bytes = 0;  // of the kernel
  std::uint64_t not_judged = 0;    // operations that no rule was applied to: the CPU's scratch memory was in use
  std::uint64_t unreadable = 0;    // operations whose path could not be read whole
};

using LsmPoliciesNow = std::function<LsmNumbers()>;  // thread-safe

}  // namespace sluice::telemetry
