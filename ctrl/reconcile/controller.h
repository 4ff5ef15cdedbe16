// The agent's heart: desired resources x what the node has -> tables in the kernel, one step at a time.
//
// Each change is compiled and put in force as one generation, or refused as a whole with what was valid before still in
// force. Thread-safe: one mutex orders all changes; readers take a shared view that never changes, and closing what has
// come waits for no change.
//
// Closed first: a workload that is found but cannot be enforced on (no address, another one's address, a change that
// could not be saved) has its interface attached and in no generation, so that everything there drops.
//
// Holding: when what was saved cannot be trusted, the generation that the kernel has stays in force and no other
// replaces it, until somebody changes resources. After a boot there is none, so everything that is attached is closed.
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

#include "ctrl/reconcile/decision_memory.h"
#include "ctrl/reconcile/edit_queue.h"
#include "ctrl/reconcile/planner.h"
#include "ctrl/reconcile/quarantines.h"

namespace sluice::reconcile {

class Controller {
 public:
  using Save = SaveChange;

  // `datapath` outlives the controller.
  Controller(datapath::Enforcer* datapath, Node node, Save save);

  // What is known after a start, as one step. Holds where `state` says so, where it knows nothing of what the kernel
  // enforces, and where `directory` could not be read: then until SetDirectory.
  Status Restore(StatusOr<policy::ResourceMap> directory, StateStore::State state);

  // What the resources directory says now, in place of what it said before.
  Status SetDirectory(policy::ResourceMap resources);
  // API: create or replace, and remove. Calls that wait while another change is being made are made together, as one
  // generation and one revision; one that is refused holds up no other. A workload among `resources` whose interface or
  // addresses cannot be found refuses the change (NotFound, FailedPrecondition as node::Bind); so does one to
  // remove that does not exist. Returns the revision, which stays where the documents are those that the API was given
  // before. What a refused change wanted to enforce on and was not before is closed, and listed as unbound, until it is
  // applied again or deleted, also after a restart.
  StatusOr<std::uint64_t> Apply(const std::vector<policy::Resource>& resources);
  StatusOr<std::uint64_t> Delete(const std::vector<policy::ResourceId>& ids, Missing missing = Missing::kRefused);
  // Whether such a change would be refused, as far as it is known without touching the kernel or the store. Changes
  // nothing. Returns the revision in force.
  StatusOr<std::uint64_t> Try(const std::vector<policy::Resource>& resources,
                              const std::vector<policy::ResourceId>& ids, Missing missing = Missing::kRefused);

  // Cuts a local workload off from the next packet on, without waiting for a change that is under way. It stays so over
  // restarts, and when the workload is deleted and comes again. NotFound: there is none of this name. One that cannot
  // be saved counts all the same, and is saved with the next change: `unsaved` says why it was not.
  // Release ends it, whoever began it. NotFound: there is none of this name, and none that was is in quarantine.
  // Both return the revision in force: a quarantine is no change of the resources.
  StatusOr<std::uint64_t> Quarantine(const policy::ObjectName& name, std::string* unsaved = nullptr);
  StatusOr<std::uint64_t> Release(const policy::ObjectName& name);
  // Whom the kernel cuts off, whoever told it to; and whom it will when they come (again).
  StatusOr<policy::Quarantine> quarantine() const;

  // The node's links or addresses may have changed: looks again, and changes what is in force where they did. A
  // workload whose look-up fails keeps its last answer; the error then names one, and the rest is done.
  Status Refresh();
  // Cheaper, for at once: closes what has come of workloads that are not enforced on, also while a change is being
  // made. Returns how many it has closed; Refresh enforces on them.
  int CloseNewInterfaces();

  // For who uses the store too: no change is being saved meanwhile.
  Status WhileNothingIsSaved(const std::function<Status()>& run) {
    const std::lock_guard lock(mutex_);
    return run();
  }

  std::shared_ptr<const View> view() const;
  // Decisions of earlier generations that flows may still name; null: unknown.
  std::shared_ptr<const policy::Decision> FindDecision(std::uint32_t number) const { return decisions_.Find(number); }

 private:
  // What CloseNewInterfaces goes by.
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
  // A workload that was asked for and refused: closed. One that is enforced on elsewhere goes on there.
  struct Refused {
    std::vector<node::HostEnd> ends;
    std::string problem;
    std::shared_ptr<const policy::Workload> instead;  // what is wanted of this name; null: nothing
  };
  // What of a change may not be lost with the store: a change that somebody asked for is refused then; following the
  // node is not.
  enum class Saving { kMust, kIfPossible };

  StatusOr<std::uint64_t> Make(Edit edit);
  void EnforceEdits(const std::vector<Edit*>& edits);
  Status AddTo(Desired& desired, const Edit& edit) const;
  bool Differs(const StateChange& change) const;
  Status MakePlan(const Desired& desired, const StateChange& change, Look look, Plan* plan);
  Owners StillOwned(const Plan& plan, const StateChange& change) const;
  void Await(const policy::ResourceMap& wanted, const policy::ResourceMap& more = {});
  bool CloseNewInterface(const node::HostEnd& end, const policy::ObjectName& name);
  void AddNewInterfaces(const NodeView& node_view, Owners* owners) const;
  void Own(Owners owners, const Plan& plan);
  std::unique_lock<std::mutex> LockClosing();
  Status Enforce(Desired desired, StateChange change, Look look, Saving saving);
  Status Follow(Desired desired, StateChange change);
  Status Hold(Desired desired, Plan plan, const std::string& why);
  int CloseAll();
  Status CheckUnreadable(const StateChange& change) const;
  Status Carry(const Plan& plan, Saving saving);
  // Both programs are attached, and the generation knows who is there.
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
  const Node node_;
  const Save save_;
  mutable std::mutex mutex_;
  Desired desired_;
  node::EndpointIds ids_;                      // as the kernel has been told
  node::EndpointIds saved_ids_;                // as the store has them
  std::uint64_t saved_revision_ = 0;           // likewise
  Refusals saved_refusals_;                    // likewise
  Status unsaved_;                             // why something is not there that could be done without
  std::shared_ptr<const NodeView> node_view_;  // of the generation in force; null before the first
  std::map<policy::ObjectName, Refused> refused_;
  std::map<policy::ObjectName, std::string> unattachable_;  // found, but no program can be attached there, and why
  std::map<std::uint32_t, std::uint32_t> in_force_before_;  // EndpointsInForce at the start, until a generation of ours
  std::set<std::uint32_t> released_before_;                 // interfaces that an earlier agent was letting go
  std::string holding_;                                     // as View
  std::string unread_directory_;                            // while holding: why
  bool doubted_ = false;                                    // the store has a doubt that no change has ended
  bool close_all_ = false;                                  // while holding: who the workloads are is not known
  std::map<policy::ResourceId, std::string> unreadable_;    // while holding
  Planner planner_;
  Quarantines quarantines_;
  bool restored_ = false;
  // Held for as long as one interface is attached or detached, never for longer; taken after mutex_.
  mutable std::mutex closing_mutex_;
  std::atomic<int> closing_waits_{0};  // CloseNewInterfaces, for that
  // By closing_mutex_, to the end of these: of the interfaces of node_view_, and of those that stay closed.
  Owners owners_;
  const Owners* attaching_ = nullptr;   // whose interfaces a change attaches now, with all that is known of them
  std::set<std::uint32_t> closed_all_;  // because of close_all_
  std::map<std::uint32_t, NewInterface> new_interfaces_;  // closed since the look at the node that led to node_view_
  std::uint64_t interfaces_closed_ = 0;
  Awaited awaited_;
  EditQueue edits_;
  DecisionMemory decisions_;
  // By view_mutex_, and written under both.
  std::shared_ptr<const View> view_;
  mutable std::mutex view_mutex_;
};

}  // namespace sluice::reconcile
