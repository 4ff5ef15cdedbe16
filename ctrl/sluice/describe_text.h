// What `describe` prints. Pure.
#pragma once

#include <string>
#include <vector>

#include "api/sluice.pb.h"
#include "base/status.h"

namespace sluice::client {

// `resource` has its YAML; `flows` are of this workload, or decided by this policy.
StatusOr<std::string> DescribeText(const v1::Resource& resource, const std::vector<v1::Event>& flows);

}  // namespace sluice::client
