// A relay's status for people. Pure.
#pragma once

#include <string>

#include "api/relay.pb.h"

namespace sluice::client {

std::string StatusText(const cluster::ClusterStatus& status);
// Every node answers, and enforcement is in place on each.
bool IsInPlace(const cluster::ClusterStatus& status);
// What is not in place on the first such node.
std::string NotInPlaceText(const cluster::ClusterStatus& status);

}  // namespace sluice::client
