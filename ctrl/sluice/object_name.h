// Names of objects on the command line. One rule for all verbs: a name without a namespace, here and by -n, is in
// "default" (the agent fills that in). Pure.
#pragma once

#include <string>

#include "base/status.h"
#include "policy/resource/model.h"

namespace sluice::client {

// "name" or "namespace/name"; `typed` is what -n says and `configured` the configuration file, each may be empty.
// InvalidArgument: the name and -n say two namespaces.
StatusOr<policy::ObjectName> ParseObjectName(const std::string& text, const std::string& typed,
                                             const std::string& configured = "");

}  // namespace sluice::client
