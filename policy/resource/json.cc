#include "policy/resource/json.h"

#include <iterator>
#include <nlohmann/json.hpp>

namespace sluice::policy {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool IsOfNumber(char c) { return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E'; }

// The parser's position. nlohmann::json reports no places; but at each event it has read exactly up to the end of the
// value, or one character more after a number.
class Reading {
 public:
  Reading(std::string_view text, int line) : text_(text), line_(line) {}

  bool AtEnd() const { return at_ == text_.size(); }
  char Peek() const { return text_[at_]; }
  void Advance() { ++at_; }
  void SkipSpace() {
    while (!AtEnd() && IsSpace(Peek())) ++at_;
  }

  Place LastCharacter() { return PlaceOf(at_ - 1); }
  Place LastWord(std::size_t length) { return PlaceOf(at_ - length); }
  // The string starts at the nearest quote before that is not escaped.
  Place LastString() {
    std::size_t quote = at_ - 2;
    while (text_[quote] != '"' || IsEscaped(quote)) --quote;
    return PlaceOf(quote);
  }
  std::pair<Place, std::string> LastNumber() {
    std::size_t end = at_;
    if (!IsOfNumber(text_[end - 1])) --end;
    std::size_t begin = end;
    while (begin > 0 && IsOfNumber(text_[begin - 1])) --begin;
    return {PlaceOf(begin), std::string(text_.substr(begin, end - begin))};
  }

 private:
  bool IsEscaped(std::size_t at) const {
    std::size_t backslashes = 0;
    while (backslashes < at && text_[at - 1 - backslashes] == '\\') ++backslashes;
    return backslashes % 2 != 0;
  }

  // Callers ask in text order, so the text is read only once.
  Place PlaceOf(std::size_t at) {
    for (; counted_ < at; ++counted_) {
      if (text_[counted_] != '\n') continue;
      ++line_;
      line_start_ = counted_ + 1;
    }
    return {.line = line_, .column = static_cast<int>(at - line_start_) + 1};
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t counted_ = 0;
  std::size_t line_start_ = 0;
  int line_;
};

// The parser's input iterator. Copies share one position; an iterator without a Reading is the end.
class Character {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = char;

  explicit Character(Reading* reading = nullptr) : reading_(reading) {}
  char operator*() const { return reading_->Peek(); }
  Character& operator++() {
    reading_->Advance();
    return *this;
  }
  Character operator++(int) {
    const Character before = *this;
    ++*this;
    return before;
  }
  bool operator==(const Character& other) const { return IsEnd() == other.IsEnd(); }
  bool operator!=(const Character& other) const { return !(*this == other); }

 private:
  bool IsEnd() const { return reading_ == nullptr || reading_->AtEnd(); }
  Reading* reading_;
};

// Method names are those of nlohmann::json_sax.
class JsonEvents {
 public:
  JsonEvents(Reading& reading, TreeBuilder& builder) : reading_(reading), builder_(builder) {}

  bool null() { return Word("null", true); }
  bool boolean(bool value) { return Word(value ? "true" : "false", false); }
  bool number_integer(std::int64_t) { return Number(); }
  bool number_unsigned(std::uint64_t) { return Number(); }
  bool number_float(double, const std::string&) { return Number(); }
  bool string(std::string& value) {
    builder_.Scalar(reading_.LastString(), std::move(value), true);
    return true;
  }
  bool key(std::string& value) { return string(value); }
  static bool binary(std::vector<std::uint8_t>&) { return false; }
  bool start_object(std::size_t) {
    builder_.OpenMap(reading_.LastCharacter());
    return true;
  }
  bool end_object() {
    builder_.CloseMap();
    return true;
  }
  bool start_array(std::size_t) {
    builder_.OpenSequence(reading_.LastCharacter());
    return true;
  }
  bool end_array() {
    builder_.CloseSequence();
    return true;
  }
  static bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception&) { return false; }

 private:
  bool Word(std::string_view word, bool is_null) {
    const Place place = reading_.LastWord(word.size());
    if (is_null) {
      builder_.Null(place);
    } else {
      builder_.Scalar(place, std::string(word), false);
    }
    return true;
  }
  bool Number() {
    auto [place, text] = reading_.LastNumber();
    builder_.Scalar(place, std::move(text), false);
    return true;
  }

  Reading& reading_;
  TreeBuilder& builder_;
};

}  // namespace

bool ReadJson(std::string_view text, int line, TreeBuilder& builder, std::vector<TreeBuilder::Node>& documents) {
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  Reading reading(text, line);
  JsonEvents events(reading, builder);
  const TreeBuilder::Cost before = builder.cost();
  for (reading.SkipSpace(); !reading.AtEnd(); reading.SkipSpace()) {
    const bool is_collection = reading.Peek() == '{' || reading.Peek() == '[';
    builder.BeginDocument();
    if (!is_collection || !nlohmann::json::sax_parse(Character(&reading), Character(), &events,
                                                     nlohmann::json::input_format_t::json, false)) {
      documents.clear();
      builder.set_cost(before);
      return false;
    }
    documents.push_back(builder.TakeDocument());
  }
  return !documents.empty();
}

}  // namespace sluice::policy
