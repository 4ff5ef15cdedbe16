// The fields of events that conditions and outputs may name. The one list: the checks of rules, their evaluation and
// docs/rules.md are made from it. Names, types and arguments are Falco's. Pure; all functions are thread-safe.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "policy/rules/event.h"
#include "policy/rules/value.h"

namespace sluice::policy::rules {

// What may be in brackets after the name.
enum class ArgumentForm : std::uint8_t {
  kNone,
  kAncestor,       // [N]: the N-th ancestor, 1 is the parent, 0 the process itself. Without it: all ancestors
  kPosition,       // [N]: the N-th of the list, from 0. Without it: all of them, as one text
  kName,           // [NAME]. Without it: all of them, as one text
  kMount,          // [N], or [PATTERN] of the mount's other end; one of them is needed
  kEventArgument,  // evt.arg.NAME, or evt.arg[N] from 0; one of them is needed
};

// How several values of one field are compared.
enum class Many : std::uint8_t {
  kOne,   // it has at most one
  kAny,   // a check is true if it is for one of the values: each is an ancestor's
  kEnds,  // the same, but `!=` is true if it is for all: each is one end of a connection
  kList,  // a list: only in, intersects and exists
};

struct FieldFlags {
  bool filter_only = false;   // not in outputs
  bool no_operand = false;    // not compared with another field
  bool no_transform = false;  // not the operand of tolower(), ...
  bool clock = false;         // a time that JSON shows as nanoseconds since 1970
  bool deprecated = false;    // since Falco 0.42: events are only seen when a call returns
};

struct FieldInfo;

// A field as a rule uses it.
struct FieldUse {
  const FieldInfo* info = nullptr;
  std::optional<std::int32_t> index;  // the argument, if it is a number
  std::string key;                    // the argument, if it is none; for kEventArgument the name
  std::string text;                   // as the rule writes it: "proc.aname[2]"

  bool HasArgument() const { return index.has_value() || !key.empty(); }
};

struct FieldInfo {
  std::string_view name;  // "proc.aname"; of kEventArgument without the last part
  ValueType type = ValueType::kText;
  Many many = Many::kOne;
  ArgumentForm argument = ArgumentForm::kNone;
  // Adds the values to `out`, none if the field is missing. Never reads what it does not name in `meaning`.
  void (*extract)(const FieldUse& use, const Event& event, Values& out) = nullptr;
  std::string_view meaning;
  FieldFlags flags = {};
};

std::span<const FieldInfo> Fields();  // sorted by name

// A field by its name and argument. Error: InvalidArgument, "there is no field ...", or what is wrong with the
// argument.
StatusOr<FieldUse> FindField(std::string_view name, const std::optional<std::string>& argument);
bool IsField(std::string_view name);  // there is such a field, whatever its argument

// Clears `out` and adds the values of the field.
void Extract(const FieldUse& use, const Event& event, Values& out);

// With an argument, a field of ancestors or a list of descriptors has one value.
Many ManyOf(const FieldUse& use);

}  // namespace sluice::policy::rules
