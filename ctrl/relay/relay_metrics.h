// The relay's numbers in Prometheus' text form. Pure. docs/relay.md lists them.
#pragma once

#include <string>

#include "api/relay.pb.h"

namespace sluice::cluster {

std::string MetricsText(const ClusterStatus& status);

}  // namespace sluice::cluster
