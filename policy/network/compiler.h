// Snapshot -> tables for the kernel. Pure: the same snapshot gives the same tables, on every node and after every
// restart, because numbers are hashes of what they name (with deterministic probing, see policy/network/stable_id.h).
#pragma once

#include <memory>

#include "policy/network/tables.h"

namespace sluice::policy {

// ResourceExhausted when a table would exceed its limit; the message names table, need and limit.
StatusOr<CompiledPolicy> Compile(std::shared_ptr<const Snapshot> snapshot, const Limits& limits = {});

// Gives the same result as Compile, but computes only what can differ from the last snapshot: the rulesets whose
// policies changed, or all of them when the identities changed; of the population, what it does not share.
// Not thread-safe; copies of a compiler share data and belong to the same thread.
class Compiler {
 public:
  Compiler();
  StatusOr<CompiledPolicy> Compile(std::shared_ptr<const Snapshot> snapshot, const Limits& limits = {});

 private:
  struct Memory;
  std::shared_ptr<const Memory> last_;
};

}  // namespace sluice::policy
