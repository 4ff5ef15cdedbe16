// The events of Tracee that Sluice's sensors can tell, each as a condition of policy/rules, with the data that filters
// may name. The one list: policies are compiled by it, and docs/tracee.md is made from it. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::policy::tracee {

// How a filter's value is compared.
enum class DataType : std::uint8_t { kText, kNumber };

// What `data.NAME` of a filter stands for.
struct DataField {
  std::string_view name;   // Tracee's
  std::string_view field;  // of policy/rules
  DataType type = DataType::kText;
};

struct EventInfo {
  std::string_view name;  // Tracee's
  std::string condition;  // in the language of rules
  std::vector<DataField> data;
  bool is_signature = false;  // Tracee finds it by a detector of its own
};

std::span<const EventInfo> Events();                // sorted by name
const EventInfo* FindEvent(std::string_view name);  // null: there is none

// Why an event that Tracee knows is not among Events(); empty: Tracee has none of this name, as far as is known here.
std::string_view WhyMissing(std::string_view name);

// What to say of a name that is not among Events().
std::string UnknownEvent(std::string_view name);

// What scopes and filters may say about the process beside `data`.
struct ContextField {
  std::string_view name;   // "comm"; each of several names has a row
  std::string_view field;  // of policy/rules
  DataType type = DataType::kText;
};
std::span<const ContextField> ContextFields();

}  // namespace sluice::policy::tracee
