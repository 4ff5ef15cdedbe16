// Makes a population from all resources.
#pragma once

#include <memory>

#include "policy/network/endpoint_origin.h"

namespace sluice::policy {

// Shares with `previous`, which may be null, the endpoints that are the same. Errors as Snapshot::Build.
StatusOr<std::shared_ptr<const Population>> Populate(const PopulationInput& input, const Population* previous);

}  // namespace sluice::policy
