// A rule that can be evaluated, and what its files say about it. Immutable once it is loaded.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/resource/yaml.h"
#include "policy/rules/bound.h"
#include "policy/rules/output_format.h"

namespace sluice::policy::rules {

enum class Priority : std::uint8_t {
  kEmergency,
  kAlert,
  kCritical,
  kError,
  kWarning,
  kNotice,
  kInformational,
  kDebug,
};

std::string_view NameOf(Priority priority);                    // "Critical", as alerts show it
std::optional<Priority> ParsePriority(std::string_view text);  // any case; "info" too

struct Rule {
  std::string name;
  std::string description;
  std::string source;  // of the events: "syscall"
  Priority priority = Priority::kDebug;
  std::vector<std::string> tags;  // sorted, each once
  bool enabled = true;
  bool capture = false;
  std::uint32_t capture_ms = 0;
  std::string condition_text;  // with lists and exceptions, without macros
  BoundConditionPtr condition;
  EventSet event_types;
  std::string output_text;
  OutputFormat output;
  std::string file;
  Place place;
};

}  // namespace sluice::policy::rules
