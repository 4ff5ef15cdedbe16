// Resource files read without an agent, as `check` and `explain --resources` do. Controllers of pods (Deployment,
// CronJob, ...) are read as their pods.
#pragma once

#include <string>
#include <vector>

#include "ctrl/sluice/resource_args.h"
#include "policy/resource/resource_map.h"

namespace sluice::client {

struct OfflineResources {
  policy::ResourceMap resources;       // those without errors
  std::vector<std::string> problems;   // all of them: "FILE:LINE:COLUMN: KIND/NAME: what"
  std::size_t detection_policies = 0;  // Tracee's policies, detectors and lists, which are rules and no resources
  std::vector<std::string> notices;    // warnings, what was left out, and what is in "default" by default
};

// Pure.
OfflineResources ReadOffline(const std::vector<resources::ResourceFile>& files, const ResourceArgs& args);

// `end` as it is called there: a controller of pods (Deployment, ...) may be given by its own name, if no pod has that
// name.
std::string PodsOf(const policy::ResourceMap& resources, const std::string& end);

}  // namespace sluice::client
