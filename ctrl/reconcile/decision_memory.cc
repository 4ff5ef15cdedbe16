#include "ctrl/reconcile/decision_memory.h"

namespace sluice::reconcile {
namespace {

constexpr std::size_t kMaxKept = 1U << 18U;

}  // namespace

void DecisionMemory::Add(const policy::CompiledPolicy& compiled) {
  const std::lock_guard lock(mutex_);
  if (decisions_.size() > kMaxKept) decisions_.clear();
  decisions_.insert(compiled.decisions.begin(), compiled.decisions.end());
}

std::shared_ptr<const policy::Decision> DecisionMemory::Find(std::uint32_t number) const {
  const std::lock_guard lock(mutex_);
  const auto found = decisions_.find(number);
  return found == decisions_.end() ? nullptr : found->second;
}

}  // namespace sluice::reconcile
