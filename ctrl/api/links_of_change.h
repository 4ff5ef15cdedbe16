// Of a change: the paths in rules by process name that lead through a symbolic link (ctrl/explain/program_links.h).
#pragma once

#include <vector>

#include "ctrl/explain/program_links.h"
#include "ctrl/reconcile/controller.h"

namespace sluice::api {

// Where `changed` has the policy or the workload that it selects; a bounded number of paths is looked for.
void AddLinksOfChange(const reconcile::View& view, const std::vector<policy::Resource>& changed,
                      const explain::FindProgram& find, explain::ProgramLinks* links);

}  // namespace sluice::api
