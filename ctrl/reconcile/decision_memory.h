// Decisions of this generation and of earlier ones, which flows may still name. Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "policy/network/tables.h"

namespace sluice::reconcile {

class DecisionMemory {
 public:
  void Add(const policy::CompiledPolicy& compiled);
  std::shared_ptr<const policy::Decision> Find(std::uint32_t number) const;  // null: unknown

 private:
  mutable std::mutex mutex_;
  std::map<std::uint32_t, std::shared_ptr<const policy::Decision>> decisions_;
};

}  // namespace sluice::reconcile
