#include "base/printable.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice {
namespace {

struct Range {
  char32_t first, last;
};

// Unicode's Cc, the line and paragraph separators, and the characters of Cf and of the other default-ignorable ones
// that reorder or hide text (UAX #9, UTS #39).
constexpr Range kHidden[] = {{0x00, 0x1f},       {0x7f, 0x9f},       {0xad, 0xad},      {0x34f, 0x34f},
                             {0x61c, 0x61c},     {0x115f, 0x1160},   {0x17b4, 0x17b5},  {0x180b, 0x180f},
                             {0x200b, 0x200f},   {0x2028, 0x202e},   {0x2060, 0x206f},  {0x3164, 0x3164},
                             {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},   {0xffa0, 0xffa0},  {0xfff0, 0xfffb},
                             {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff}};

bool IsIn(unsigned char byte, unsigned char low, unsigned char high) { return byte >= low && byte <= high; }

char32_t Decode(std::string_view character) {
  const auto lead = static_cast<unsigned char>(character.front());
  if (character.size() == 1) return lead;
  char32_t code = lead & (0x7fU >> character.size());
  for (const char c : character.substr(1)) code = (code << 6U) | (static_cast<unsigned char>(c) & 0x3fU);
  return code;
}

std::string Escape(char32_t character, bool byte) {
  const auto code = static_cast<std::uint32_t>(character);
  if (byte || code < 0x80) return fmt::format("\\x{:02x}", code);
  return code > 0xffff ? fmt::format("\\U{:08x}", code) : fmt::format("\\u{:04x}", code);
}

// Visits each character; a byte that is not part of one has `valid` false.
template <typename Visit>
void ForEachCharacter(std::string_view text, const Visit& visit) {
  while (!text.empty()) {
    const std::size_t length = Utf8Length(text);
    visit(text.substr(0, std::max<std::size_t>(length, 1)), length != 0);
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
}

std::string Shown(std::string_view character, bool valid) {
  if (!valid) return Escape(static_cast<unsigned char>(character.front()), true);
  return IsHidden(Decode(character)) ? Escape(Decode(character), false) : std::string(character);
}

std::string Escaped(std::string_view text, bool lines) {
  std::string out;
  out.reserve(text.size());
  ForEachCharacter(text, [&](std::string_view character, bool valid) {
    out += lines && character == "\n" ? "\n" : Shown(character, valid);
  });
  return out;
}

}  // namespace

std::size_t Utf8Length(std::string_view text) {
  const auto at = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const unsigned char first = at(0);
  if (text.empty()) return 0;
  if (first < 0x80) return 1;
  const std::size_t length = IsIn(first, 0xc2, 0xdf)   ? 2
                             : IsIn(first, 0xe0, 0xef) ? 3
                             : IsIn(first, 0xf0, 0xf4) ? 4
                                                       : 0;
  const unsigned char low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  const unsigned char high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  if (length == 0 || !IsIn(at(1), low, high)) return 0;
  for (std::size_t i = 2; i < length; ++i) {
    if (!IsIn(at(i), 0x80, 0xbf)) return 0;
  }
  return length;
}

bool IsHidden(char32_t character) {
  return std::any_of(std::begin(kHidden), std::end(kHidden),
                     [&](const Range& range) { return character >= range.first && character <= range.last; });
}

std::string Printable(std::string_view text) { return Escaped(text, false); }

std::string PrintableLines(std::string_view text) { return Escaped(text, true); }

std::string PrintableWord(std::string_view word) {
  std::string out;
  bool quote = word.empty();
  ForEachCharacter(word, [&](std::string_view character, bool valid) {
    if (character == "\"" || character == "\\") {
      out += '\\';
      out += character;
      quote = true;
      return;
    }
    const std::string shown = Shown(character, valid);
    quote |= character == " " || shown != character;
    out += shown;
  });
  return quote ? '"' + out + '"' : out;
}

std::string PrintableJson(std::string_view json) {
  std::string out;
  out.reserve(json.size());
  ForEachCharacter(json, [&](std::string_view character, bool valid) {
    auto code = valid ? static_cast<std::uint32_t>(Decode(character)) : 0;
    if (code < 0x7f || !IsHidden(code)) {
      out += character;
    } else if (code <= 0xffff) {
      out += fmt::format("\\u{:04x}", code);
    } else {
      code -= 0x10000;
      out += fmt::format("\\u{:04x}\\u{:04x}", 0xd800 + (code >> 10U), 0xdc00 + (code & 0x3ffU));
    }
  });
  return out;
}

}  // namespace sluice
