// The next population, where a few endpoints come, go or are others: what grows with the number of endpoints are copies
// of arrays. No other endpoint is looked at.
#pragma once

#include <memory>

#include "policy/network/endpoint_origin.h"

namespace sluice::policy {

// The same as Populate gives. Null: it must be made by Populate, because more differs: addresses of the node,
// Namespaces, many endpoints, or who has an address that several endpoints claim.
std::shared_ptr<const Population> Change(const Population& before, const PopulationInput& input);

}  // namespace sluice::policy
