// Resources x the node's state -> a plan: the owner of each interface, and the compiled policy. Reads the node and
// changes nothing. Not thread-safe; a copy continues from this one's state.
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
#include "kernel/net/netlink.h"
#include "policy/network/compiler.h"

namespace sluice::reconcile {

struct Plan {
  std::shared_ptr<View> view;
  std::shared_ptr<const NodeView> node_view;  // the one in force, if the workloads are as before
  bool looked_again = false;                  // at all workloads
};

// Which workloads are looked up on the node; the others are as found before.
//   kAgain: all.
//   kForMissing: those that were not found, are requested, come, or may be elsewhere: by their spec, because their
//     interface is gone, or by what was heard of it.
//   kForNewWorkloads: the same, if any workload comes, goes or changes; else none.
enum class Look { kAgain, kForMissing, kForNewWorkloads };

class Planner {
 public:
  // The state before the plan.
  struct Before {
    std::shared_ptr<const View> view;
    std::shared_ptr<const NodeView> node_view;  // of the generation in force; null before the first
    const node::EndpointIds& ids;
    const std::map<policy::ObjectName, std::string>& unattachable;  // no program can be attached there, and why
    const std::map<std::uint32_t, std::uint32_t>&
        in_force;                      // EndpointsInForce at the start, until our first generation
    const net::NetChanges& heard;      // of the node since the last look
    std::uint64_t new_interfaces = 0;  // the number of the last one
  };

  // `datapath` and `node` outlive the planner and its copies.
  Planner(const datapath::Enforcer* datapath, const Node* node) : datapath_(datapath), node_(node) {}

  // Looks at the node as `look` says. After an error the plan still has its node_view,
  // if the look succeeded.
  Status Make(const Desired& desired, const StateChange& change, Look look, const Before& before, Plan* plan);
  // The policy of no resources at all.
  StatusOr<policy::CompiledPolicy> CompileNothing();

 private:
  const datapath::Enforcer* datapath_;
  const Node* node_;
  policy::Compiler compiler_;
};

}  // namespace sluice::reconcile
