// A snapshot of the agent's state: what is wanted, what is in force, and what is not. Immutable, so readers share it.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

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
  std::string holding;  // not empty: why the kernel's earlier state is in force, and not `resources`
  node::ProcessOwners process_owners;
};

}  // namespace sluice::reconcile
