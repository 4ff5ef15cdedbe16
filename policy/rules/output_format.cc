#include "policy/rules/output_format.h"

#include <fmt/format.h>

#include <algorithm>

#include "policy/rules/extract.h"
#include "policy/rules/lexer.h"

namespace sluice::policy::rules {
namespace {

constexpr std::string_view kMissingText = "<NA>";
constexpr std::size_t kMaxWidth = 10'000;

std::string ShownText(ValueType type, const Value& value) {
  if (type == ValueType::kText || type == ValueType::kBytes) return std::string(value.text);
  if (type == ValueType::kAddress || type == ValueType::kNetwork) return value.address.ToString();
  return NumberText(type, value.number);
}

// Several values of one field: ancestors are a line of descent, all others are alternatives.
std::string ManyText(const ValueExpr& value, const Values& values) {
  std::string text;
  for (const Value& one : values.all()) {
    if (!text.empty()) text += value.many == Many::kAny ? "->" : ",";
    text += ShownText(value.type, one);
  }
  return value.many == Many::kList ? "(" + text + ")" : text;
}

void CollectFields(const ValueExprPtr& value, std::vector<OutputField>& fields) {
  for (const ValueExprPtr& part : value->parts) CollectFields(part, fields);
  if (value->kind != Operand::Kind::kField) return;
  const bool known = std::any_of(fields.begin(), fields.end(),
                                 [&](const OutputField& field) { return field.name == value->field.text; });
  if (!known) fields.push_back({.name = value->field.text, .value = value});
}

class FormatReader {
 public:
  explicit FormatReader(std::string_view text) : text_(text) {}

  std::optional<ConditionError> Read(std::vector<OutputPart>& parts) {
    while (at_ < text_.size()) {
      const std::size_t percent = std::min(text_.find('%', at_), text_.size());
      if (percent > at_) parts.push_back({.text = std::string(text_.substr(at_, percent - at_)), .value = nullptr});
      at_ = percent;
      if (at_ == text_.size()) break;
      ++at_;
      OutputPart part;
      if (auto error = ReadValue(part)) return error;
      parts.push_back(std::move(part));
    }
    return std::nullopt;
  }

 private:
  ConditionError ErrorHere(std::string what, bool unknown_name = false) const {
    return {.what = std::move(what),
            .place = {.offset = at_, .line = 1, .column = static_cast<int>(at_) + 1},
            .unknown_name = unknown_name};
  }

  std::optional<ConditionError> ReadValue(OutputPart& part) {
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') {
      part.width = part.width * 10 + static_cast<std::size_t>(text_[at_++] - '0');
      if (part.width > kMaxWidth) return ErrorHere(fmt::format("a width is at most {}", kMaxWidth));
    }
    if (at_ == text_.size()) return ErrorHere("the output ends where a field should be");
    std::size_t used = 0;
    auto operand = ParseOperand(text_.substr(at_), used);
    ConditionError error;
    if (const auto* parsed = std::get_if<Operand>(&operand)) {
      if (TryBind(*parsed, part, error)) {
        at_ += used;
        return std::nullopt;
      }
    } else {
      error = std::get<ConditionError>(operand);
    }
    if (BindShorter(part)) return std::nullopt;
    return ErrorHere("after %: " + error.what, error.unknown_name);
  }

  static bool TryBind(const Operand& operand, OutputPart& part, ConditionError& error) {
    auto bound = BindOutput(operand);
    if (auto* value = std::get_if<ValueExprPtr>(&bound)) {
      part.value = std::move(*value);
      return true;
    }
    error = std::get<ConditionError>(bound);
    return false;
  }

  // A field may end where text goes on: "%proc.name.txt" is the field proc.name and ".txt". The longest one counts.
  bool BindShorter(OutputPart& part) {
    auto name = Lexer(text_.substr(at_)).TakeFieldName();
    ConditionError unused;
    while (name && !name->empty()) {
      if (TryBind({.kind = Operand::Kind::kField, .name = *name}, part, unused)) {
        at_ += name->size();
        return true;
      }
      const std::size_t dot = name->rfind('.');
      name->resize(dot == std::string::npos ? 0 : dot);
    }
    return false;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

OutputValue ScalarOf(ValueType type, const Value& value) {
  using Kind = OutputValue::Kind;
  if (type == ValueType::kBool) return {.kind = Kind::kBool, .number = value.number};
  if (type == ValueType::kSigned) return {.kind = Kind::kSignedNumber, .number = value.number};
  if (IsNumber(type)) return {.kind = Kind::kNumber, .number = value.number};
  return {.kind = Kind::kText, .text = ShownText(type, value)};
}

}  // namespace

std::variant<OutputFormat, ConditionError> OutputFormat::Parse(std::string_view text) {
  OutputFormat format;
  if (text.empty()) return ConditionError{.what = "the output is empty"};
  if (text.starts_with('*')) text.remove_prefix(1);
  if (auto error = FormatReader(text).Read(format.parts_)) return *error;
  for (const OutputPart& part : format.parts_) {
    if (part.value != nullptr) CollectFields(part.value, format.fields_);
  }
  return format;
}

std::string OutputFormat::ToText(const Event& event) const {
  std::string text;
  for (const OutputPart& part : parts_) {
    if (part.value == nullptr) {
      text += part.text;
      continue;
    }
    std::string value = OutputTextOf(*part.value, event);
    if (part.width > 0) value.resize(part.width, ' ');
    text += value;
  }
  return text;
}

bool OutputFormat::UsesDeprecatedField() const {
  return std::any_of(fields_.begin(), fields_.end(),
                     [](const OutputField& field) { return field.value->field.info->flags.deprecated; });
}

OutputValue OutputValueOf(const ValueExpr& value, const Event& event) {
  if (value.kind == Operand::Kind::kField && value.field.info->flags.clock) {
    return {.kind = OutputValue::Kind::kNumber, .number = event.time_ns};
  }
  Values values;
  ExtractValues(value, event, values);
  if (value.many == Many::kList) {
    if (values.is_absent_list()) return {};
    OutputValue list{.kind = OutputValue::Kind::kList};
    for (const Value& one : values.all()) list.list.push_back(ShownText(value.type, one));
    return list;
  }
  if (values.empty()) return {};
  if (values.size() > 1) return {.kind = OutputValue::Kind::kText, .text = ManyText(value, values)};
  return ScalarOf(value.type, values[0]);
}

std::string OutputTextOf(const ValueExpr& value, const Event& event) {
  Values values;
  ExtractValues(value, event, values);
  if (values.empty() && (value.many != Many::kList || values.is_absent_list())) return std::string(kMissingText);
  return ManyText(value, values);
}

}  // namespace sluice::policy::rules
