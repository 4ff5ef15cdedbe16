// Patterns of paths, in AppArmor's syntax, as matchPatterns write them. Pure.
//   "?"      one byte, but no "/"
//   "*"      any run of bytes without "/". Between two "/", or after the last one, it has at least one byte
//   "**"     the same, with "/"
//   "[a-z]"  one of these bytes; "[^a-z]": one other byte
//   "{a,b}"  one of these, which may be patterns themselves
//   "\x"     x itself
// A pattern matches the whole path. The path of a directory ends with "/".
#pragma once

#include <bitset>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace sluice::policy::lsm {

class PathPattern {
 public:
  // One byte of a set, or a run of such bytes.
  struct Element {
    std::bitset<256> bytes;
    bool run = false;
    bool at_least_one = false;  // of a run
    bool operator==(const Element&) const = default;
  };
  using Alternative = std::vector<Element>;  // one after the other

  // Error: InvalidArgument, what is wrong with the text.
  static StatusOr<PathPattern> Parse(std::string_view text);

  bool Matches(std::string_view path) const;
  // Whether there is a path at all that it matches: paths begin with "/".
  bool CanMatch() const;

  const std::string& text() const { return text_; }
  const std::vector<Alternative>& alternatives() const { return alternatives_; }  // "{a,b}" expanded
  // How much of every matching path is known: its bytes before the first wildcard.
  std::size_t literal_bytes() const { return literal_bytes_; }

 private:
  std::string text_;
  std::vector<Alternative> alternatives_;
  std::size_t literal_bytes_ = 0;
};

}  // namespace sluice::policy::lsm
