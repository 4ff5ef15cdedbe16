// A moment of the agent's state: what is wanted, what is in force, and what is not. Immutable, so readers share it.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "ctrl/node/process_owners.h"
#include "policy/network/tables.h"
#include "policy/resource/resource_map.h"

namespace sluice::reconcile {

struct View {
  std::uint64_t revision = 0;  // counts the changes of the resources
  policy::ResourceMap resources;
  // What they are made of. What the API was given counts where both have a document of an id.
  policy::ResourceMap of_api;
  policy::ResourceMap of_directory;
  policy::CompiledPolicy compiled;
  std::map<policy::ObjectName, std::string> unbound;  // workloads that are not enforced on yet, and why
  std::map<std::uint32_t, std::string> closed;  // interfaces that are closed for a workload that is not known, and why
  std::string holding;  // not empty: `resources` are not in force, what the kernel had is; and why
  node::ProcessOwners process_owners;
};

}  // namespace sluice::reconcile
