// Which of many sets of texts have a text, by one look-up. Immutable once built; thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::policy::rules {

class TextTable {
 public:
  // Bit i of an answer (64 to a word) is for `sets[i]`.
  explicit TextTable(const std::vector<std::vector<std::string>>& sets);

  std::size_t words() const { return words_; }
  // The words of the answer; null: no set has the text.
  const std::uint64_t* Find(std::string_view text) const;

 private:
  struct Entry {
    std::string text;
    std::uint32_t hash = 0;
    std::uint32_t answer = 0;  // its first word in `answers_`
  };

  std::size_t words_ = 0;
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> buckets_;  // index into `entries_` + 1; 0: free. A power of two, at most half full
  std::vector<std::uint64_t> answers_;
};

}  // namespace sluice::policy::rules
