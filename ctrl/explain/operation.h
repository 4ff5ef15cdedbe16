// `explain` for what a process does: would this program start, may this file be opened, and which policies say so? The
// answer of the reference evaluators of KubeArmor policies, and of TracingPolicies as far as theirs can say. Pure, but
// for what `find` looks at.
#pragma once

#include <optional>
#include <string>

#include "ctrl/explain/program_links.h"
#include "policy/resource/resource_map.h"

namespace sluice::explain {

// The node that is asked about.
struct AskedNode {
  std::string name;                      // empty: not known, and host policies that name nodes are not evaluated
  std::optional<policy::Labels> labels;  // nothing: likewise, those that select by other labels
};

// NotFound: a workload that is not known; InvalidArgument: a path that is not absolute, no operation, an end that is
// neither a workload nor "node". `find` empty: paths are taken as they are.
StatusOr<v1::OperationExplanation> ExplainOperation(const policy::ResourceMap& resources, const AskedNode& node,
                                                    const v1::ExplainOperationRequest& request,
                                                    const FindProgram& find = {});

}  // namespace sluice::explain
