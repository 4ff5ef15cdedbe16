// KubeArmor policies in force: loads the programs of bpf/lsm with the first policy, writes compiled policies into the
// kernel's tables, attaches the programs that they need, and reads what was reported and blocked.
//
//   auto store = LsmStore::Create({.pin_root = root, .processes_fd = processes});  // nothing is loaded yet
//   (*store)->Replace(compiled);          // then every workload in `subjects` is under its policies
//   (*store)->SetSubjects(subjects);
//   (*store)->EndOthers();                // once everything is in force: ends what an earlier agent left
//   while (...) { (*store)->Wait(20ms); (*store)->Drain(consume); }
//
// A new workload: Replace with its key first, SetSubjects then, so that no process of it runs before its policies are
// in force. With a pin root, programs and tables stay in force when this object is destroyed, until the next one's
// EndOthers. Thread-safe; Replace and SetSubjects may wait for a grace period of the kernel. Wait and Drain: one
// thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "bpf/abi/lsm.h"
#include "policy/lsm/compiled.h"

namespace sluice::lsm {

struct StoreOptions {
  std::string pin_root;                 // empty: nothing is pinned (tests)
  int processes_fd = -1;                // the process sensors' map; -1: one of its own, which stays empty
  std::uint32_t ring_bytes = 4U << 20;  // a power of two, at least a page
};

// A container, or a workload as a whole. Its processes are those in one of the cgroups, or below it, or, if their
// cgroup is nobody's, in one of the network namespaces. All others are the host's, whose key is empty.
struct Subject {
  std::string key;                     // the same in every list, and in policy::lsm::Compiled::profiles; not empty
  std::vector<std::uint64_t> cgroups;  // ids
  std::vector<std::uint32_t> netns;    // inodes
  // A container runtime starts its processes: what they do before they execute a program of the container is under no
  // rules. Else they may share the host's mount namespace, and all that they do is under rules.
  bool of_runtime = false;
};

// Since the store was created, of all rules of a policy; survives Replace.
struct PolicyCounts {
  policy::lsm::Policy::Kind kind = policy::lsm::Policy::Kind::kPods;
  policy::ObjectName policy;
  sl_lsm_counts counts{};
};

struct TableFill {
  std::string name;
  std::uint64_t used = 0;
  std::uint64_t capacity = 0;
};

// OK, or FailedPrecondition that names what this kernel lacks: programs at LSM hooks, or bpf among its modules.
Status CheckKernel();

class LsmStore {
 public:
  // Receives a struct sl_lsm_event with its data.
  using Consume = std::function<void(const void* record, std::size_t size)>;

  static StatusOr<std::unique_ptr<LsmStore>> Create(const StoreOptions& options);
  ~LsmStore();
  LsmStore(const LsmStore&) = delete;
  LsmStore& operator=(const LsmStore&) = delete;

  // Puts these policies in force in place of those before: an operation meets one of the two. After an error everything
  // is as before: FailedPrecondition (CheckKernel, or the verifier's last lines), ResourceExhausted names the table.
  // The first call with a profile loads the programs; one without any detaches them.
  Status Replace(std::shared_ptr<const policy::lsm::Compiled> compiled);
  // Replaces the list of workloads. A failure for one of them does not keep the others out.
  Status SetSubjects(const std::vector<Subject>& subjects);
  // Ends what earlier agents left in force.
  Status EndOthers() const;

  // Passes on all pending records; returns how many. 0 if nothing is loaded.
  int Drain(const Consume& consume);
  // Returns when the ring fills up, Wake is called, or the time is over.
  void Wait(std::chrono::milliseconds timeout) const;
  void Wake() const;

  // What a record is about. Rules of earlier generations are known for a while longer.
  std::optional<policy::lsm::CompiledRule> Describe(std::uint64_t generation, std::uint32_t rule) const;
  std::string KeyOf(std::uint32_t subject) const;  // empty: the host, or it is gone

  bool loaded() const;
  std::vector<PolicyCounts> Counts() const;
  std::vector<TableFill> Fill() const;  // of the half in force
  std::uint64_t bytes() const;          // kernel memory of all maps; 0 if nothing is loaded
  StatusOr<sl_lsm_progress> Progress() const;

 private:
  struct Loaded;  // programs and tables
  struct Generation {
    std::shared_ptr<const policy::lsm::Compiled> compiled;
    std::optional<std::chrono::steady_clock::time_point> ended;
  };
  using PolicyKey = std::pair<policy::lsm::Policy::Kind, policy::ObjectName>;

  explicit LsmStore(StoreOptions options);
  Status Load();
  Status PutSubjects(const std::vector<Subject>& subjects);
  std::shared_ptr<Loaded> loaded_now() const;
  void AddCounts(std::uint64_t generation, std::map<PolicyKey, sl_lsm_counts>* totals) const;
  void EndGeneration(std::uint64_t generation);

  const StoreOptions options_;
  mutable std::mutex mutex_;        // guards all below but what is in `loaded_`'s ring
  std::shared_ptr<Loaded> loaded_;  // null: there was no policy yet
  std::vector<Subject> subjects_;
  std::map<std::uint64_t, Generation> generations_;  // the last one is in force
  std::map<PolicyKey, sl_lsm_counts> ended_counts_;  // of the generations before it
  mutable bool woken_ = false;                       // for Wait while nothing is loaded
  mutable std::condition_variable wake_;
};

}  // namespace sluice::lsm
