// Collected items -> rules. For policy/rules/loader.cc.
#pragma once

#include "policy/rules/collector.h"

namespace sluice::policy::rules {

// Errors and warnings go to `messages`; after an error the result is of no use.
std::vector<Rule> CompileRules(const Collector& collector, LoadMessages& messages);

}  // namespace sluice::policy::rules
