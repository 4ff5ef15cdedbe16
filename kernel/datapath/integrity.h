// What somebody else has changed in the kernel, and the agent put back.
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
  std::string problem;  // what could not be put back; empty: everything is as it should be
};

}  // namespace sluice::datapath
