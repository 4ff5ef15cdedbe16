// What a network policy says, in words. Pure.
#pragma once

#include <string>
#include <vector>

#include "policy/resource/model.h"

namespace sluice::client {

// "app=web, tier in (a, b)"; "everything" without a requirement.
std::string SelectorText(const policy::Selector& selector);

// A line for each rule of a direction: "ingress[0]: allow TCP 5432 from pods with app=web". Of a direction that the
// policy does not isolate there are none.
std::vector<std::string> RuleTexts(const policy::NetworkPolicy& policy, policy::Direction direction);

}  // namespace sluice::client
