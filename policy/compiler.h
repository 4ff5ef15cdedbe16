// Snapshot -> tables for the kernel. Pure: the same snapshot gives the same tables, on every node and after every
// restart, because numbers are hashes of what they name (with deterministic probing, see policy/stable_id.h).
#pragma once

#include "policy/tables.h"

namespace sluice::policy {

// ResourceExhausted when a table would be larger than its limit, naming table, need and limit.
StatusOr<CompiledPolicy> Compile(std::shared_ptr<const Snapshot> snapshot, const Limits& limits = {});

}  // namespace sluice::policy
