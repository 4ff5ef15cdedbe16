#include "policy/rules/read_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/nearest.h"
#include "base/printable.h"
#include "policy/rules/text_match.h"

namespace sluice::policy::rules {

std::string LoadMessages::Snippet(const Context& context, std::string snippet) const {
  if (!snippet.empty() || context.file != result_.file || context.place().line == 0) return snippet;
  return SnippetOf(text_, OffsetOf(text_, context.place()));
}

void LoadMessages::Fail(LoadError code, std::string what, const Context& context, std::string snippet) {
  if (failed()) return;
  const LoadCode& info = InfoOf(code);
  result_.errors.push_back({.code = info.code,
                            .description = info.description,
                            .what = Printable(what),
                            .context = context,
                            .snippet = Snippet(context, std::move(snippet))});
}

void LoadMessages::Warn(LoadWarning code, std::string what, const Context& context, std::string snippet) {
  const LoadCode& info = InfoOf(code);
  result_.warnings.push_back({.code = info.code,
                              .description = info.description,
                              .what = Printable(what),
                              .context = context,
                              .snippet = Snippet(context, std::move(snippet))});
}

Context ItemReader::ValueContext(std::string_view key) const {
  const YamlNode* const value = Find(key);
  return context_.Inside("value for", std::string(key), value == nullptr ? context_.place() : value->place);
}

void ItemReader::FailAt(std::string_view key, std::string what) const {
  messages_->Fail(LoadError::kYamlValidate, std::move(what), ValueContext(key));
}

std::string ItemReader::Text(std::string_view key) const {
  const YamlNode* const value = Find(key);
  if (value == nullptr) {
    Fail(fmt::format("the key {} is missing", key));
  } else if (value->type == YamlNode::Type::kNull) {
    FailAt(key, fmt::format("{} has no value", key));
  } else if (value->type != YamlNode::Type::kScalar) {
    FailAt(key, fmt::format("{} is a text, not a list or a map", key));
  } else if (value->scalar.empty()) {
    FailAt(key, fmt::format("{} is empty", key));
  } else {
    return value->scalar;
  }
  return "";
}

bool ItemReader::Bool(std::string_view key) const {
  const std::string text = Text(key);
  if (text.empty()) return false;
  const std::string folded = Folded(text);
  for (const std::string_view yes : {"true", "yes", "on", "y"}) {
    if (folded == yes) return true;
  }
  for (const std::string_view no : {"false", "no", "off", "n"}) {
    if (folded == no) return false;
  }
  FailAt(key, fmt::format("{} is true or false, not {}", key, PrintableWord(text)));
  return false;
}

std::uint32_t ItemReader::Number(std::string_view key) const {
  const std::string text = Text(key);
  std::uint32_t number = 0;
  if (text.empty()) return number;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) {
    FailAt(key, fmt::format("{} is a whole number from 0, not {}", key, PrintableWord(text)));
  }
  return number;
}

std::vector<std::string> ItemReader::Texts(std::string_view key) const {
  std::vector<std::string> texts;
  const YamlNode* const value = Find(key);
  if (value == nullptr) {
    Fail(fmt::format("the key {} is missing", key));
    return texts;
  }
  if (value->type != YamlNode::Type::kSequence) {
    FailAt(key, fmt::format("{} is a list", key));
    return texts;
  }
  for (const auto& item : value->items) {
    if (item->type != YamlNode::Type::kScalar) {
      messages_->Fail(LoadError::kYamlValidate, fmt::format("an item of {} is a text or a number", key),
                      ValueContext(key).Inside("list item", "", item->place));
      return texts;
    }
    texts.push_back(item->scalar);
  }
  return texts;
}

void ItemReader::WarnUnknownKeys(const std::set<std::string_view>& known) const {
  for (const YamlNode::Entry& entry : node_->entries) {
    if (known.contains(entry.key)) continue;
    const std::string near = Nearest({known.begin(), known.end()}, entry.key);
    messages_->Warn(LoadWarning::kUnknownKey,
                    fmt::format("unknown key {}: it is ignored{}", PrintableWord(entry.key),
                                near.empty() ? "" : fmt::format("; did you mean {}?", near)),
                    context_.Inside("value for", entry.key, entry.place));
  }
}

}  // namespace sluice::policy::rules
