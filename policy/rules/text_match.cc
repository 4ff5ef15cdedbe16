#include "policy/rules/text_match.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/printable.h"

namespace sluice::policy::rules {
namespace {

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsPrintable(char c) { return c >= ' ' && c <= '~'; }

// As isalpha(3) and the others in the C locale. Absent: there is no such class.
std::optional<bool> IsOfClass(std::string_view name, char c) {
  if (name == "alpha") return IsLetter(c);
  if (name == "digit") return IsDigit(c);
  if (name == "alnum") return IsLetter(c) || IsDigit(c);
  if (name == "upper") return c >= 'A' && c <= 'Z';
  if (name == "lower") return c >= 'a' && c <= 'z';
  if (name == "space") return c == ' ' || (c >= '\t' && c <= '\r');
  if (name == "blank") return c == ' ' || c == '\t';
  if (name == "punct") return IsPrintable(c) && c != ' ' && !IsLetter(c) && !IsDigit(c);
  if (name == "print") return IsPrintable(c);
  if (name == "graph") return IsPrintable(c) && c != ' ';
  if (name == "cntrl") return (c >= 0 && c < ' ') || c == 0x7f;
  if (name == "xdigit") return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
  return std::nullopt;
}

// What a "[...]" says about one byte.
struct BracketMatch {
  std::size_t end = 0;  // offset after the "]"; 0: there is none, so that the "[" is itself
  bool matches = false;
};

class Bracket {
 public:
  Bracket(std::string_view pattern, std::size_t begin, char c, bool fold)
      : pattern_(pattern), at_(begin), c_(fold ? Fold(c) : c), fold_(fold) {}

  BracketMatch Match() {
    const bool negated = Peek() == '!' || Peek() == '^';
    if (negated) ++at_;
    for (bool first = true; at_ < pattern_.size(); first = false) {
      if (pattern_[at_] == ']' && !first) return {.end = at_ + 1, .matches = valid_ && matches_ != negated};
      // The pattern ends within a range or an escape: fnmatch(3) says that it matches nothing.
      if (!ReadOne()) return {.end = pattern_.size(), .matches = false};
    }
    return {};
  }

 private:
  char Peek() const { return at_ < pattern_.size() ? pattern_[at_] : '\0'; }

  // One class, byte or range. False: the pattern ends.
  bool ReadOne() {
    if (pattern_.substr(at_).starts_with("[:")) {
      const std::size_t end = pattern_.find(":]", at_ + 2);
      if (end != std::string_view::npos) {
        const auto is = IsOfClass(pattern_.substr(at_ + 2, end - at_ - 2), c_);
        if (!is) valid_ = false;  // fnmatch(3) lets the whole pattern match nothing
        matches_ = matches_ || is.value_or(false);
        at_ = end + 2;
        return true;
      }
    }
    const auto low = ReadByte();
    if (!low) return false;
    char high = *low;
    if (Peek() == '-' && pattern_.substr(at_ + 1, 1) != "]") {
      ++at_;
      const auto last = ReadByte();
      if (!last) return false;
      high = *last;
    }
    const auto byte = [](char value) { return static_cast<unsigned char>(value); };
    matches_ = matches_ || (byte(*low) <= byte(c_) && byte(c_) <= byte(high));
    return true;
  }

  std::optional<char> ReadByte() {
    if (Peek() == '\\') ++at_;
    if (at_ >= pattern_.size()) return std::nullopt;
    const char c = pattern_[at_++];
    return fold_ ? Fold(c) : c;
  }

  std::string_view pattern_;
  std::size_t at_;
  char c_;
  bool fold_;
  bool matches_ = false;
  bool valid_ = true;
};

// Matches one element of the pattern that is no "*". Returns the offset after it, or 0.
std::size_t MatchOne(std::string_view pattern, std::size_t at, char c, bool fold) {
  const char p = pattern[at];
  if (p == '?') return at + 1;
  if (p == '[') {
    const BracketMatch bracket = Bracket(pattern, at + 1, c, fold).Match();
    if (bracket.end != 0) return bracket.matches ? bracket.end : 0;
  }
  const bool quoted = p == '\\';
  if (quoted && at + 1 == pattern.size()) return 0;
  const char literal = quoted ? pattern[at + 1] : p;
  const bool equal = fold ? Fold(literal) == Fold(c) : literal == c;
  return equal ? at + (quoted ? 2 : 1) : 0;
}

}  // namespace

char Fold(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Only the last "*" is tried at more than one place: what an earlier one could take more, the last one can take too.
bool MatchesGlob(std::string_view pattern, std::string_view text, bool fold) {
  std::size_t p = 0, t = 0;
  std::size_t star = std::string_view::npos, star_text = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = ++p;
      star_text = t;
      continue;
    }
    const std::size_t next = p < pattern.size() ? MatchOne(pattern, p, text[t], fold) : 0;
    if (next != 0) {
      p = next;
      ++t;
      continue;
    }
    if (star == std::string_view::npos) return false;
    p = star;
    t = ++star_text;
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool ContainsFolded(std::string_view text, std::string_view part) {
  return std::search(text.begin(), text.end(), part.begin(), part.end(),
                     [](char a, char b) { return Fold(a) == Fold(b); }) != text.end() ||
         part.empty();
}

std::string Folded(std::string_view text) {
  std::string folded(text);
  std::transform(folded.begin(), folded.end(), folded.begin(), Fold);
  return folded;
}

std::string ValidUtf8(std::string_view text) {
  std::string valid;
  valid.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = Utf8Length(text);
    valid.append(length == 0 ? std::string_view("\xef\xbf\xbd") : text.substr(0, length));
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return valid;
}

}  // namespace sluice::policy::rules
