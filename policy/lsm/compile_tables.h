// Fills the tables of one profile: for the compiler only.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "base/status.h"
#include "policy/lsm/automaton.h"
#include "policy/lsm/compiled.h"

namespace sluice::policy::lsm {

// What a rule is about, as the kernel looks for it.
struct TargetKey {
  sl_lsm_section section = SL_LSM_PROCESS;
  sl_lsm_kind kind = SL_LSM_KIND_PATH;
  std::string text;
  std::uint64_t number = 0;  // of SL_LSM_KIND_NUMBER
  auto operator<=>(const TargetKey&) const = default;
};

// The numbers of a target: rules by what they do, or only `decides`.
struct TargetNumbers {
  std::set<std::uint32_t> decides;
  std::set<std::uint32_t> audits;
  auto operator<=>(const TargetNumbers&) const = default;
};

// Sections that have no texts of their own: sources and arguments belong to the profile.
inline constexpr sl_lsm_section kOfProfile = SL_LSM_NO_SECTION;

struct NumberRange {
  std::uint32_t first = 0;
  std::uint32_t count = 0;
};

// A text, padded with zeros to whole words. At least one word.
std::uint32_t AddText(std::string_view text, Tables* tables);
NumberRange AddNumbers(const std::vector<std::uint32_t>& numbers, Tables* tables);

// Puts the targets into the profile's cells. ResourceExhausted: their keys collide, whatever the size.
Status AddTargets(const std::map<TargetKey, TargetNumbers>& targets, sl_lsm_profile* profile, Tables* tables);

// `numbers_of`: what the rules of a state do.
void AddAutomaton(const Automaton& automaton, sl_lsm_section section, const std::map<std::uint32_t, bool>& audits,
                  Tables* tables);

}  // namespace sluice::policy::lsm
