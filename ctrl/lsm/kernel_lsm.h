// KubeArmor policies in this machine's kernel.
#pragma once

#include <memory>

#include "ctrl/lsm/lsm_enforcer.h"

namespace sluice::lsm {

class KernelLsm final : public LsmEnforcer {
 public:
  static StatusOr<std::unique_ptr<KernelLsm>> Open(const StoreOptions& options) {
    SL_ASSIGN_OR_RETURN(auto store, LsmStore::Create(options));
    return std::unique_ptr<KernelLsm>(new KernelLsm(std::move(store)));
  }

  Status Replace(const std::shared_ptr<const policy::lsm::Compiled>& compiled) override {
    return store_->Replace(compiled);
  }
  Status SetSubjects(const std::vector<Subject>& subjects) override { return store_->SetSubjects(subjects); }
  Status EndEarlier() override { return store_->EndOthers(); }
  std::vector<PolicyCounts> Counts() const override { return store_->Counts(); }

  LsmStore& store() { return *store_; }

 private:
  explicit KernelLsm(std::unique_ptr<LsmStore> store) : store_(std::move(store)) {}

  const std::unique_ptr<LsmStore> store_;
};

}  // namespace sluice::lsm
