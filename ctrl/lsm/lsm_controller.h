// The node's KubeArmor policies: wanted ones -> compiled -> in the kernel, for the workloads that they select.
//
// All of them are one set of tables, which changes in one step. A policy that cannot be enforced stops no other: it is
// refused if the change asked for it, else it is in error, its earlier version stays in force, and it is tried again
// with the next change that may be refused, or when what it asks of the node is known. The kernel's side is opened when
// the first policy comes that needs it.
// Thread-safe.
//   LsmController lsm({.check_kernel = CheckKernel, .open = ..., .node = "n1"});
//   SL_RETURN_IF_ERROR(lsm.Enforce({.resources = resources, .bindings = found, .refuses = true}));
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ctrl/hooks/hook_controller.h"
#include "ctrl/lsm/lsm_enforcer.h"
#include "ctrl/lsm/workload_policies.h"

namespace sluice::lsm {

struct LsmPolicyReport {
  std::string problem;  // why the wanted policy is not in force; empty: it is
  std::uint64_t blocked = 0;
  std::uint64_t audited = 0;
  std::uint64_t lost = 0;              // records of them
  std::vector<std::string> workloads;  // of this node, that it is for; the node itself is ""
};

using LsmReports = std::map<policy::ResourceId, LsmPolicyReport>;

class LsmController {
 public:
  using Change = hooks::HookController::Change;
  struct Options {
    std::function<Status()> check_kernel;  // what it lacks
    std::function<StatusOr<std::unique_ptr<LsmEnforcer>>()> open;
    // Ends what an earlier agent left in force, when there is no policy.
    std::function<Status()> end_earlier;
    policy::lsm::CompileOptions compile;
    std::string node;  // this node's name, which policies for nodes select
    std::string cgroup_root = hooks::CgroupRoot();
    hooks::InodeOf inode = hooks::InodeOfFile;
    bool waits = false;  // for Begin: until then, Enforce only notes what is wanted
  };

  explicit LsmController(Options options) : options_(std::move(options)) {}

  // A policy that `change.refuses` and that cannot be enforced is an error; all stays as it was.
  Status Enforce(const Change& change);
  // When what the kernel's side needs has been started. Error: as Enforce; call that again.
  Status Begin();
  // The error of such a change, as far as it can be known without changing the kernel.
  Status Check(const Change& change) const;

  // What is known of this node beside its workloads. Until it is known, a policy that needs it is refused or in error;
  // and what an earlier agent left in force is ended only then, or by a change that may be refused. Error: the kernel's
  // tables could not be changed; call again.
  Status SetContainers(std::vector<hooks::LocalContainer> containers);  // all of them
  Status SetNodeLabels(policy::Labels labels);
  NodeInfo node() const;

  // Of all wanted policies.
  LsmReports reports() const;
  // Why policies are in error, without a look at the kernel.
  std::map<policy::ResourceId, std::string> problems() const;

 private:
  struct Entry {
    std::string wanted;                                   // its document
    std::string problem;                                  // why that is not in force
    bool awaits = false;                                  // that something about the node is not known yet
    std::shared_ptr<const policy::lsm::Policy> in_force;  // null: nothing; may be an earlier document
  };
  using Entries = std::map<policy::ResourceId, Entry>;
  using Workloads = std::vector<policy::lsm::WorkloadPolicies>;

  Status EnforceNow(const Change& change);
  Status EnforceAll(const Change& change);
  Status FollowNode();
  bool IsAsBefore(const Change& change) const;
  bool MustDo(const policy::Resource& resource, const Change& change) const;
  Status CheckOne(const policy::lsm::Policy& policy) const;
  StatusOr<Entries> CheckAll(const Change& change) const;
  Status Put(const Change& change, const Entries& entries);
  void EndEarlierOnceKnown(bool at_once);
  void EndEarlier(const std::function<Status()>& end);

  const Options options_;
  mutable std::mutex mutex_;
  bool has_begun_ = !options_.waits;
  std::optional<std::pair<policy::ResourceMap, hooks::Bindings>> noted_;  // before that
  std::unique_ptr<LsmEnforcer> enforcer_;                                 // null: not opened
  Entries entries_;
  Workloads workloads_;                  // as the kernel has them
  std::vector<Subject> subjects_;        // likewise
  bool has_container_subjects_ = false;  // once there are some, there always are
  NodeInfo node_{.name = options_.node, .labels = {}, .containers = {}};
  policy::ResourceMap enforced_;  // the wanted resources of the last call that was not refused
  hooks::Bindings bindings_;      // of that call
  bool ended_earlier_ = false;
};

}  // namespace sluice::lsm
