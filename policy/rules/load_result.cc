#include "policy/rules/load_result.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/printable.h"

namespace sluice::policy::rules {
namespace {

constexpr std::size_t kSnippetHalf = 80;  // bytes before and after the place

}  // namespace

Context Context::Inside(std::string_view type, std::string name, const Place& place) const {
  Context inside = *this;
  inside.locations.push_back({.type = type, .name = std::move(name), .place = place});
  return inside;
}

std::string LoadMessage::ToString() const {
  std::string subject;
  for (const Location& location : context.locations) {
    const bool is_item = location.type == "rule" || location.type == "macro" || location.type == "list";
    if (is_item && !location.name.empty()) subject = fmt::format("{} '{}': ", location.type, location.name);
  }
  const Place& place = context.place();
  const std::string at = place.line > 0 ? fmt::format(":{}:{}", place.line, place.column) : "";
  return Printable(fmt::format("{}{}: {}{}: {}", context.file, at, subject, code, what));
}

std::string SnippetOf(std::string_view text, std::size_t offset) {
  if (text.empty()) return "";
  offset = std::min(offset, text.size());
  // A place at the end of a line, or of the file, is about what is before it.
  while (offset > 0 && (offset == text.size() || text[offset] == '\n')) --offset;
  const std::size_t line_begin = text.rfind('\n', offset == 0 ? 0 : offset - 1);
  std::size_t begin = line_begin == std::string_view::npos || text[offset] == '\n' ? 0 : line_begin + 1;
  if (begin > offset) begin = 0;
  begin = std::max(begin, offset > kSnippetHalf ? offset - kSnippetHalf : 0);
  const std::size_t line_end = std::min(text.find('\n', offset), text.size());
  const std::size_t end = std::min(line_end, offset + kSnippetHalf);
  // Tabs and hidden bytes must not move the mark.
  std::string line(text.substr(begin, end - begin));
  for (char& c : line) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < ' ' || byte >= 0x7f) c = byte == '\t' ? ' ' : '?';
  }
  return line + "\n" + std::string(offset - begin, ' ') + "^";
}

std::size_t OffsetOf(std::string_view text, const Place& place) {
  std::size_t offset = 0;
  for (int line = 1; line < place.line; ++line) {
    const std::size_t end = text.find('\n', offset);
    if (end == std::string_view::npos) return text.size();
    offset = end + 1;
  }
  return std::min(offset + static_cast<std::size_t>(std::max(place.column - 1, 0)), text.size());
}

}  // namespace sluice::policy::rules
