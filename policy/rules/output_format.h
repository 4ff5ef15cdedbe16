// The output of a rule: text with values of fields in it. Pure.
//   %proc.name          the value; <NA> if it is missing
//   %proc.aname[2]      with an argument
//   %20proc.name        cut or filled with blanks to 20 bytes
//   %toupper(proc.name) a function of values
//   *...                in front of everything: it changes nothing here, because Falco adds it to each output itself
// A "%" that no field follows is an error: there is no way to write "%" itself.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "policy/rules/bind.h"

namespace sluice::policy::rules {

struct OutputPart {
  std::string text;  // if `value` is null
  ValueExprPtr value;
  std::size_t width = 0;  // in bytes; 0: as it is
};

// A field that an output shows, also within a function.
struct OutputField {
  std::string name;  // "proc.aname[2]"
  ValueExprPtr value;
};

// A value as JSON has it.
struct OutputValue {
  enum class Kind : std::uint8_t { kMissing, kText, kNumber, kSignedNumber, kBool, kList };

  Kind kind = Kind::kMissing;
  std::string text;
  std::uint64_t number = 0;  // in two's complement if signed
  std::vector<std::string> list;
};

class OutputFormat {
 public:
  static std::variant<OutputFormat, ConditionError> Parse(std::string_view text);

  // The output for an event. Values are as they are: control characters are for the writer to escape.
  std::string ToText(const Event& event) const;

  // The fields of the output, each once, in the order of the text. A function's own value is not among them, and the
  // fields in it are.
  const std::vector<OutputField>& fields() const { return fields_; }
  bool UsesDeprecatedField() const;

 private:
  std::vector<OutputPart> parts_;
  std::vector<OutputField> fields_;
};

// The value of an expression for one event, for JSON.
OutputValue OutputValueOf(const ValueExpr& value, const Event& event);
// The same as text: "<NA>" if it is missing, "(a,b)" for a list.
std::string OutputTextOf(const ValueExpr& value, const Event& event);

}  // namespace sluice::policy::rules
