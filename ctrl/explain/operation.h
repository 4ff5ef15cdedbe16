// `explain` for what a process does: would this program start, may this file be opened, and which policies say so? The
// answer of the reference evaluators of KubeArmor policies, and of TracingPolicies as far as theirs can say. Pure, but
// for what `find` looks at.
#pragma once

#include <string>

#include "ctrl/explain/program_links.h"
#include "policy/resource/resource_map.h"

namespace sluice::explain {

// NotFound: a workload that is not known; InvalidArgument: a path that is not absolute, no operation, an end that is
// neither a workload nor "node". `node`: this node's name; empty: not known, and host policies that name nodes are not
// evaluated. `find` empty: paths are taken as they are.
StatusOr<v1::OperationExplanation> ExplainOperation(const policy::ResourceMap& resources, const std::string& node,
                                                    const v1::ExplainOperationRequest& request,
                                                    const FindProgram& find = {});

}  // namespace sluice::explain
