// The text of a rules file -> items, which go to the collector. Pure.
#pragma once

#include <string_view>

#include "policy/rules/collector.h"

namespace sluice::policy::rules {

inline constexpr std::size_t kMaxRulesFileBytes = 16U << 20U;

// Stops at the first error.
void ReadRulesFile(const std::string& file, std::string_view text, Collector& collector, LoadMessages& messages);

}  // namespace sluice::policy::rules
