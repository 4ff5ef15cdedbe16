// Names in an observer's filter that the agent does not know: a mistyped name would silently match nothing. Pure.
#pragma once

#include <string>
#include <vector>

#include "ctrl/reconcile/controller.h"

namespace sluice::api {

// A line for each of `names` that is no workload, no pod and, without a name, no namespace; a few of them, and how many
// more there are.
std::vector<std::string> TellUnknownNames(const reconcile::View& view, const std::vector<policy::ObjectName>& names);

}  // namespace sluice::api
