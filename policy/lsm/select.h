// Which workloads and nodes a policy is for. Pure.
#pragma once

#include <string>

#include "policy/lsm/model.h"

namespace sluice::policy::lsm {

struct ContainerFacts {
  std::string ns;
  Labels labels;          // of the pod
  std::string container;  // its name in the pod
};

struct NodeFacts {
  std::string hostname;
  Labels labels;
};

bool Selects(const Policy& policy, const ContainerFacts& container);  // false: a policy for hosts
bool Selects(const Policy& policy, const NodeFacts& node);            // true only for policies for hosts

}  // namespace sluice::policy::lsm
