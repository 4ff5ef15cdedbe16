#include "policy/rules/rule.h"

#include "policy/rules/text_match.h"

namespace sluice::policy::rules {
namespace {

// By severity, as in syslog(3).
constexpr std::array<std::string_view, 8> kPriorities = {"Emergency", "Alert",  "Critical",      "Error",
                                                         "Warning",   "Notice", "Informational", "Debug"};

}  // namespace

std::string_view NameOf(Priority priority) { return kPriorities[static_cast<std::size_t>(priority)]; }

std::optional<Priority> ParsePriority(std::string_view text) {
  const std::string folded = Folded(text);
  if (folded == "info") return Priority::kInformational;
  for (std::size_t i = 0; i < kPriorities.size(); ++i) {
    if (Folded(kPriorities[i]) == folded) return static_cast<Priority>(i);
  }
  return std::nullopt;
}

}  // namespace sluice::policy::rules
