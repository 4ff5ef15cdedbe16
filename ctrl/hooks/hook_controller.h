// The node's hook policies: wanted ones -> compiled -> in the kernel, on the workloads that they select.
//
// The kernel's side is opened when the first policy comes; without policies nothing is loaded. A policy that cannot be
// enforced stops no other: it is refused if the change asked for it, else it is in error and tried again with the next
// change that may be refused. Thread-safe.
//   HookController hooks({.open = ..., .compile = ...});
//   SL_RETURN_IF_ERROR(hooks.Enforce({.resources = resources, .bindings = found, .refuses = true}));
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ctrl/hooks/hook_enforcer.h"
#include "ctrl/hooks/hook_setting.h"
#include "ctrl/hooks/local_subjects.h"

namespace sluice::hooks {

enum class ReportedState {
  kEnabled,
  kMonitor,
  kDisabled,
  kError,
  kOtherNodes,  // its nodeSelector does not select this node
};
const char* ToString(ReportedState state);

struct PolicyReport {
  ReportedState state = ReportedState::kEnabled;
  std::string problem;  // in kError: why the wanted policy is not in force
  HookSetting setting;
  bool monitors = false;     // by the setting or else by the document, also if nothing is in force
  std::uint64_t number = 0;  // the policies of an agent's run, in the order of their coming, from 1
  std::shared_ptr<const policy::tracing::CompiledPolicy> in_force;  // null: nothing; may be an earlier document
  PolicyNumbers numbers;                                            // empty if nothing is in force
};

using PolicyReports = std::map<policy::ResourceId, PolicyReport>;

class HookController {
 public:
  using Compile = std::function<StatusOr<std::shared_ptr<const policy::tracing::CompiledPolicy>>(
      const std::shared_ptr<const policy::tracing::TracingPolicy>& policy)>;
  struct Options {
    std::function<StatusOr<std::unique_ptr<HookEnforcer>>()> open;
    Compile compile;
    // Ends what an earlier agent left in force, when there is no policy.
    std::function<Status()> end_earlier;
    std::string cgroup_root = CgroupRoot();
    InodeOf inode = InodeOfFile;
    bool waits = false;  // for Begin: until then, Enforce only notes what is wanted
  };

  explicit HookController(Options options) : options_(std::move(options)) {}

  struct Change {
    const policy::ResourceMap& resources;  // all that are wanted
    const Bindings& bindings;              // of their workloads
    const HookSettings& settings = kNoHookSettings;
    std::set<policy::ResourceId> asked_for = {};
    bool refuses = false;  // a policy that is new or different and cannot be enforced is an error; all stays as it was
    bool same_workloads = false;  // as in the call before
  };
  // The workloads first, so that no policy misses one.
  Status Enforce(const Change& change);
  // When what the kernel's side needs has been started. Error: as Enforce; call that again.
  Status Begin();
  // The error of such a change, as far as it can be known without touching the kernel.
  Status Check(const Change& change) const;

  // What is known of this node beside its workloads. Until it is known, a policy that needs it is refused or in error;
  // and what an earlier agent left in force is ended only then, or by a change that may be refused. Error: the kernel's
  // tables could not be changed; call again.
  Status SetContainers(std::vector<LocalContainer> containers);  // all of them
  Status SetNodeLabels(policy::Labels labels);

  // Of all wanted policies.
  PolicyReports reports() const;
  // Why policies are in error, without a look at the kernel.
  std::map<policy::ResourceId, std::string> problems() const;

 private:
  struct Entry {
    std::string wanted;   // its document
    std::string problem;  // why that is not in force
    HookSetting setting;
    bool monitors = false;
    bool awaits = false;       // `problem` is that something about the node is not known yet
    bool other_nodes = false;  // in force elsewhere
    std::uint64_t number = 0;
    std::shared_ptr<const policy::tracing::CompiledPolicy> in_force;  // null: nothing; may be an earlier document
  };
  using Entries = std::map<policy::ResourceId, Entry>;

  Status EnforceNow(const Change& change);
  void Keep(const Change& change);
  void EndEarlierOnceKnown(bool at_once);
  bool IsAsBefore(const Change& change) const;
  bool MustDo(const policy::ResourceId& id, const policy::Resource& resource, const Change& change) const;
  bool SelectsContainers(const policy::ResourceMap& resources) const;
  Status CheckKnown(const policy::tracing::TracingPolicy& policy) const;
  Status FollowNode(const std::function<bool(const policy::tracing::TracingPolicy&)>& concerns);
  Status SetSubjects(const Change& change);
  Status SetPolicies(const Change& change);
  Status PutOne(const policy::Resource& resource, const Change& change, Entry& entry);
  Status SetOne(const policy::Resource& resource, const Change& change, Entry& entry);
  Status TakeOut(const policy::ResourceId& id, Entry& entry);
  void PutBack(const Entries& before, const std::vector<policy::ResourceId>& changed);
  void EndEarlier(const std::function<Status()>& end);

  const Options options_;
  mutable std::mutex mutex_;
  bool has_begun_ = !options_.waits;
  struct Noted {
    policy::ResourceMap resources;
    Bindings bindings;
    HookSettings settings;
  };
  std::optional<Noted> noted_;              // before that
  std::unique_ptr<HookEnforcer> enforcer_;  // null: not opened
  std::vector<Subject> subjects_;           // as the kernel has them
  bool has_subjects_ = false;
  bool has_container_subjects_ = false;
  std::optional<std::vector<LocalContainer>> containers_;  // nothing: not known yet, as below
  std::optional<policy::Labels> node_labels_;
  Entries entries_;
  std::uint64_t last_number_ = 0;
  policy::ResourceMap enforced_;    // the wanted resources of the last call that was not refused
  HookSettings enforced_settings_;  // likewise
  Bindings bindings_;               // of that call
  bool ended_earlier_ = false;
};

}  // namespace sluice::hooks
