// Names of objects on the command line. One rule for all verbs: without a namespace here or by -n, it is "default" (the
// agent fills that in). Pure.
#pragma once

#include <string>

#include "base/status.h"
#include "policy/resource/model.h"

namespace sluice::client {

// "name" or "namespace/name"; `typed` is the namespace of -n, `configured` that of the configuration file; each may be
// empty. InvalidArgument: the name and -n give different namespaces.
StatusOr<policy::ObjectName> ParseObjectName(const std::string& text, const std::string& typed,
                                             const std::string& configured = "");

}  // namespace sluice::client
