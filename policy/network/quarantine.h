// Who is cut off, and who may still talk with him (rules 38 to 40 of docs/policy.md). Apart from the snapshot: it
// changes at once and without a new generation, and kernel programs may change it too. A plain value.
#pragma once

#include <set>
#include <vector>

#include "policy/resource/model.h"

namespace sluice::policy {

struct Quarantine {
  std::set<ObjectName> workloads;
  std::vector<Prefix> allow;  // peers

  // Whether what `workload` exchanges with `peer` is stopped.
  bool Stops(const ObjectName& workload, const Address& peer) const;
};

}  // namespace sluice::policy
