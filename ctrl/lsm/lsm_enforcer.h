// What is asked of the kernel for KubeArmor policies. KernelLsm implements it; tests have a fake. Calls that change
// come from one thread at a time.
#pragma once

#include <memory>
#include <vector>

#include "base/status.h"
#include "kernel/lsm/lsm_store.h"
#include "policy/lsm/compiled.h"

namespace sluice::lsm {

class LsmEnforcer {
 public:
  virtual ~LsmEnforcer() = default;

  // Puts these policies in force in place of those before, in one step. An error has changed nothing.
  virtual Status Replace(const std::shared_ptr<const policy::lsm::Compiled>& compiled) = 0;
  // All workloads of the node.
  virtual Status SetSubjects(const std::vector<Subject>& subjects) = 0;
  // Ends what an earlier agent left in force, once ours is.
  virtual Status EndEarlier() = 0;
  // Since the enforcer was opened. Thread-safe.
  virtual std::vector<PolicyCounts> Counts() const = 0;
};

}  // namespace sluice::lsm
