// The CNI plugin as a container runtime calls it, for pods of a test node.
#pragma once

#include <string>

#include "perf/rows.h"
#include "testbed/netns.h"

namespace sluice::perf {

struct CniCalls {
  const test::TestNode& node;
  std::string socket;  // of the agent
  std::string ns;      // of the pods
};

// Rows cni/add: milliseconds of one ADD, one pod after another, and cni/add/at-once: of each, all pods at once; with
// /p99 each. Beside them the floors: to start a program that does nothing, in the same ways. Leaves the pods deleted.
Status MeasureCni(const CniCalls& calls, const std::vector<std::string>& pods, int rounds, Rows* rows);

}  // namespace sluice::perf
