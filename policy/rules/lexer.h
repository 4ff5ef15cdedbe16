// The words of a condition, one after the other. For the parser of this directory.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "policy/rules/condition.h"

namespace sluice::policy::rules {

// Each Take... reads one word if it is next, and leaves the place as it was if it is not.
class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  const TextPlace& place() const { return place_; }
  void Return(const TextPlace& place) { place_ = place; }  // to an earlier place
  bool AtEnd() const { return place_.offset >= text_.size(); }
  std::string_view rest() const { return text_.substr(place_.offset); }

  bool SkipBlanks();  // whether there were any
  bool Take(std::string_view word);
  // The same for a word that ends there: no letter, digit or "_" follows.
  bool TakeWord(std::string_view word);
  // The same for a word that a blank must follow, which is read too.
  bool TakeWordAndBlank(std::string_view word);
  // "not" and all blanks after it, of which there must be one.
  bool TakeNot() { return TakeWordAndBlank("not"); }

  std::optional<std::string> TakeIdentifier();  // a letter, then letters, digits and "_"
  std::optional<std::string> TakeFieldName();   // two or more identifiers with "." between
  std::optional<std::string> TakeBareText();    // up to a blank, comma, quote, parenthesis or "="
  std::optional<std::string> TakeBareArgument();
  std::optional<std::string> TakeNumber();
  bool AtQuote() const { return !AtEnd() && (rest().front() == '"' || rest().front() == '\''); }
  // The text without its quotes and escapes. Absent: it does not end, or has a wrong escape; `problem` says what.
  std::optional<std::string> TakeQuoted(std::string& problem);

 private:
  std::string_view Advance(std::size_t bytes);

  std::string_view text_;
  TextPlace place_;
};

}  // namespace sluice::policy::rules
