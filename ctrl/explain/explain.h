// `explain`: would this flow be allowed, and which policies say so? The reference evaluator's answer over what the
// agent knows; workloads of other nodes are evaluated too. Pure, but for what `find` looks at.
#pragma once

#include "api/web.pb.h"
#include "base/status.h"
#include "ctrl/explain/program_links.h"
#include "policy/network/quarantine.h"
#include "policy/network/snapshot.h"

namespace sluice::explain {

// An end is a workload's or pod's namespace/name, an address, `node` (the first address of this node) or `world`
// (world_address.h). NotFound: a workload that is not known; InvalidArgument: an end that is none of these, a protocol
// or port that does not exist, ends of different IP families, a process that is no path; FailedPrecondition: a workload
// or a node without addresses. Of ends with addresses of both families, a common family is taken, IPv4 first.
// `find` empty: paths are taken as they are.
StatusOr<v1::Explanation> Explain(const policy::Snapshot& snapshot, const policy::Quarantine& quarantine,
                                  const v1::ExplainRequest& request, const FindProgram& find = {});
// The same, with the policies that would allow exactly this flow (policy/network/suggest.h).
StatusOr<web::Suggestions> Suggest(const policy::Snapshot& snapshot, const policy::Quarantine& quarantine,
                                   const v1::ExplainRequest& request, const FindProgram& find = {});

}  // namespace sluice::explain
