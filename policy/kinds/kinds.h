// All kinds of policy that have a directory of their own, for the parser of resources. Pure.
//   policy::ParseText(origin, text, {.more_kinds = MoreKinds(tracing::Reading::kCompiled)});
#pragma once

#include <vector>

#include "policy/resource/parser.h"
#include "policy/tracing/parser.h"

namespace sluice::policy {

// TracingPolicies, KubeArmor policies and Responses.
std::vector<KindParser> MoreKinds(tracing::Reading reading);

}  // namespace sluice::policy
