#include "policy/rules/lexer.h"

#include <fmt/format.h>

#include "base/printable.h"

namespace sluice::policy::rules {
namespace {

bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\b'; }
bool IsAlpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool IsNumeral(char c) { return c >= '0' && c <= '9'; }
bool IsWordByte(char c) { return IsAlpha(c) || IsNumeral(c) || c == '_'; }
bool IsHex(char c) { return IsNumeral(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

// Blanks of the language's regular expressions: those of isspace(3), without "\b".
bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

std::size_t IdentifierLength(std::string_view text) {
  if (text.empty() || !IsAlpha(text.front())) return 0;
  std::size_t length = 1;
  while (length < text.size() && IsWordByte(text[length])) ++length;
  return length;
}

std::size_t DigitsLength(std::string_view text) {
  std::size_t length = 0;
  while (length < text.size() && IsNumeral(text[length])) ++length;
  return length;
}

// A sign, digits, a point, digits, and an exponent with its sign.
std::size_t DecimalLength(std::string_view text) {
  std::size_t length = !text.empty() && (text.front() == '+' || text.front() == '-') ? 1 : 0;
  const std::size_t whole = DigitsLength(text.substr(length));
  if (whole == 0) return 0;
  length += whole;
  if (length < text.size() && text[length] == '.') ++length;
  length += DigitsLength(text.substr(length));
  const std::string_view rest = text.substr(length);
  if (rest.size() > 2 && (rest[0] == 'e' || rest[0] == 'E') && (rest[1] == '+' || rest[1] == '-')) {
    const std::size_t digits = DigitsLength(rest.substr(2));
    if (digits > 0) length += 2 + digits;
  }
  return length;
}

std::size_t NumberLength(std::string_view text) {
  if (text.size() > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X') && IsHex(text[2])) {
    std::size_t length = 2;
    while (length < text.size() && IsHex(text[length])) ++length;
    return length;
  }
  return DecimalLength(text);
}

template <typename Is>
std::size_t LengthWhile(std::string_view text, Is is) {
  std::size_t length = 0;
  while (length < text.size() && is(text[length])) ++length;
  return length;
}

int HexValue(char c) { return IsNumeral(c) ? c - '0' : (c | 0x20) - 'a' + 10; }

// Adds what the escape at the start of `text`, after its "\", means. Returns its length, or 0.
std::size_t Unescape(std::string_view text, char quote, std::string& out, std::string& problem) {
  const char c = text.front();
  switch (c) {
    case 'b':
      return out += '\b', 1;
    case 'f':
      return out += '\f', 1;
    case 'n':
      return out += '\n', 1;
    case 'r':
      return out += '\r', 1;
    case 't':
      return out += '\t', 1;
    case ' ':  // old rules have "\ " where they mean "\\"
    case '\\':
      return out += '\\', 1;
    case '/':
      return out += '/', 1;
    case '"':
    case '\'':
      if (c == quote) return out += c, 1;
      problem = fmt::format("\\{} is no escape in a text in {} quotes", c, quote);
      return 0;
    case 'x':
      if (text.size() > 2 && IsHex(text[1]) && IsHex(text[2])) {
        return out += static_cast<char>(HexValue(text[1]) * 16 + HexValue(text[2])), 3;
      }
      problem = "\\x needs two hex digits";
      return 0;
    default:
      problem = fmt::format("there is no escape \\{}", Printable(std::string_view(&c, 1)));
      return 0;
  }
}

}  // namespace

std::string_view Lexer::Advance(std::size_t bytes) {
  const std::string_view taken = rest().substr(0, bytes);
  for (const char c : taken) {
    const bool new_line = c == '\n' || c == '\r';
    place_.line += new_line ? 1 : 0;
    place_.column = new_line ? 1 : place_.column + 1;
  }
  place_.offset += taken.size();
  return taken;
}

bool Lexer::SkipBlanks() { return !Advance(LengthWhile(rest(), IsBlank)).empty(); }

bool Lexer::Take(std::string_view word) {
  if (!rest().starts_with(word)) return false;
  Advance(word.size());
  return true;
}

bool Lexer::TakeWord(std::string_view word) {
  if (!rest().starts_with(word)) return false;
  const std::string_view after = rest().substr(word.size());
  if (!after.empty() && IsWordByte(after.front())) return false;
  return Take(word);
}

bool Lexer::TakeWordAndBlank(std::string_view word) {
  const TextPlace before = place_;
  if (Take(word) && SkipBlanks()) return true;
  place_ = before;
  return false;
}

std::optional<std::string> Lexer::TakeIdentifier() {
  const std::size_t length = IdentifierLength(rest());
  if (length == 0) return std::nullopt;
  return std::string(Advance(length));
}

std::optional<std::string> Lexer::TakeFieldName() {
  std::size_t length = IdentifierLength(rest());
  int parts = length == 0 ? 0 : 1;
  while (parts > 0 && length < rest().size() && rest()[length] == '.') {
    const std::size_t next = IdentifierLength(rest().substr(length + 1));
    if (next == 0) break;
    length += 1 + next;
    ++parts;
  }
  if (parts < 2) return std::nullopt;
  return std::string(Advance(length));
}

std::optional<std::string> Lexer::TakeBareText() {
  const std::size_t length = LengthWhile(
      rest(), [](char c) { return !IsSpace(c) && std::string_view("()\"'=,").find(c) == std::string_view::npos; });
  if (length == 0) return std::nullopt;
  return std::string(Advance(length));
}

std::optional<std::string> Lexer::TakeBareArgument() {
  const std::size_t length = LengthWhile(
      rest(), [](char c) { return !IsSpace(c) && std::string_view("[]\"'").find(c) == std::string_view::npos; });
  if (length == 0) return std::nullopt;
  return std::string(Advance(length));
}

std::optional<std::string> Lexer::TakeNumber() {
  const std::size_t length = NumberLength(rest());
  if (length == 0) return std::nullopt;
  return std::string(Advance(length));
}

std::optional<std::string> Lexer::TakeQuoted(std::string& problem) {
  const std::string_view text = rest();
  const char quote = text.front();
  std::string unquoted;
  for (std::size_t at = 1; at < text.size(); ++at) {
    if (text[at] == quote) {
      Advance(at + 1);
      return unquoted;
    }
    if (text[at] != '\\') {
      unquoted += text[at];
      continue;
    }
    if (at + 1 == text.size()) break;
    const std::size_t length = Unescape(text.substr(at + 1), quote, unquoted, problem);
    if (length == 0) {
      Advance(at);
      return std::nullopt;
    }
    at += length;
  }
  problem = "the text in quotes does not end";
  return std::nullopt;
}

}  // namespace sluice::policy::rules
