// Snapshot -> tables for the kernel. Pure: the same snapshot gives the same tables, on every node and after every
// restart, because numbers are hashes of what they name (with deterministic probing, see policy/network/stable_id.h).
#pragma once

#include <memory>

#include "policy/network/tables.h"

namespace sluice::policy {

// ResourceExhausted when a table would be larger than its limit, naming table, need and limit.
StatusOr<CompiledPolicy> Compile(std::shared_ptr<const Snapshot> snapshot, const Limits& limits = {});

// Gives what Compile gives, and computes again only what a change since the last snapshot can have touched: rulesets
// when their policies changed, and all of it when the population, or what policies look at in it, did.
// Not thread-safe, nor are a compiler and its copies together.
class Compiler {
 public:
  Compiler();
  StatusOr<CompiledPolicy> Compile(std::shared_ptr<const Snapshot> snapshot, const Limits& limits = {});

 private:
  struct Memory;
  std::shared_ptr<const Memory> last_;
};

}  // namespace sluice::policy
