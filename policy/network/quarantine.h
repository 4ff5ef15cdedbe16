// The workloads in quarantine, and the peers that they may still exchange packets with (rules 38 to 40 of
// docs/policy.md). Not part of the snapshot: it changes at once, without a new generation, and kernel programs may
// change it too. A plain value.
#pragma once

#include <set>
#include <vector>

#include "policy/resource/model.h"

namespace sluice::policy {

struct Quarantine {
  std::set<ObjectName> workloads;
  std::vector<Prefix> allow;  // peers

  // Whether packets between `workload` and `peer` are dropped.
  bool Stops(const ObjectName& workload, const Address& peer) const;
};

}  // namespace sluice::policy
