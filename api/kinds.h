// The names of the kinds that `get` lists and `delete` removes. Pure.
#pragma once

#include <string_view>
#include <vector>

#include "base/status.h"
#include "policy/resource/model.h"

namespace sluice::api {

enum class Listing { kResources, kIdentities, kRulesets, kFlows, kProcesses };

struct KindSelection {
  Listing listing = Listing::kResources;
  std::vector<policy::Kind> kinds;  // kResources only
};

// Singular, plural or short, any case; policies also with their API group: "networkpolicies.sluice.dev".
// InvalidArgument lists the known names.
StatusOr<KindSelection> ParseKind(std::string_view name);

enum class Names { kAll, kOfResources };
// All names that ParseKind reads, or those of kinds that can be applied.
std::vector<std::string_view> KindNames(Names which);

// The name that ParseKind reads as this kind only: "workload", "networkpolicy.sluice.dev".
std::string_view KindArgument(policy::Kind kind);

}  // namespace sluice::api
