// The explanation of a flow and what would allow it, from the agent or from resource files.
#pragma once

#include <string>

#include "ctrl/sluice/client.h"
#include "ctrl/sluice/resource_args.h"

namespace sluice::client {

// `port`: as ResolvePort. The request's protocol and port are set from it. `resources` without paths: the agent at
// `server` answers. Errors as Client::Explain, ReadAll and explain::Explain; FailedPrecondition: the files have errors.
StatusOr<v1::Explanation> AskForExplanation(const AgentAddress& server, const ResourceArgs& resources,
                                            const std::string& port, v1::ExplainRequest request);
StatusOr<web::Suggestions> AskForSuggestions(const AgentAddress& server, const ResourceArgs& resources,
                                             const std::string& port, v1::ExplainRequest request);

}  // namespace sluice::client
