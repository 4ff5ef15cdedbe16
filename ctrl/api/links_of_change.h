// The paths in process rules of a change that lead through a symbolic link (ctrl/explain/program_links.h).
#pragma once

#include <vector>

#include "ctrl/explain/program_links.h"
#include "ctrl/reconcile/controller.h"

namespace sluice::api {

// Checks each policy and selected workload of which at least one is in `changed`. The number of look-ups is bounded.
void AddLinksOfChange(const reconcile::View& view, const std::vector<policy::Resource>& changed,
                      const explain::FindProgram& find, explain::ProgramLinks* links);

}  // namespace sluice::api
