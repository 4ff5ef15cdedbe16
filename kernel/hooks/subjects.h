// The kernel's tables of subjects: which cgroup and network namespace belongs to which container or workload, and which
// scopes of hook policies include it (struct sl_hook_subject). For HookTables, which guards it by a lock.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "bpf/abi/hook.h"
#include "kernel/bpf/hook_programs.h"
#include "kernel/bpf/map.h"
#include "kernel/bpf/paged_array.h"
#include "kernel/hooks/subject_places.h"
#include "policy/tracing/compiled.h"
#include "policy/tracing/scope.h"

namespace sluice::hooks {

// A container, or a workload as a whole.
struct Subject {
  std::string key;                     // the same in every list; not empty
  std::vector<std::uint64_t> cgroups;  // ids; cgroups below them count, too
  std::vector<std::uint32_t> netns;    // inodes: for processes in no known cgroup
  std::uint32_t endpoint = 0;          // the workload's number in `quarantine`; 0: none
  policy::tracing::Subject facts;
};

// A scope that policies in force test for.
struct ScopeInForce {
  std::shared_ptr<const policy::tracing::CompiledPolicy> policy;  // owns the scope
  std::size_t index = 0;                                          // in its scopes
};

class Subjects {
 public:
  // Scope 0 is for policies that include everything: every subject is in it.
  static constexpr std::uint32_t kEverything = 0;

  static StatusOr<Subjects> Create(bpf::HookPrograms* programs);

  // Replaces the list; the host is always there. A subject is in its scopes before its processes are found to be its
  // own. A failure for one subject does not keep the others out; the first is returned. Where two subjects have one
  // cgroup or namespace, the first one has it.
  // The numbers of subjects that are gone: for Release, after a grace period.
  Status Set(const std::vector<Subject>& subjects, std::vector<std::uint32_t>* gone);
  void Release(const std::vector<std::uint32_t>& gone) { places_.Release(gone); }

  // Puts every subject into the scopes that include it. To call before a policy tests for them. Replaces scopes that
  // had these numbers before, which no policy may still test for.
  Status AddScopes(const std::map<std::uint32_t, ScopeInForce>& scopes);
  void RemoveScope(std::uint32_t scope) { scopes_.erase(scope); }

  // The key of a subject in a record; empty: the host, or one that is gone.
  std::string KeyOf(std::uint32_t number) const;

 private:
  struct Known {
    Subject subject;
    sl_hook_subject entry{};
  };

  Subjects(bpf::HookPrograms* programs, SubjectPlaces places) : programs_(programs), places_(std::move(places)) {}
  sl_hook_subject EntryOf(const Subject& subject) const;
  Status PutSubject(std::uint32_t number, const Subject& subject);

  bpf::HookPrograms* programs_;
  bpf::PagedArray<sl_hook_subject> table_;
  SubjectPlaces places_;
  std::map<std::uint32_t, Known> known_;  // by number
  std::map<std::uint32_t, ScopeInForce> scopes_;
};

}  // namespace sluice::hooks
