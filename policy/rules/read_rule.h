// Items that define or change a rule. For the reader of this directory.
#pragma once

#include "policy/rules/collector.h"

namespace sluice::policy::rules {

void ReadRule(const YamlNode& node, const Context& parent, Collector& collector, LoadMessages& messages);

// Which keys an item appends to, and which it replaces, by "override: {KEY: append|replace}".
struct Overrides {
  std::set<std::string> appended;
  std::set<std::string> replaced;
  bool empty() const { return appended.empty() && replaced.empty(); }
};
Overrides ReadOverrides(const ItemReader& item, const std::set<std::string_view>& appendable,
                        const std::set<std::string_view>& replaceable);

// "append: true", which Falco has given up in favour of override. An error beside an override.
bool ReadAppend(const ItemReader& item, const Overrides& overrides);

// The list of exceptions of a rule. `append`: what is missing may be there already.
std::vector<Exception> ReadExceptions(const ItemReader& rule, bool append);

}  // namespace sluice::policy::rules
