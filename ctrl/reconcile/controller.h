// The agent's core: desired resources x the node's state -> tables in the kernel, one step at a time.
//
// Each change is compiled and enforced as one generation, or refused as a whole; then the state before stays in force.
// Thread-safe: one mutex orders all changes; readers share an immutable view; closing new interfaces waits for no
// change.
//
// Closed first: a workload that is found but cannot be enforced on (no address, another workload's address, a change
// that could not be saved) has its interface attached and in no generation, so that everything there drops.
//
// Holding: when the saved state cannot be trusted, the kernel's generation stays in force and is not replaced until the
// resources are changed. After a boot the kernel has none, so everything that is attached is closed.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "ctrl/hooks/hook_controller.h"
#include "ctrl/lsm/lsm_controller.h"
#include "ctrl/reconcile/decision_memory.h"
#include "ctrl/reconcile/edit_queue.h"
#include "ctrl/reconcile/planner.h"
#include "ctrl/reconcile/quarantines.h"
#include "kernel/net/netlink.h"

namespace sluice::reconcile {

class Controller {
 public:
  using Save = SaveChange;

  // What the pointers point to outlives the controller. `hooks` null: changes with a TracingPolicy are refused; `lsm`
  // null: those with a KubeArmor policy.
  Controller(datapath::Enforcer* datapath, Node node, Save save, hooks::HookController* hooks = nullptr,
             lsm::LsmController* lsm = nullptr);

  // The resources of the sources at a start. An error: the source is used and could not be read, and why.
  struct Given {
    StatusOr<policy::ResourceMap> directory = policy::ResourceMap();
    StatusOr<policy::ResourceMap> kubernetes = policy::ResourceMap();
  };
  // Enforces, in one step, what is known after a start. Holds if `state` says so, if it does not know what the kernel
  // enforces, or if a source could not be read (then until SetDirectory or SetKubernetes).
  Status Restore(Given given, StateStore::State state);

  // Replaces all resources that came from the resources directory. The revision stays the same if they are equal.
  Status SetDirectory(policy::ResourceMap resources);
  // Replaces all resources that came from Kubernetes, with the Workloads of this node's pods. Equal resources change
  // nothing. No workload is refused: one that cannot be enforced on is closed. After an error the generation before
  // stays in force, and new workloads are closed; call again.
  // A change writes to the store only when a workload comes or goes. After a restart, revisions of other changes may
  // therefore be counted again.
  Status SetKubernetes(policy::ResourceMap resources);
  // API: create or replace, and remove. Calls that wait for a running change are made together, as one generation and
  // one revision; a refused call does not hold up the others. A change is refused when a workload's interface or
  // addresses cannot be found (NotFound or FailedPrecondition, as node::Bind), or when a resource to remove does not
  // exist. Returns the revision, which stays the same if the API already had these documents. After a refusal, those of
  // its workloads that were not enforced on before are closed and listed as unbound, until they are applied again or
  // deleted, also after a restart. A TracingPolicy or KubeArmor policy that cannot be enforced refuses a change that
  // brings it, and the change of a directory; elsewhere it is in error (hooks::HookController, lsm::LsmController) and
  // stops nothing else.
  StatusOr<std::uint64_t> Apply(const std::vector<policy::Resource>& resources);
  StatusOr<std::uint64_t> Delete(const std::vector<policy::ResourceId>& ids, Missing missing = Missing::kRefused);
  // Whether such a change would be refused, as far as can be known without touching the kernel or the store. Changes
  // nothing. Returns the revision in force.
  StatusOr<std::uint64_t> Try(const std::vector<policy::Resource>& resources,
                              const std::vector<policy::ResourceId>& ids, Missing missing = Missing::kRefused);

  // Cuts a local workload off from its next packet on, without waiting for a running change. It lasts over restarts,
  // and when the workload is deleted and created again. NotFound: no workload has this name. A quarantine that cannot
  // be saved is enforced all the same and is saved with the next change; `unsaved` gets the reason.
  // Release ends a quarantine, also one that another client began. NotFound: neither a workload nor a quarantine has
  // this name.
  // Both return the revision in force: a quarantine does not change the resources.
  StatusOr<std::uint64_t> Quarantine(const policy::ObjectName& name, std::string* unsaved = nullptr);
  StatusOr<std::uint64_t> Release(const policy::ObjectName& name);
  // Enables or disables a hook policy of any source, or sets its mode, in one step and without a change of its
  // document. It lasts over restarts and new documents, until the policy is deleted. NotFound: there is no such policy.
  // Else as Apply; FailedPrecondition while holding. Returns the revision in force.
  StatusOr<std::uint64_t> SetHookPolicy(const policy::ResourceId& id, const hooks::HookSettingChange& change);

  // All workloads that the kernel cuts off, also for another caller, and those that it will when they come (again).
  StatusOr<policy::Quarantine> quarantine() const;

  // Looks at the node's links and addresses again, and enforces what changed. A workload whose look-up fails keeps its
  // last result; the error then names one such workload, and the rest is done.
  // `heard`: since the last call. Only workloads that it may concern are looked up again; a pod that comes or goes
  // concerns no other, as its veth and its namespace are its own.
  Status Refresh(const net::NetChanges& heard = {.veths = {}, .namespaces = {}, .other = true});
  // Cheap and immediate: closes new interfaces of workloads that are not enforced on, also during a change. Returns how
  // many it has closed; Refresh enforces on them.
  int CloseNewInterfaces();

  // Runs `run` while no change is being saved; for other users of the store.
  Status WhileNothingIsSaved(const std::function<Status()>& run) {
    const std::lock_guard lock(mutex_);
    return run();
  }

  std::shared_ptr<const View> view() const;
  // `follower` is called with the view now, and from then on with each new one, before the change that made it ends. It
  // must not change anything by the controller. Empty: nobody is called any more.
  void FollowViews(std::function<void(const View&)> follower);
  // Decisions of earlier generations that flows may still name; null: unknown.
  std::shared_ptr<const policy::Decision> FindDecision(std::uint32_t number) const { return decisions_.Find(number); }

 private:
  // What CloseNewInterfaces works from.
  struct Awaited {
    policy::ResourceMap wanted;
    std::shared_ptr<const NodeView> node_view;  // null before the first
    bool all = false;                           // close_all_
  };
  struct NewInterface {
    policy::ObjectName name;
    std::uint64_t number = 0;
  };
  class Attaching;
  // A refused workload: closed. If it is enforced on elsewhere, it stays enforced there.
  struct Refused {
    std::vector<node::HostEnd> ends;
    std::string problem;
    std::shared_ptr<const policy::Workload> instead;  // the wanted workload of this name; null: none
  };
  // Whether a change is refused when it cannot be saved: a requested change is, following the node is not.
  enum class Saving { kMust, kIfPossible };

  StatusOr<std::uint64_t> Make(Edit edit);
  void EnforceEdits(const std::vector<Edit*>& edits);
  Status AddTo(Desired& desired, const Edit& edit) const;
  bool Differs(const StateChange& change) const;
  Status MakePlan(const Desired& desired, const StateChange& change, Look look, const net::NetChanges& heard,
                  Plan* plan);
  Owners StillOwned(const Plan& plan, const StateChange& change) const;
  void Await(const policy::ResourceMap& wanted, const policy::ResourceMap& more = {});
  bool CloseNewInterface(const node::HostEnd& end, const policy::ObjectName& name);
  void AddNewInterfaces(const NodeView& node_view, Owners* owners) const;
  void Own(Owners owners, const Plan& plan);
  std::unique_lock<std::mutex> LockClosing();
  Status Enforce(Desired desired, StateChange change, Look look, Saving saving, const net::NetChanges& heard = {});
  Status Follow(Desired desired, StateChange change, Look look, const net::NetChanges& heard = {});
  std::string UnreadSource() const;
  Status Hold(Desired desired, Plan plan, const std::string& why);
  int CloseAll();
  Status CheckUnreadable(const StateChange& change) const;
  Status Carry(const Plan& plan, const StateChange& change, Saving saving);
  hooks::HookController::Change HooksOf(const Plan& plan, const StateChange& change, Saving saving) const;
  Status CheckHooks(const Plan& plan, const StateChange& change) const;
  hooks::HookSettings HookSettingsAfter(const policy::ResourceMap& resources) const;
  void PutBackHooks();
  Status AttachPods(const Plan& plan, Saving saving);
  // Those with both programs attached and an endpoint in the generation.
  std::set<std::uint32_t> EnforcedInterfaces() const;
  void Attach(const std::vector<datapath::PodInterface>& interfaces) const;
  void AttachClosed(std::vector<datapath::PodInterface> interfaces) const;
  void CloseRefused(const std::vector<policy::Resource>& resources, const Status& why);
  bool IsRefused(const policy::ObjectName& name, const StateChange& change, const policy::ResourceMap& resources) const;
  void ForgetRefused(const StateChange& change, const NodeView& node_view);
  void AddRefused(View& view) const;
  void RestoreRefused(const Refusals& refusals, const policy::ResourceMap& resources);
  bool IsRefusedAfter(const policy::ObjectName& name, const StateChange& change, const NodeView& node_view) const;
  Refusals RefusalsAfter(const StateChange& change, const NodeView& node_view) const;
  void SaveRefused();
  void AddNobodys(View& view) const;
  const node::EndpointIds& numbers() const { return node_view_ ? node_view_->ids : ids_; }
  Status CutOffAtOnce(const policy::ObjectName& name);
  Status NotFound(const policy::ObjectName& name) const;
  static void TellNobodys(const Owners& owners);
  void PutBack();
  void DetachAllButOwned();
  void Remember(Desired desired, Plan plan);

  datapath::Enforcer* const datapath_;
  hooks::HookController* const hooks_;  // may be null
  lsm::LsmController* const lsm_;
  const Node node_;
  const Save save_;
  mutable std::mutex mutex_;
  Desired desired_;
  node::EndpointIds ids_;             // as the kernel has them
  node::EndpointIds saved_ids_;       // as the store has them
  std::uint64_t saved_revision_ = 0;  // as the store has it
  Refusals saved_refusals_;           // as the store has them
  hooks::HookSettings hook_settings_;
  hooks::HookSettings saved_hook_settings_;    // as the store has them
  Status unsaved_;                             // the result of the last save that was not required
  std::shared_ptr<const NodeView> node_view_;  // of the generation in force; null before the first
  std::map<policy::ObjectName, Refused> refused_;
  std::map<policy::ObjectName, std::string> unattachable_;  // found, but no program can be attached, and why
  std::set<std::uint32_t> attach_again_;                    // interfaces of which the last attachment failed
  std::map<std::uint32_t, std::uint32_t> in_force_before_;  // EndpointsInForce at the start, until our first generation
  std::set<std::uint32_t> released_before_;                 // interfaces that an earlier agent was releasing
  std::string holding_;                                     // as View
  std::map<Source, std::string> unread_;                    // while holding: sources that could not be read, and why
  std::string other_holding_;                               // why to hold when `unread_` is empty
  bool doubted_ = false;                                    // the store has a doubt that no change has ended
  bool close_all_ = false;                                  // while holding: the workloads are not known
  std::map<policy::ResourceId, std::string> unreadable_;    // while holding
  Planner planner_;
  Quarantines quarantines_;
  std::function<void(const View&)> follower_;
  bool restored_ = false;
  // Held while one interface is attached or detached, never longer; taken after mutex_.
  mutable std::mutex closing_mutex_;
  std::atomic<int> closing_waits_{0};  // threads that wait in LockClosing
  // Guarded by closing_mutex_, up to awaited_.
  Owners owners_;                       // of the interfaces of node_view_, and of those that stay closed
  const Owners* attaching_ = nullptr;   // of the interfaces that a change attaches now
  std::set<std::uint32_t> closed_all_;  // because of close_all_
  std::map<std::uint32_t, NewInterface> new_interfaces_;  // closed since the look at the node that node_view_ is from
  std::uint64_t interfaces_closed_ = 0;
  Awaited awaited_;
  EditQueue edits_;
  DecisionMemory decisions_;
  // Guarded by view_mutex_; written with mutex_ held too.
  std::shared_ptr<const View> view_;
  mutable std::mutex view_mutex_;
};

}  // namespace sluice::reconcile
