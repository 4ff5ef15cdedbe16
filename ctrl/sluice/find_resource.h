// One resource by kind and name, for `describe`, `diff` and `edit`.
#pragma once

#include <string>
#include <vector>

#include "ctrl/sluice/client.h"
#include "policy/resource/model.h"

namespace sluice::client {

// All resources of this name: two if both kinds of policy have it. A name without a namespace is in "default".
// NotFound: there is none; InvalidArgument: not a kind of resources.
StatusOr<std::vector<v1::Resource>> FindResources(Client& client, const std::string& kind,
                                                  const policy::ObjectName& name);

// "NetworkPolicy shop/db".
std::string ResourceName(const v1::ResourceRef& ref);

}  // namespace sluice::client
