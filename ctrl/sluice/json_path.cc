#include "ctrl/sluice/json_path.h"

#include <charconv>

namespace sluice::client {
namespace {

constexpr const char* kKnown = "known are .name, ['name'], [N], [-N] and [*]";

// Up to the next dot or bracket; a backslash takes the next character as it is.
std::string TakeName(std::string_view& text) {
  std::string name;
  std::size_t i = 0;
  for (; i < text.size() && text[i] != '.' && text[i] != '['; ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) ++i;
    name += text[i];
  }
  text.remove_prefix(i);
  return name;
}

// The text in the brackets that `text` begins with; empty: they are not closed.
std::string_view TakeBrackets(std::string_view& text) {
  const bool quoted = text.size() > 1 && (text[1] == '\'' || text[1] == '"');
  const std::size_t end = quoted ? text.find(std::string{text[1], ']'}, 2) : text.find(']');
  if (end == std::string_view::npos) return {};
  const std::string_view inside = text.substr(1, end - (quoted ? 0 : 1));
  text.remove_prefix(end + (quoted ? 2 : 1));
  return inside;
}

}  // namespace

StatusOr<JsonPath> JsonPath::Parse(std::string_view text) {
  const std::string whole(text);
  JsonPath path;
  if (!text.empty() && text.front() != '.' && text.front() != '[') path.steps_.emplace_back(TakeName(text));
  while (!text.empty()) {
    if (text.front() == '.') {
      text.remove_prefix(1);
      if (text.empty() && path.steps_.empty()) break;  // "." is the root
      if (!text.empty() && text.front() == '[') continue;
      std::string name = TakeName(text);
      if (name.empty()) return InvalidError("{}: a name is missing; {}", whole, kKnown);
      path.steps_.emplace_back(std::move(name));
      continue;
    }
    const std::string_view inside = TakeBrackets(text);
    std::int64_t index = 0;
    const char* const end = inside.data() + inside.size();
    if (inside == "*") {
      path.steps_.emplace_back(All());
    } else if (inside.size() > 1 && (inside.front() == '\'' || inside.front() == '"')) {
      path.steps_.emplace_back(std::string(inside.substr(1, inside.size() - 2)));
    } else if (const auto read = std::from_chars(inside.data(), end, index);
               !inside.empty() && read.ec == std::errc() && read.ptr == end) {
      path.steps_.emplace_back(index);
    } else {
      return InvalidError("{}: cannot read [{}]; {}", whole, inside, kKnown);
    }
  }
  return path;
}

std::vector<const Json*> JsonPath::Find(const Json& root) const {
  std::vector<const Json*> found{&root};
  for (const Step& step : steps_) {
    std::vector<const Json*> next;
    for (const Json* const value : found) {
      if (const auto* name = std::get_if<std::string>(&step)) {
        if (value->is_object() && value->contains(*name)) next.push_back(&value->at(*name));
      } else if (const auto* index = std::get_if<std::int64_t>(&step)) {
        const auto size = static_cast<std::int64_t>(value->size());
        const std::int64_t at = *index < 0 ? size + *index : *index;
        if (value->is_array() && at >= 0 && at < size) next.push_back(&value->at(static_cast<std::size_t>(at)));
      } else if (value->is_structured()) {
        for (const Json& one : *value) next.push_back(&one);
      }
    }
    found = std::move(next);
  }
  return found;
}

std::string ValuesText(const std::vector<const Json*>& values, std::string_view separator) {
  std::string text;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i != 0) text += separator;
    text += values[i]->is_string() ? values[i]->get<std::string>() : values[i]->dump();
  }
  return text;
}

StatusOr<JsonTemplate> JsonTemplate::Parse(std::string_view text) {
  JsonTemplate read;
  while (!text.empty()) {
    const std::size_t open = text.find('{');
    if (open != 0) read.parts_.emplace_back(std::string(text.substr(0, open)));
    if (open == std::string_view::npos) break;
    const bool is_string = text.size() > open + 1 && text[open + 1] == '"';
    const std::size_t close = is_string ? text.find("\"}", open + 2) : text.find('}', open);
    if (close == std::string_view::npos) return InvalidError("jsonpath {}: a brace is not closed", text.substr(open));
    if (is_string) {
      const auto string = Json::parse(text.substr(open + 1, close - open), nullptr, /*allow_exceptions=*/false);
      if (!string.is_string()) return InvalidError("jsonpath {}: not a string as in JSON", text.substr(open));
      read.parts_.emplace_back(string.get<std::string>());
    } else {
      SL_ASSIGN_OR_RETURN(JsonPath path, JsonPath::Parse(text.substr(open + 1, close - open - 1)));
      read.parts_.emplace_back(std::move(path));
    }
    text.remove_prefix(close + (is_string ? 2 : 1));
  }
  return read;
}

std::string JsonTemplate::Fill(const Json& root) const {
  std::string text;
  for (const auto& part : parts_) {
    const auto* path = std::get_if<JsonPath>(&part);
    text += path != nullptr ? ValuesText(path->Find(root), " ") : std::get<std::string>(part);
  }
  return text;
}

}  // namespace sluice::client
