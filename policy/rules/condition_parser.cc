#include "policy/rules/condition_parser.h"

#include <fmt/format.h>

#include "base/printable.h"
#include "policy/rules/lexer.h"

namespace sluice::policy::rules {
namespace {

// The grammar, one function for each rule of it. After the first problem, `error_` is set and nothing more is read.
class Parser {
 public:
  Parser(std::string_view text, const std::string& macro) : lexer_(text) {
    if (!macro.empty()) origin_ = std::make_shared<std::string>(macro);
  }

  std::variant<ConditionPtr, ConditionError> ParseAll() {
    ConditionPtr root = ParseOr();
    if (root != nullptr && !lexer_.AtEnd()) {
      Fail(fmt::format("\"and\", \"or\" or the end should be here, and not {}", NextWord()));
    }
    if (error_) return *error_;
    return root;
  }

  std::variant<Operand, ConditionError> ParseValue(std::size_t& used) {
    std::optional<Operand> operand = TryFieldOrTransform(false);
    if (!operand) Fail("a field should be here");
    if (error_) return *error_;
    used = lexer_.place().offset;
    return *std::move(operand);
  }

 private:
  // Counts how deep the rules of the grammar are nested.
  class Level {
   public:
    explicit Level(Parser& parser) : parser_(parser) {
      if (++parser_.depth_ >= kMaxConditionDepth) parser_.Fail("the condition is nested too deeply");
    }
    ~Level() { --parser_.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    Parser& parser_;
  };

  std::nullptr_t Fail(std::string what) {
    if (!error_) error_ = ConditionError{.what = std::move(what), .place = lexer_.place()};
    return nullptr;
  }

  std::string NextWord() const {
    std::string_view rest = lexer_.rest();
    rest.remove_prefix(std::min(rest.find_first_not_of(" \t\r\n"), rest.size()));
    if (rest.empty()) return "the end";
    return PrintableWord(rest.substr(0, std::min<std::size_t>(rest.find_first_of(" \t\r\n"), 30)));
  }

  // Parts with `word` between. A blank or a parenthesis must follow the word.
  template <typename ParsePart>
  ConditionPtr ParseJoined(Condition::Kind kind, std::string_view word, ParsePart parse_part) {
    const Level level(*this);
    if (error_) return nullptr;
    const TextPlace place = lexer_.place();
    std::vector<ConditionPtr> parts;
    lexer_.SkipBlanks();
    parts.push_back(parse_part());
    while (!error_) {
      lexer_.SkipBlanks();
      if (!lexer_.Take(word)) break;
      if (lexer_.SkipBlanks()) {
        parts.push_back(parse_part());
      } else if (lexer_.Take("(")) {
        parts.push_back(ParseRestOfParentheses());
      } else {
        return Fail(fmt::format("a blank or \"(\" should follow \"{}\", and not {}", word, NextWord()));
      }
    }
    if (error_) return nullptr;
    return parts.size() == 1 ? parts.front() : JoinParts(kind, std::move(parts), place);
  }

  ConditionPtr ParseOr() {
    return ParseJoined(Condition::Kind::kOr, "or", [this] { return ParseAnd(); });
  }

  ConditionPtr ParseAnd() {
    return ParseJoined(Condition::Kind::kAnd, "and", [this] { return ParseNot(); });
  }

  ConditionPtr ParseNot() {
    const Level level(*this);
    if (error_) return nullptr;
    lexer_.SkipBlanks();
    const TextPlace place = lexer_.place();
    bool negated = false;
    while (lexer_.TakeNot()) negated = !negated;
    ConditionPtr part;
    if (lexer_.Take("not(")) {
      negated = !negated;
      part = ParseRestOfParentheses();
    } else {
      part = ParseCheck();
    }
    if (error_ || !negated) return part;
    return JoinParts(Condition::Kind::kNot, {std::move(part)}, place);
  }

  ConditionPtr ParseRestOfParentheses() {
    const Level level(*this);
    if (error_) return nullptr;
    ConditionPtr inner = ParseOr();
    if (error_) return nullptr;
    lexer_.SkipBlanks();
    if (!lexer_.Take(")")) return Fail(fmt::format("\")\" should be here, and not {}", NextWord()));
    return inner;
  }

  ConditionPtr ParseCheck() {
    const Level level(*this);
    if (error_) return nullptr;
    lexer_.SkipBlanks();
    if (lexer_.Take("(")) return ParseRestOfParentheses();
    auto node = std::make_shared<Condition>();
    node->place = lexer_.place();
    node->origin = origin_;
    if (std::optional<Operand> left = TryFieldOrTransform(false)) {
      node->kind = Condition::Kind::kCheck;
      node->check.left = *std::move(left);
      if (!ParseComparison(node->check)) return nullptr;
      return node;
    }
    if (error_) return nullptr;
    if (std::optional<std::string> macro = lexer_.TakeIdentifier()) {
      node->kind = Condition::Kind::kMacro;
      node->macro = *std::move(macro);
      return node;
    }
    return Fail(fmt::format("a field, a macro or \"(\" should be here, and not {}", NextWord()));
  }

  // What follows the first operand of a check.
  bool ParseComparison(Check& check) {
    lexer_.SkipBlanks();
    const std::optional<Operator> op = TakeOperator();
    if (!op) {
      Fail(fmt::format("an operator should be here, and not {}", NextWord()));
      return false;
    }
    check.op = *op;
    switch (InfoOf(*op).right) {
      case RightSide::kNothing:
        return true;
      case RightSide::kNumber:
        return ParseRight(check, [this] { return TakeNumber(); });
      case RightSide::kText:
        if (TakeModifier(check.modifier)) return ParseList(check);
        return ParseRight(check, [this] { return TakeText(); });
      case RightSide::kList:
        lexer_.SkipBlanks();
        if (lexer_.rest().starts_with('(')) return ParseList(check);
        return ParseRight(check, [this] { return TakeListName(); });
    }
    return false;
  }

  std::optional<Operator> TakeOperator() {
    if (lexer_.TakeWord("exists")) return Operator::kExists;
    if (lexer_.Take("==") || lexer_.Take("=")) return Operator::kEqual;
    // Longer ones first: "<=" before "<", and "intersects" before "in".
    for (const Operator op :
         {Operator::kLessEqual, Operator::kLess, Operator::kGreaterEqual, Operator::kGreater, Operator::kNotEqual}) {
      if (lexer_.Take(InfoOf(op).name)) return op;
    }
    for (const OperatorInfo& info : kOperators) {
      if (info.right == RightSide::kText && lexer_.TakeWordAndBlank(info.name)) return info.op;
      if (info.right == RightSide::kList && lexer_.TakeWord(info.name)) return info.op;
    }
    return std::nullopt;
  }

  // A modifier is one only before a list: `proc.name = anyof` compares with a text.
  bool TakeModifier(Modifier& modifier) {
    const TextPlace before = lexer_.place();
    lexer_.SkipBlanks();
    for (const ModifierInfo& info : kModifiers) {
      if (lexer_.TakeWordAndBlank(info.name)) modifier = info.modifier;
    }
    if (modifier != Modifier::kNone && ListFollows()) return true;
    modifier = Modifier::kNone;
    lexer_.Return(before);
    return false;
  }

  bool ListFollows() {
    if (lexer_.rest().starts_with('(')) return true;
    const TextPlace before = lexer_.place();
    const std::optional<std::string> word = lexer_.TakeIdentifier();
    lexer_.Return(before);
    return word && *word != "and" && *word != "or" && *word != "not";
  }

  // A field or a function, or else what `take` takes.
  template <typename TakeOne>
  bool ParseRight(Check& check, TakeOne take) {
    lexer_.SkipBlanks();
    check.right_place = lexer_.place();
    check.right = TryFunction(true);
    if (error_ || check.right) return !error_;
    std::optional<std::string> text = take();
    if (!text) return false;
    check.texts = {*std::move(text)};
    return true;
  }

  std::optional<std::string> TakeNumber() {
    std::optional<std::string> number = lexer_.TakeNumber();
    if (!number) Fail(fmt::format("a number or val(FIELD) should be here, and not {}", NextWord()));
    return number;
  }

  std::optional<std::string> TakeQuotedText() {
    std::string problem;
    std::optional<std::string> text = lexer_.TakeQuoted(problem);
    if (!text) Fail(std::move(problem));
    return text;
  }

  std::optional<std::string> TakeText() {
    if (lexer_.AtQuote()) return TakeQuotedText();
    std::optional<std::string> text = lexer_.TakeBareText();
    if (!text) Fail(fmt::format("a text or val(FIELD) should be here, and not {}", NextWord()));
    return text;
  }

  // A name without parentheses is a list that nothing defines: it stands for itself.
  std::optional<std::string> TakeListName() {
    std::optional<std::string> name = lexer_.TakeIdentifier();
    if (!name) Fail(fmt::format("a list in parentheses should be here, and not {}", NextWord()));
    return name;
  }

  bool ParseList(Check& check) {
    lexer_.SkipBlanks();
    check.right_place = lexer_.place();
    if (!lexer_.Take("(")) {
      std::optional<std::string> name = TakeListName();
      if (!name) return false;
      check.texts = {*std::move(name)};
      return true;
    }
    lexer_.SkipBlanks();
    if (lexer_.Take(")")) return true;
    do {
      lexer_.SkipBlanks();
      std::optional<std::string> text = TakeText();
      if (!text) return false;
      check.texts.push_back(*std::move(text));
      lexer_.SkipBlanks();
    } while (lexer_.Take(","));
    if (lexer_.Take(")")) return true;
    Fail(fmt::format("\",\" or \")\" should be here, and not {}", NextWord()));
    return false;
  }

  // Absent: neither is next, or `error_` is set. `to_right`: val(FIELD) is possible.
  std::optional<Operand> TryFieldOrTransform(bool to_right) {
    const TextPlace place = lexer_.place();
    if (std::optional<std::string> name = lexer_.TakeFieldName()) {
      Operand field{.kind = Operand::Kind::kField, .name = *std::move(name), .place = place};
      if (!TakeArgument(field.argument)) return std::nullopt;
      return field;
    }
    return TryFunction(to_right);
  }

  std::optional<Operand> TryFunction(bool to_right) {
    for (const TransformInfo& info : kTransforms) {
      if (info.transform == Transform::kValue && !to_right) continue;
      const TextPlace place = lexer_.place();
      if (!lexer_.Take(info.name)) continue;
      if (lexer_.Take("(")) return ParseFunction(info, place);
      lexer_.Return(place);
    }
    return std::nullopt;
  }

  // What follows "NAME(".
  std::optional<Operand> ParseFunction(const TransformInfo& info, const TextPlace& place) {
    const Level level(*this);
    Operand function{.kind = Operand::Kind::kTransform, .transform = info.transform, .place = place};
    do {
      if (error_) return std::nullopt;
      lexer_.SkipBlanks();
      std::optional<Operand> value = ParseFunctionValue(info.transform == Transform::kValue, false);
      if (!value) return std::nullopt;
      function.values.push_back(*std::move(value));
      lexer_.SkipBlanks();
    } while (info.transform != Transform::kValue && lexer_.Take(","));
    if (!lexer_.Take(")")) {
      Fail(fmt::format("\")\" should close {}(, and not {}", info.name, NextWord()));
      return std::nullopt;
    }
    if (!TakeArgument(function.argument)) return std::nullopt;
    return function;
  }

  std::optional<Operand> ParseFunctionValue(bool field_only, bool in_list) {
    const TextPlace place = lexer_.place();
    if (std::optional<Operand> operand = TryFieldOrTransform(false); operand || error_) return operand;
    if (!field_only) {
      if (lexer_.AtQuote()) {
        std::optional<std::string> text = TakeQuotedText();
        if (!text) return std::nullopt;
        return Operand{.kind = Operand::Kind::kText, .text = *std::move(text), .place = place};
      }
      if (std::optional<std::string> number = lexer_.TakeNumber()) {
        return Operand{.kind = Operand::Kind::kText, .text = *std::move(number), .place = place};
      }
      if (!in_list && lexer_.Take("(")) return ParseFunctionList(place);
    }
    Fail(fmt::format("a field{} should be here, and not {}", field_only ? "" : ", a text in quotes or a number",
                     NextWord()));
    return std::nullopt;
  }

  std::optional<Operand> ParseFunctionList(const TextPlace& place) {
    Operand list{.kind = Operand::Kind::kList, .place = place};
    lexer_.SkipBlanks();
    if (lexer_.Take(")")) return list;
    do {
      lexer_.SkipBlanks();
      std::optional<Operand> value = ParseFunctionValue(false, true);
      if (!value) return std::nullopt;
      list.values.push_back(*std::move(value));
      lexer_.SkipBlanks();
    } while (lexer_.Take(","));
    if (lexer_.Take(")")) return list;
    Fail(fmt::format("\",\" or \")\" should be here, and not {}", NextWord()));
    return std::nullopt;
  }

  // False: there is "[" and something is wrong.
  bool TakeArgument(std::optional<std::string>& argument) {
    if (!lexer_.Take("[")) return true;
    if (lexer_.AtQuote()) {
      argument = TakeQuotedText();
      if (!argument) return false;
    } else {
      argument = lexer_.TakeBareArgument();
    }
    if (!argument) {
      Fail(fmt::format("an argument should be in the brackets, and not {}", NextWord()));
      return false;
    }
    if (lexer_.Take("]")) return true;
    Fail(fmt::format("\"]\" should be here, and not {}", NextWord()));
    return false;
  }

  Lexer lexer_;
  std::shared_ptr<const std::string> origin_;
  int depth_ = 0;
  std::optional<ConditionError> error_;
};

}  // namespace

std::variant<ConditionPtr, ConditionError> ParseCondition(std::string_view text, const std::string& macro) {
  if (text.empty()) return ConditionError{.what = "the condition is empty"};
  if (text.size() > kMaxConditionBytes) {
    return ConditionError{
        .what = fmt::format("the condition has {} bytes: at most {} are possible", text.size(), kMaxConditionBytes)};
  }
  return Parser(text, macro).ParseAll();
}

std::variant<Operand, ConditionError> ParseOperand(std::string_view text, std::size_t& used) {
  return Parser(text, "").ParseValue(used);
}

}  // namespace sluice::policy::rules
