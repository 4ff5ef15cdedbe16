// The suite `kube`: what an API server with many objects costs the agent, how fast its changes reach packets, and what
// the CNI plugin adds to the start of a pod.
#pragma once

#include "perf/suite.h"

namespace sluice::perf {

std::vector<std::string> KubeRows(bool brief);

StatusOr<Report> RunKubeSuite(const RunOptions& options);

}  // namespace sluice::perf
