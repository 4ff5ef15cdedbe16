// Regular expressions of conditions: POSIX syntax, matched as a whole, in time linear in the text. The adapter of RE2
// in this directory. Immutable; thread-safe.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"

namespace re2 {
class RE2;
}

namespace sluice::policy::rules {

class Regex {
 public:
  // Error: InvalidArgument, what is wrong with the pattern.
  static StatusOr<std::shared_ptr<const Regex>> Parse(const std::string& pattern);
  ~Regex();
  Regex(const Regex&) = delete;
  Regex& operator=(const Regex&) = delete;

  // Bytes of `text` that are no UTF-8 count as U+FFFD.
  bool Matches(std::string_view text) const;

 private:
  explicit Regex(std::unique_ptr<re2::RE2> compiled);

  std::unique_ptr<re2::RE2> compiled_;
};

}  // namespace sluice::policy::rules
