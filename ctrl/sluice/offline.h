// Resource files read without an agent, as `check` and `explain --resources` do. Controllers of pods (Deployment,
// CronJob, ...) are read as their pods.
#pragma once

#include <string>
#include <vector>

#include "ctrl/sluice/resource_args.h"
#include "policy/resource/resource_map.h"

namespace sluice::client {

struct OfflineResources {
  policy::ResourceMap resources;      // those without errors
  std::size_t checked = 0;            // right documents of kinds that are only checked
  std::vector<std::string> problems;  // all of them: "FILE:LINE:COLUMN: KIND/NAME: what"
  std::vector<std::string>
      notices;  // warnings, what was left out or is only checked, and what is in "default" by default
};

// Pure.
OfflineResources ReadOffline(const std::vector<resources::ResourceFile>& files, const ResourceArgs& args);

}  // namespace sluice::client
