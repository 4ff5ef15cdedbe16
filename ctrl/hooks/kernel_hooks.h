// Hook policies in this machine's kernel: the programs, their tables, and what this agent cannot tell the kernel.
#pragma once

#include <memory>

#include "ctrl/hooks/hook_enforcer.h"
#include "kernel/bpf/hook_programs.h"
#include "kernel/hooks/hook_tables.h"

namespace sluice::hooks {

class KernelHooks final : public HookEnforcer {
 public:
  // Without options.processes_fd, policies that look at programs' paths are refused.
  static StatusOr<std::unique_ptr<KernelHooks>> Open(const bpf::HookProgramOptions& options);

  Status Put(const std::shared_ptr<const policy::tracing::CompiledPolicy>& policy, PolicyState state) override;
  Status SetState(const policy::ObjectName& name, PolicyState state) override { return tables_->SetState(name, state); }
  Status Remove(const policy::ObjectName& name) override { return tables_->Remove(name); }
  Status SetSubjects(const std::vector<Subject>& subjects) override { return tables_->SetSubjects(subjects); }
  StatusOr<std::map<policy::ObjectName, PolicyNumbers>> Read() override;
  Status EndEarlier() override { return programs_->EndOthers(); }

  bpf::HookPrograms& programs() { return *programs_; }
  HookTables& tables() { return *tables_; }

 private:
  KernelHooks(std::unique_ptr<bpf::HookPrograms> programs, std::unique_ptr<HookTables> tables, bool knows_processes)
      : programs_(std::move(programs)), tables_(std::move(tables)), knows_processes_(knows_processes) {}
  Status CheckKnown(const policy::tracing::CompiledPolicy& policy) const;

  const std::unique_ptr<bpf::HookPrograms> programs_;
  const std::unique_ptr<HookTables> tables_;
  const bool knows_processes_;
};

}  // namespace sluice::hooks
