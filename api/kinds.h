// What people call the kinds of things that `get` lists and `delete` removes. Pure.
#pragma once

#include <string_view>
#include <vector>

#include "base/status.h"
#include "policy/resource/model.h"

namespace sluice::api {

enum class Listing { kResources, kIdentities, kRulesets, kFlows, kProcesses };

struct KindSelection {
  Listing listing = Listing::kResources;
  std::vector<policy::Kind> kinds;  // of kResources
};

// Singular, plural or short, any case; policies also with their API group: "networkpolicies.sluice.dev".
// InvalidArgument lists what there is.
StatusOr<KindSelection> ParseKind(std::string_view name);

// What ParseKind takes for this kind alone: "workload", "networkpolicy.sluice.dev".
std::string_view KindArgument(policy::Kind kind);

}  // namespace sluice::api
