// Replaces rte_acl.cc in a build without SLUICE_DPDK.
#include "perf/program/rte_acl.h"

namespace sluice::perf {

StatusOr<std::vector<Measurement>> RteAclPeers(const std::vector<RteAclCase>& /*cases*/) {
  return MakeError(absl::StatusCode::kNotFound, "built without DPDK (-DSLUICE_DPDK=ON)");
}

}  // namespace sluice::perf
