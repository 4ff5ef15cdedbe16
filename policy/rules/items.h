// The items of rules files as they are written: what the reader makes and the collector puts together. For this
// directory.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "policy/rules/load_result.h"
#include "policy/rules/rule.h"

namespace sluice::policy::rules {

struct Version {
  std::uint32_t major = 0;
  std::uint32_t minor = 0;
  std::uint32_t patch = 0;
  auto operator<=>(const Version&) const = default;

  std::string ToString() const;
  // Whether what needs `needed` works with this version: the same major, and not older.
  bool Serves(const Version& needed) const { return major == needed.major && *this >= needed; }
};
std::optional<Version> ParseVersion(std::string_view text);  // "1.2.3", or with "-rc1" or "+x" after it

// One field, operator or value of an exception, or a list of them.
struct ExceptionEntry {
  bool is_list = false;
  std::string text;                   // not of a list
  std::vector<ExceptionEntry> items;  // of a list

  bool is_there() const { return is_list ? !items.empty() : !text.empty(); }
};

struct Exception {
  std::string name;
  ExceptionEntry fields;
  ExceptionEntry operators;  // "comps"
  std::vector<ExceptionEntry> values;
  Context context;
};

struct ListItem {
  std::string name;
  std::vector<std::string> items;
  Context context;
};

struct MacroItem {
  std::string name;
  std::string condition;
  Context context;
  Context condition_context;
};

struct RuleItem {
  std::string name;
  std::string source = "syscall";
  std::string condition;
  std::string output;
  std::string description;
  Priority priority = Priority::kDebug;
  bool enabled = true;
  bool capture = false;
  std::uint32_t capture_ms = 0;
  bool warn_event_types = true;
  bool skip_if_unknown = false;
  std::set<std::string> tags;
  std::vector<Exception> exceptions;
  Context context;
  Context condition_context;
  Context output_context;
};

// What an item changes of a rule that is there already. Absent: stays as it is.
struct RuleUpdate {
  std::string name;
  std::string source;  // empty: it does not say
  std::optional<std::string> condition;
  std::optional<std::string> output;
  std::optional<std::string> description;
  std::optional<Priority> priority;
  std::optional<bool> enabled;
  std::optional<bool> capture;
  std::optional<std::uint32_t> capture_ms;
  std::optional<bool> warn_event_types;
  std::optional<bool> skip_if_unknown;
  std::optional<std::set<std::string>> tags;
  std::optional<std::vector<Exception>> exceptions;
  Context context;
  Context condition_context;
  Context output_context;

  bool IsEmpty() const;
};

struct PluginNeed {
  std::string name;
  std::string version;
};

}  // namespace sluice::policy::rules
