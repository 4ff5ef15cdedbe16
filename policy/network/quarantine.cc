#include "policy/network/quarantine.h"

#include <algorithm>

namespace sluice::policy {

bool Quarantine::Stops(const ObjectName& workload, const Address& peer) const {
  return workloads.contains(workload) &&
         std::none_of(allow.begin(), allow.end(), [&](const Prefix& prefix) { return prefix.Contains(peer); });
}

}  // namespace sluice::policy
