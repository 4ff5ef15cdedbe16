// The policies of one workload -> one profile: for the compiler only.
#pragma once

#include <memory>
#include <vector>

#include "policy/lsm/compile.h"

namespace sluice::policy::lsm {

// Appends a profile, and what it needs, to `compiled`. Errors as from Compile.
Status AddProfile(const std::vector<std::shared_ptr<const Policy>>& policies, const Postures& postures,
                  const CompileOptions& options, Compiled* compiled);

}  // namespace sluice::policy::lsm
