// The agent's heart: desired resources x what the node has -> tables in the kernel, one step at a time.
//
// Sources call SetSource (a directory, the API's store); each call is compiled and put in force as one generation or
// refused as a whole with what was valid before still in force. Thread-safe: one mutex orders all changes; readers
// take a shared view that never changes.
#pragma once

#include <functional>
#include <memory>
#include <mutex>

#include "ctrl/datapath/datapath.h"
#include "ctrl/workload/endpoint_ids.h"
#include "policy/compiler.h"

namespace sluice::reconcile {

// A moment of the agent's state; immutable.
struct View {
  std::uint64_t revision = 0;  // counts the changes of the resources
  policy::ResourceMap resources;
  policy::CompiledPolicy compiled;
  std::map<policy::ObjectName, std::string> unbound;  // workloads that are not enforced on yet, and why
};

class Controller {
 public:
  // `persist` is called with the resources before they take effect; its failure refuses the change.
  using Persist = std::function<Status(const policy::ResourceMap& api_resources, const workload::EndpointIds& ids,
                                       std::uint64_t revision)>;

  // `datapath` outlives the controller.
  Controller(datapath::Datapath* datapath, workload::EndpointIds ids, Persist persist);

  // What is known after a start, as one step: nothing is persisted, the revision goes on from `revision`.
  Status Restore(policy::ResourceMap directory, policy::ResourceMap api_resources, std::uint64_t revision);

  // What the resources directory says now, in place of what it said before.
  Status SetDirectory(policy::ResourceMap resources);
  // API: create or replace, and remove. NotFound when one to remove does not exist. Returns the revision.
  StatusOr<std::uint64_t> Apply(const std::vector<policy::Resource>& resources);
  StatusOr<std::uint64_t> Delete(const std::vector<policy::ResourceId>& ids);

  // The node's links or addresses may have changed: looks again, and changes what is in force where they did.
  Status Refresh();

  std::shared_ptr<const View> view() const;
  // Decisions of earlier generations that flows may still name; null: unknown.
  std::shared_ptr<const policy::Decision> FindDecision(std::uint32_t number) const;

 private:
  struct Desired {
    policy::ResourceMap directory;
    policy::ResourceMap api;
  };
  Status Enforce(Desired desired, std::uint64_t revision, bool persist);

  datapath::Datapath* datapath_;
  Persist persist_;
  mutable std::mutex mutex_;
  Desired desired_;
  workload::EndpointIds ids_;
  std::shared_ptr<const View> view_;
  mutable std::mutex view_mutex_;
  std::map<std::uint32_t, std::shared_ptr<const policy::Decision>> decisions_;
};

}  // namespace sluice::reconcile
