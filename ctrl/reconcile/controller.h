// The agent's heart: desired resources x what the node has -> tables in the kernel, one step at a time.
//
// Each change is compiled and put in force as one generation, or refused as a whole with what was valid before still in
// force. Thread-safe: one mutex orders all changes; readers take a shared view that never changes.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>

#include "ctrl/datapath/datapath.h"
#include "ctrl/reconcile/state_store.h"
#include "ctrl/workload/binder.h"
#include "ctrl/workload/process_owners.h"
#include "policy/compiler.h"
#include "policy/quarantine.h"

namespace sluice::reconcile {

// A moment of the agent's state; immutable.
struct View {
  std::uint64_t revision = 0;  // counts the changes of the resources
  policy::ResourceMap resources;
  policy::CompiledPolicy compiled;
  std::map<policy::ObjectName, std::string> unbound;  // workloads that are not enforced on yet, and why
  workload::ProcessOwners process_owners;
};

// What the controller asks of the node it runs on. Called with the controller's mutex held.
struct Node {
  std::function<StatusOr<workload::BoundWorkload>(const policy::Workload&)> bind;
  std::function<StatusOr<std::vector<policy::Address>>()> addresses;  // its own, sorted
  std::function<bool(std::uint32_t ifindex)> has_interface;           // absent: it has every one
  static Node Real();
};

class Controller {
 public:
  // Saves a change; StateStore::Save.
  using Save = std::function<Status(const StateChange& change, const std::function<Status()>& enforce)>;

  // `datapath` outlives the controller.
  Controller(datapath::Datapath* datapath, Node node, Save save);

  // What is known after a start, as one step.
  Status Restore(policy::ResourceMap directory, StateStore::State state);

  // What the resources directory says now, in place of what it said before.
  Status SetDirectory(policy::ResourceMap resources);
  // API: create or replace, and remove. Calls that wait while another change is being made are made together, as one
  // generation and one revision; one that is refused holds up no other. A workload among `resources` whose interface or
  // addresses cannot be found refuses the change (NotFound, FailedPrecondition as workload::Bind); so does one to
  // remove that does not exist. Returns the revision.
  StatusOr<std::uint64_t> Apply(const std::vector<policy::Resource>& resources);
  StatusOr<std::uint64_t> Delete(const std::vector<policy::ResourceId>& ids);

  // Cuts a local workload off from the next packet on, without waiting for a change that is under way. It stays so over
  // restarts, and when the workload is deleted and comes again. NotFound: there is none of this name.
  // Release ends it, whoever began it. NotFound: there is none of this name, and none that was is in quarantine.
  // Both return the revision in force: a quarantine is no change of the resources.
  StatusOr<std::uint64_t> Quarantine(const policy::ObjectName& name);
  StatusOr<std::uint64_t> Release(const policy::ObjectName& name);
  // Whom the kernel cuts off, whoever told it to; and whom it will when they come (again).
  StatusOr<policy::Quarantine> quarantine() const;

  // The node's links or addresses may have changed: looks again, and changes what is in force where they did.
  Status Refresh();

  std::shared_ptr<const View> view() const;
  // Decisions of earlier generations that flows may still name; null: unknown.
  std::shared_ptr<const policy::Decision> FindDecision(std::uint32_t number) const;

 private:
  // One resource of an id: what the API holds wins over the directory.
  struct Desired {
    policy::ResourceMap directory;
    policy::ResourceMap api;
    policy::ResourceMap all;
    Desired() = default;
    Desired(policy::ResourceMap of_directory, policy::ResourceMap of_api);
    void Put(const policy::Resource& resource);
    void Remove(const policy::ResourceId& id);  // from `api`
  };
  struct Intruder {
    policy::ObjectName holder;
    std::string problem;
  };
  // Workloads by the interface that is theirs. An empty name: an earlier agent attached there, for whom is unknown.
  using Owners = std::map<std::uint32_t, policy::ObjectName>;
  // What the node has for the workloads; immutable.
  struct Places {
    policy::ResourceMap resources;  // that the workloads are among
    workload::EndpointIds ids;
    std::map<policy::ObjectName, policy::Binding> bindings;
    std::vector<datapath::PodInterface> interfaces;
    Owners owners;                                      // of `interfaces`
    std::map<policy::ObjectName, std::string> unbound;  // as View
    workload::ProcessOwners process_owners;
    std::vector<policy::Address> node_addresses;
  };
  struct Plan {
    std::shared_ptr<View> view;
    std::shared_ptr<const Places> places;  // those in force, where the workloads are as before
  };
  // Whether a change of no workload looks at the node too.
  enum class Look { kAgain, kForNewWorkloads };
  struct Edit;

  StatusOr<std::uint64_t> Join(Edit edit);
  void EnforceEdits(const std::vector<Edit*>& edits);
  Status AddTo(Desired& desired, const Edit& edit) const;
  StatusOr<std::shared_ptr<const Places>> FindPlaces(const policy::ResourceMap& resources,
                                                     const std::vector<policy::Resource>& requested) const;
  StatusOr<Plan> MakePlan(const Desired& desired, const StateChange& change, Look look);
  std::map<policy::ObjectName, Intruder> FindIntruders(const std::vector<workload::BoundWorkload>& bound) const;
  Owners StillOwned(const Plan& plan) const;
  Status Enforce(Desired desired, StateChange change, Look look);
  Status Carry(const Plan& plan, const StateChange& change);
  StatusOr<bool> CutOffAtOnce(const policy::ObjectName& name);
  Status NotFound(const policy::ObjectName& name) const;
  void PutBack();
  void DetachAllBut(const Owners& owners);
  void Remember(Desired desired, Plan plan);

  datapath::Datapath* const datapath_;
  const Node node_;
  const Save save_;
  mutable std::mutex mutex_;
  Desired desired_;
  workload::EndpointIds ids_;
  std::shared_ptr<const Places> places_;  // of the generation in force; null before the first
  Owners owners_;                         // of their interfaces, and of those that stay closed
  policy::Compiler compiler_;
  bool restored_ = false;
  std::mutex edits_mutex_;
  std::condition_variable edits_made_;
  std::vector<Edit*> edits_;   // by edits_mutex_: calls that wait for their turn
  bool making_edits_ = false;  // likewise: one of them is at it
  // By view_mutex_, and written under both.
  std::shared_ptr<const View> view_;
  std::set<policy::ObjectName> quarantined_;  // that this agent was told of; also such that do not exist now
  mutable std::mutex view_mutex_;
  std::map<std::uint32_t, std::shared_ptr<const policy::Decision>> decisions_;  // by view_mutex_
};

}  // namespace sluice::reconcile
