#include "policy/lsm/path_pattern.h"

#include <algorithm>
#include <iterator>

#include "policy/lsm/limits.h"

namespace sluice::policy::lsm {
namespace {

using Element = PathPattern::Element;
using Alternative = PathPattern::Alternative;

std::bitset<256> Only(char c) { return std::bitset<256>().set(static_cast<unsigned char>(c)); }
std::bitset<256> AllButSlash() { return std::bitset<256>().set().reset('\0').reset('/'); }
std::bitset<256> All() { return std::bitset<256>().set().reset('\0'); }

bool IsSlash(const Element& element) { return !element.run && element.bytes == Only('/'); }

class PatternReader {
 public:
  explicit PatternReader(std::string_view text) : text_(text) {}

  StatusOr<std::vector<Alternative>> Read() {
    SL_ASSIGN_OR_RETURN(auto alternatives, ReadSequence());
    if (at_ < text_.size())
      return InvalidError("\"}}\" has no \"{{\" before it: write \"\\}}\" for the character itself");
    return alternatives;
  }

 private:
  bool AtEnd() const { return at_ == text_.size() || text_[at_] == '}' || (depth_ > 0 && text_[at_] == ','); }

  // Up to the end, or inside braces up to "," or "}".
  StatusOr<std::vector<Alternative>> ReadSequence() {
    std::vector<Alternative> alternatives(1);
    while (!AtEnd()) {
      std::vector<Alternative> next;
      if (text_[at_] == '{') {
        SL_ASSIGN_OR_RETURN(next, ReadBraces());
      } else {
        SL_ASSIGN_OR_RETURN(const Element element, ReadElement());
        next.push_back({element});
      }
      SL_ASSIGN_OR_RETURN(alternatives, Joined(alternatives, next));
    }
    return alternatives;
  }

  // Each of `first` with each of `second` after it.
  static StatusOr<std::vector<Alternative>> Joined(const std::vector<Alternative>& first,
                                                   const std::vector<Alternative>& second) {
    if (first.size() * second.size() > kMaxAlternatives) {
      return InvalidError("its braces stand for more than {} patterns: write several rules", kMaxAlternatives);
    }
    std::vector<Alternative> joined;
    for (const Alternative& begin : first) {
      for (const Alternative& end : second) {
        joined.push_back(begin);
        joined.back().insert(joined.back().end(), end.begin(), end.end());
      }
    }
    return joined;
  }

  StatusOr<std::vector<Alternative>> ReadBraces() {
    ++at_;
    ++depth_;
    std::vector<Alternative> all;
    for (;;) {
      SL_ASSIGN_OR_RETURN(auto some, ReadSequence());
      all.insert(all.end(), std::make_move_iterator(some.begin()), std::make_move_iterator(some.end()));
      if (at_ == text_.size()) return InvalidError("\"{{\" has no \"}}\" after it");
      if (text_[at_++] == '}') break;
    }
    --depth_;
    return all;
  }

  StatusOr<Element> ReadElement() {
    const char c = text_[at_++];
    switch (c) {
      case '?':
        return Element{.bytes = AllButSlash()};
      case '*': {
        const bool deep = at_ < text_.size() && text_[at_] == '*';
        while (at_ < text_.size() && text_[at_] == '*') ++at_;
        return Element{.bytes = deep ? All() : AllButSlash(), .run = true};
      }
      case '[':
        return ReadClass();
      case '\\':
        if (at_ == text_.size()) return InvalidError("ends with \"\\\", which needs a character after it");
        return Element{.bytes = Only(text_[at_++])};
      default:
        return Element{.bytes = Only(c)};
    }
  }

  StatusOr<Element> ReadClass() {
    const bool negated = at_ < text_.size() && text_[at_] == '^';
    if (negated) ++at_;
    Element element;
    for (bool first = true;; first = false) {
      if (at_ == text_.size()) return InvalidError("\"[\" has no \"]\" after it");
      const char c = text_[at_++];
      if (c == ']' && !first) break;
      const bool range = at_ + 1 < text_.size() && text_[at_] == '-' && text_[at_ + 1] != ']';
      const char last = range ? text_[at_ + 1] : c;
      if (range) at_ += 2;
      const auto from = static_cast<unsigned char>(c), to = static_cast<unsigned char>(last);
      if (from > to) return InvalidError("the range \"{}-{}\" is reversed", c, last);
      for (unsigned byte = from; byte <= to; ++byte) element.bytes.set(byte);
    }
    if (negated) element.bytes = ~element.bytes & All();
    return element;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t depth_ = 0;
};

// A component of a path is not empty: "/*/" and "/**" stand for something.
void FillComponents(Alternative& alternative) {
  for (std::size_t i = 0; i < alternative.size(); ++i) {
    const bool begins = i > 0 && IsSlash(alternative[i - 1]);
    const bool ends = i + 1 == alternative.size() || IsSlash(alternative[i + 1]);
    alternative[i].at_least_one = alternative[i].run && begins && ends;
  }
}

std::size_t LiteralBytes(const Alternative& alternative) {
  const auto end = std::find_if(alternative.begin(), alternative.end(),
                                [](const Element& element) { return element.run || element.bytes.count() != 1; });
  return static_cast<std::size_t>(end - alternative.begin());
}

bool AlternativeMatches(const Alternative& alternative, std::string_view path) {
  // reached[i]: the elements read so far match the first i bytes of the path.
  std::vector<bool> reached(path.size() + 1);
  reached[0] = true;
  for (const Element& element : alternative) {
    std::vector<bool> next(reached.size());
    if (element.run && !element.at_least_one) next = reached;
    for (std::size_t i = 0; i < path.size(); ++i) {
      const bool fits = element.bytes[static_cast<unsigned char>(path[i])];
      if (fits && (reached[i] || (element.run && next[i]))) next[i + 1] = true;
    }
    reached = std::move(next);
  }
  return reached.back();
}

// Every element up to the first one that takes a byte, which must take the path's "/".
bool CanBeginWithSlash(const Alternative& alternative) {
  for (const Element& element : alternative) {
    if (element.bytes['/']) return true;
    if (!element.run || element.at_least_one) return false;
  }
  return false;
}

}  // namespace

StatusOr<PathPattern> PathPattern::Parse(std::string_view text) {
  if (text.empty()) return InvalidError("is empty, and would match nothing");
  if (text.size() > kMaxPatternBytes) {
    return InvalidError("{} bytes: at most {} are possible", text.size(), kMaxPatternBytes);
  }
  PathPattern pattern;
  pattern.text_ = text;
  SL_ASSIGN_OR_RETURN(pattern.alternatives_, PatternReader(text).Read());
  pattern.literal_bytes_ = text.size();
  for (Alternative& alternative : pattern.alternatives_) {
    FillComponents(alternative);
    const auto runs = std::count_if(alternative.begin(), alternative.end(), [](const Element& e) { return e.run; });
    if (static_cast<std::size_t>(runs) > kMaxRuns) return InvalidError("has more than {} \"*\"", kMaxRuns);
    pattern.literal_bytes_ = std::min(pattern.literal_bytes_, LiteralBytes(alternative));
  }
  return pattern;
}

bool PathPattern::Matches(std::string_view path) const {
  return std::any_of(alternatives_.begin(), alternatives_.end(),
                     [&](const Alternative& alternative) { return AlternativeMatches(alternative, path); });
}

bool PathPattern::CanMatch() const {
  return std::any_of(alternatives_.begin(), alternatives_.end(), CanBeginWithSlash);
}

}  // namespace sluice::policy::lsm
