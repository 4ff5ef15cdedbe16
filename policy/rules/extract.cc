#include "policy/rules/extract.h"

#include <fmt/format.h>

#include <algorithm>
#include <bitset>

#include "policy/rules/base64.h"
#include "policy/rules/text_match.h"

namespace sluice::policy::rules {
namespace {

char Upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

// The values of `part` after those of `out`. False: it is missing.
bool Append(const ValueExpr& part, const Event& event, Values& out) {
  Values values;
  ExtractValues(part, event, values);
  for (const Value& value : values.all()) {
    out.AddOwned(part.type == ValueType::kText ? value.text : NumberText(part.type, value.number));
  }
  return !values.empty();
}

void ExtractList(const ValueExpr& list, const Event& event, Values& out) {
  for (const ValueExprPtr& part : list.parts) {
    if (!Append(*part, event, out)) return out.ClearList();
  }
}

// Functions of one value: each value of a list for itself. False: there is none.
bool Change(Transform transform, Value& value, Values& out) {
  switch (transform) {
    case Transform::kLower:
    case Transform::kUpper: {
      std::string& text = out.Own(value.text);
      std::transform(text.begin(), text.end(), text.begin(), transform == Transform::kLower ? Fold : Upper);
      value.text = text;
      return true;
    }
    case Transform::kBaseName:
      value.text = value.text.substr(value.text.rfind('/') + 1);
      return true;
    case Transform::kBase64: {
      std::string& text = out.Own("");
      if (!DecodeBase64(value.text, text)) return false;
      value.text = text;
      return true;
    }
    default:
      return true;
  }
}

void ExtractChanged(const ValueExpr& function, const Event& event, Values& out) {
  const ValueExpr& part = *function.parts.front();
  ExtractValues(part, event, out);
  if (function.transform == Transform::kLength) {
    if (out.is_absent_list() || (part.many != Many::kList && out.empty())) return out.Clear();
    const std::uint64_t length = part.many == Many::kList ? out.size() : out[0].text.size();
    out.Clear();
    return out.AddNumber(length);
  }
  for (std::size_t i = 0; i < out.size(); ++i) {
    Value value = out[i];
    if (!Change(function.transform, value, out)) return part.many == Many::kList ? out.ClearList() : out.Clear();
    out.Set(i, value);
  }
}

void ExtractJoined(const ValueExpr& function, const Event& event, Values& out) {
  Values separator, list;
  ExtractValues(*function.parts[0], event, separator);
  ExtractValues(*function.parts[1], event, list);
  if (separator.empty() || list.is_absent_list()) return;
  std::string& text = out.Own("");
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (i > 0) text += separator[0].text;
    text += list[i].text;
  }
  out.AddText(text);
}

void ExtractConcatenated(const ValueExpr& function, const Event& event, Values& out) {
  std::string text;
  Values values;
  for (const ValueExprPtr& part : function.parts) {
    ExtractValues(*part, event, values);
    if (values.empty()) return;
    text += values[0].text;
  }
  out.AddOwned(text);
}

// Which letters are options, and which of them have a value.
struct OptionLetters {
  std::bitset<256> known;
  std::bitset<256> with_value;

  explicit OptionLetters(std::string_view text) {
    for (std::size_t i = text.starts_with(':') ? 1 : 0; i < text.size(); ++i) {
      if (text[i] == ':') continue;
      const auto letter = static_cast<unsigned char>(text[i]);
      known.set(letter);
      if (i + 1 < text.size() && text[i + 1] == ':') with_value.set(letter);
    }
  }
};

// Reads words as getopt(3) does, but for "--word", which is left out.
class OptionReader {
 public:
  OptionReader(const Values& words, const OptionLetters& letters, std::optional<char> only)
      : words_(words), letters_(letters), only_(only) {}

  std::vector<std::string_view> Read() {
    for (; at_ < words_.size(); ++at_) {
      const std::string_view word = words_[at_].text;
      if (word == "--" || !word.starts_with('-') || word == "-") break;
      if (!word.starts_with("--")) ReadLetters(word);
    }
    return std::move(found_);
  }

 private:
  void ReadLetters(std::string_view word) {
    for (std::size_t i = 1; i < word.size(); ++i) {
      const auto letter = static_cast<unsigned char>(word[i]);
      const bool wanted = !only_ || *only_ == word[i];
      if (!letters_.known.test(letter)) {
        if (!only_) found_.push_back("?");
        continue;
      }
      if (!letters_.with_value.test(letter)) {
        if (wanted) Found(word.substr(i, 1), word.substr(i, 1));
        continue;
      }
      std::optional<std::string_view> value;
      if (i + 1 < word.size()) {
        value = word.substr(i + 1);
      } else if (at_ + 1 < words_.size()) {
        value = words_[++at_].text;
      }
      if (wanted && value) Found(word.substr(i, 1), *value, true);
      if (wanted && !value) Found("", "");
      return;
    }
  }

  void Found(std::string_view letter, std::string_view value, bool has_value = false) {
    if (only_) {
      found_ = {value};  // the last one counts
      return;
    }
    found_.push_back(letter);
    if (has_value) found_.push_back(value);
  }

  const Values& words_;
  const OptionLetters& letters_;
  std::optional<char> only_;
  std::size_t at_ = 0;
  std::vector<std::string_view> found_;
};

void ExtractOptions(const ValueExpr& function, const Event& event, Values& out) {
  Values words, options;
  ExtractValues(*function.parts[0], event, words);
  ExtractValues(*function.parts[1], event, options);
  if (options.empty() || words.is_absent_list()) return out.ClearList();
  const OptionLetters letters(options[0].text);
  for (const std::string_view found : OptionReader(words, letters, function.option).Read()) out.AddOwned(found);
}

}  // namespace

std::string NumberText(ValueType type, std::uint64_t number) {
  if (type == ValueType::kBool) return number != 0 ? "true" : "false";
  if (type == ValueType::kSigned) return fmt::format("{}", static_cast<std::int64_t>(number));
  return fmt::format("{}", number);
}

void ExtractValues(const ValueExpr& value, const Event& event, Values& out) {
  if (value.kind == Operand::Kind::kField) return Extract(value.field, event, out);
  out.Clear();
  if (value.kind == Operand::Kind::kText) return out.AddText(value.text);
  if (value.kind == Operand::Kind::kList) return ExtractList(value, event, out);
  switch (value.transform) {
    case Transform::kJoin:
      return ExtractJoined(value, event, out);
    case Transform::kConcat:
      return ExtractConcatenated(value, event, out);
    case Transform::kGetOption:
      return ExtractOptions(value, event, out);
    default:
      return ExtractChanged(value, event, out);
  }
}

}  // namespace sluice::policy::rules
