// Falco's rules files -> rules. Files build on each other in the order in which they are loaded: a later one may append
// to, replace or switch off what an earlier one defines. Pure: the caller reads the files.
//   Loader loader;
//   for (...) results.push_back(loader.Load(name, text));
//   const std::vector<Rule>& rules = loader.rules();
// Not thread-safe. The rules are immutable, and may be copied to other threads.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/rules/collector.h"
#include "policy/rules/load_result.h"
#include "policy/rules/rule.h"

namespace sluice::policy::rules {

class Loader {
 public:
  // Reads a file and compiles all that was loaded so far. After an error, rules() is as before; what the file defined
  // before the error stays, so that no further file should be loaded.
  LoadResult Load(const std::string& file, std::string_view text);

  // In the order of their first definitions; those that are disabled too. Without those that are left out: of another
  // source, or with a field that is not known and skip-if-unknown-filter.
  const std::vector<Rule>& rules() const { return rules_; }

 private:
  Collector collector_;
  std::vector<Rule> rules_;
};

}  // namespace sluice::policy::rules
