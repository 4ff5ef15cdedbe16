// The part of CEL (Common Expression Language) that conditions of policy/rules can say -> such conditions, as text.
// Whatever else an expression has is an error that names it. Pure.
//   getEventData("pathname").startsWith("/tmp/") && workload.container.id != ""
//   -> ((proc.exepath startswith "/tmp/") and (not (not container.full_id exists or container.full_id = "")))
//
// A value that an event does not have is null there, and equals the empty text here; a check on it is false, and "not
// equal" is true, as in CEL.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "policy/tracee/events.h"

namespace sluice::policy::tracee {

struct CelValue {
  enum class Kind { kField, kText, kNumber, kNull, kList };
  Kind kind = Kind::kNull;
  DataType type = DataType::kText;  // of a field, and of a list's items
  // A field: as conditions and outputs write it, such as tolower(proc.name). A text or a number: its value.
  std::string text;
  std::string field;               // below the functions: proc.name
  std::string empty;               // a value of the field that stands for none; may be empty
  std::vector<std::string> items;  // of a list
};

// What names in an expression stand for. All may be empty.
struct CelNames {
  std::function<std::optional<CelValue>(std::string_view name)> data;  // getEventData(NAME)
  std::string data_names;                                              // all that there are, for errors
  const std::map<std::string, std::vector<std::string>, std::less<>>* lists = nullptr;
};

// InvalidArgument: "column 12: dirname() is not known here".
StatusOr<std::string> CompileCondition(std::string_view expression, const CelNames& names);
StatusOr<CelValue> CompileValue(std::string_view expression, const CelNames& names);

// `workload.` and the name of each value that expressions may use, with its field.
struct WorkloadField {
  std::string_view name;
  std::string_view field;
  DataType type = DataType::kText;
  std::string_view empty = "";  // as CelValue::empty
};
std::span<const WorkloadField> WorkloadFields();

// A text as conditions of rules quote it.
std::string QuotedForRules(std::string_view text);

}  // namespace sluice::policy::tracee
