// The wanted resources. For one id, the API's resource wins over the directory's.
#pragma once

#include "policy/resource/resource_map.h"

namespace sluice::reconcile {

struct Desired {
  policy::ResourceMap directory;
  policy::ResourceMap api;
  policy::ResourceMap all;
  Desired() = default;
  Desired(policy::ResourceMap of_directory, policy::ResourceMap of_api);
  void Put(const policy::Resource& resource);
  void Remove(const policy::ResourceId& id);  // from `api`
};

}  // namespace sluice::reconcile
