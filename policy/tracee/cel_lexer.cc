#include "policy/tracee/cel_lexer.h"

#include <cctype>
#include <utility>

namespace sluice::policy::tracee {
namespace {

class CelLexer {
 public:
  explicit CelLexer(std::string_view text) : text_(text) {}

  StatusOr<std::vector<CelToken>> Split() {
    std::vector<CelToken> tokens;
    while (true) {
      while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
      SL_ASSIGN_OR_RETURN(CelToken token, Next());
      tokens.push_back(std::move(token));
      if (tokens.back().kind == CelToken::Kind::kEnd) return tokens;
    }
  }

 private:
  static bool IsNamePart(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }
  static bool IsQuote(char c) { return c == '"' || c == '\''; }

  StatusOr<CelToken> Next() {
    const std::size_t begin = at_;
    if (begin == text_.size()) return CelToken{.kind = CelToken::Kind::kEnd, .text = "its end", .column = begin + 1};
    const char c = text_[begin];
    const bool is_raw = (c == 'r' || c == 'R') && begin + 1 < text_.size() && IsQuote(text_[begin + 1]);
    if (IsQuote(c) || is_raw) return Text(is_raw);
    if (IsNamePart(c)) {
      while (at_ < text_.size() && IsNamePart(text_[at_])) ++at_;
      const bool is_number = std::isdigit(static_cast<unsigned char>(c)) != 0;
      return CelToken{.kind = is_number ? CelToken::Kind::kNumber : CelToken::Kind::kName,
                      .text = std::string(text_.substr(begin, at_ - begin)),
                      .column = begin + 1};
    }
    for (const std::string_view sign : {"&&", "||", "==", "!=", "<=", ">="}) {
      if (text_.substr(begin).starts_with(sign)) {
        at_ += sign.size();
        return CelToken{.kind = CelToken::Kind::kSign, .text = std::string(sign), .column = begin + 1};
      }
    }
    ++at_;
    return CelToken{.kind = CelToken::Kind::kSign, .text = std::string(1, c), .column = begin + 1};
  }

  StatusOr<CelToken> Text(bool is_raw) {
    CelToken token{.kind = CelToken::Kind::kText, .text = "", .column = at_ + 1};
    if (is_raw) ++at_;
    const char quote = text_[at_++];
    while (at_ < text_.size() && text_[at_] != quote) {
      char c = text_[at_++];
      if (c == '\\' && !is_raw) {
        const char escaped = at_ < text_.size() ? text_[at_++] : '\0';
        constexpr std::string_view kEscapes = "\\\"'ntr";
        constexpr std::string_view kMeanings = "\\\"'\n\t\r";
        const std::size_t known = kEscapes.find(escaped);
        if (escaped == '\0' || known == std::string_view::npos)
          return CelErrorAt(at_, "this escape in a text is not known here");
        c = kMeanings[known];
      }
      token.text += c;
    }
    if (at_ == text_.size()) return CelErrorAt(token.column, "the text has no end");
    ++at_;
    return token;
  }

  const std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

Status CelErrorAt(std::size_t column, std::string_view what) { return InvalidError("column {}: {}", column, what); }

StatusOr<std::vector<CelToken>> SplitCel(std::string_view expression) { return CelLexer(expression).Split(); }

}  // namespace sluice::policy::tracee
