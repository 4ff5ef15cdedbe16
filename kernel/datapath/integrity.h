// Changes by others in the kernel, and the agent's repairs of them.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace sluice::datapath {

enum class Repaired { kAttachment, kPin, kGeneration, kSettings, kInterface, kQuarantine, kPolicyTable };
inline constexpr std::array kRepairedNames = {"attachment", "pin",        "generation",  "settings",
                                              "interface",  "quarantine", "policy_table"};

struct Integrity {
  std::array<std::uint64_t, kRepairedNames.size()> repairs{};  // by Repaired, since the agent started
  std::string problem;  // repairs that failed; empty: everything is as it should be
};

}  // namespace sluice::datapath
