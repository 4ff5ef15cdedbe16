// The programs of hook policies with policies in force, by the agent's own code, on a node with a hundred containers,
// none of which is this process's. Nothing is pinned.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernel/bpf/hook_programs.h"
#include "kernel/hooks/hook_tables.h"
#include "perf/hooks/digest.h"
#include "perf/hooks/policies.h"

namespace sluice::perf {

class HookWorld {
 public:
  static StatusOr<std::unique_ptr<HookWorld>> Load();

  Status Put(const HookPolicy& policy);
  Status Put(const std::vector<HookPolicy>& policies);
  Status Clear();

  // Of all selectors of the policy.
  StatusOr<std::uint64_t> Count(const std::string& policy, sl_hook_count what) const;
  // An error unless a selector of this policy, and of no other one, has matched, and this `times`.
  Status ExpectMatches(const std::string& policy, std::uint64_t times) const;

  // Since it was loaded, by Drain of programs().
  std::uint64_t events_read() const { return digest_.count(); }

  bpf::HookPrograms& programs() { return *programs_; }
  const hooks::HookTables& tables() const { return *tables_; }
  // Whether system calls are seen by the tracepoint of all of them, for lack of kprobes.
  bool calls_by_tracepoint() const { return programs_->syscalls_by_tracepoint(); }

 private:
  explicit HookWorld(std::unique_ptr<bpf::HookPrograms> programs) : programs_(std::move(programs)) {}
  Digest digest_;
  std::unique_ptr<bpf::HookPrograms> programs_;
  std::unique_ptr<hooks::HookTables> tables_;  // uses programs_
};

}  // namespace sluice::perf
