// A snapshot of the agent's state: what is wanted, what is in force, and what is not. Immutable, so readers share it.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "base/status.h"
#include "ctrl/node/process_owners.h"
#include "ctrl/reconcile/desired.h"
#include "policy/network/tables.h"

namespace sluice::reconcile {

struct View {
  std::uint64_t revision = 0;  // counts the changes of the resources
  policy::ResourceMap resources;
  Desired desired;  // `resources` by source
  policy::CompiledPolicy compiled;
  std::map<policy::ObjectName, std::string> unbound;  // workloads that are not enforced on yet, and why
  std::set<policy::ObjectName> open;                  // those of `unbound` that could not be closed
  std::map<std::uint32_t, std::string> closed;        // interfaces that are closed for an unknown workload, and why
  std::string holding;                // not empty: why the kernel's earlier state is in force, and not `resources`
  std::set<policy::ObjectName> held;  // while holding: workloads that are found, and closed until the end of it
  node::ProcessOwners process_owners;
};

// Whether the workload of a sandbox may start: it is enforced on, or closed only until the API server knows its pod.
// It is looked for by its network namespace, as it may have another name than its pod (ctrl/node/node_pods.h).
// NotFound: there is none. FailedPrecondition: it cannot be enforced on. Unavailable: it is closed while the agent is
// holding.
Status CheckStarted(const View& view, const std::string& netns);

}  // namespace sluice::reconcile
