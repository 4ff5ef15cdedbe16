// The resources that are wanted. Of one id, what the API holds wins over the directory.
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
