// Many substrings in one pass over a text (Aho and Corasick's automaton). Immutable once built; thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::policy::rules {

class SubstringSearch {
 public:
  // With `fold`, ASCII letters match both cases. A pattern may be there twice, and may be empty.
  SubstringSearch(const std::vector<std::string>& patterns, bool fold);

  // Sets bit i of `found` (64 to a word) for each pattern i that the text has.
  void Find(std::string_view text, std::span<std::uint64_t> found) const;

 private:
  std::size_t classes_ = 1;
  std::array<std::uint16_t, 256> class_of_{};  // bytes that no pattern has are of class 0
  std::vector<std::uint32_t> next_;            // [state * classes_ + class]
  // Patterns that end in a state: `outputs_[first, last)`. Those of its shorter endings too.
  struct Ends {
    std::uint32_t first = 0;
    std::uint32_t last = 0;
  };
  std::vector<Ends> ends_;
  std::vector<std::uint32_t> outputs_;
  std::vector<std::uint32_t> empty_;  // patterns without bytes
};

}  // namespace sluice::policy::rules
