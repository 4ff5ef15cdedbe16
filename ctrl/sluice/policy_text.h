// A network policy in words. Pure.
#pragma once

#include <string>
#include <vector>

#include "policy/resource/model.h"

namespace sluice::client {

// "app=web, tier in (a, b)"; "everything" if there is no requirement.
std::string SelectorText(const policy::Selector& selector);

// A line for each rule of a direction: "ingress[0]: allow TCP 5432 from pods with app=web". Empty if the policy
// does not apply to the direction.
std::vector<std::string> RuleTexts(const policy::NetworkPolicy& policy, policy::Direction direction);

}  // namespace sluice::client
