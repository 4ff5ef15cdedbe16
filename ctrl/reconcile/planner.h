// Resources x what the node has -> what is to be in force: whose interfaces are whose, and the compiled policy. Looks
// at the node and changes nothing. Not thread-safe; a copy plans on from where this one is.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ctrl/reconcile/desired.h"
#include "ctrl/reconcile/node.h"
#include "ctrl/reconcile/node_view.h"
#include "ctrl/reconcile/state_store.h"
#include "ctrl/reconcile/view.h"
#include "policy/network/compiler.h"

namespace sluice::reconcile {

struct Plan {
  std::shared_ptr<View> view;
  std::shared_ptr<const NodeView> node_view;  // those in force, where the workloads are as before
};

// Whether a change of no workload looks at the node too.
enum class Look { kAgain, kForNewWorkloads };

class Planner {
 public:
  // What is known before a plan is made.
  struct Before {
    std::shared_ptr<const View> view;
    std::shared_ptr<const NodeView> node_view;  // of the generation in force; null before the first
    const node::EndpointIds& ids;
    const std::map<policy::ObjectName, std::string>& unattachable;  // no program can be attached there, and why
    const std::map<std::uint32_t, std::uint32_t>&
        in_force;                      // EndpointsInForce at the start, until a generation of ours
    std::uint64_t new_interfaces = 0;  // the number of the last one
  };

  // `datapath` and `node` outlive the planner and its copies.
  Planner(const datapath::Enforcer* datapath, const Node* node) : datapath_(datapath), node_(node) {}

  // What is on the node is looked at when it may have changed (Refresh) or other workloads are asked for. With an
  // error, the plan has the node_view if those were found.
  Status Make(const Desired& desired, const StateChange& change, Look look, const Before& before, Plan* plan);
  // Of no resources at all.
  StatusOr<policy::CompiledPolicy> CompileNothing();

 private:
  const datapath::Enforcer* datapath_;
  const Node* node_;
  policy::Compiler compiler_;
};

}  // namespace sluice::reconcile
