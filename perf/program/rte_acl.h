// rte_acl (DPDK) as a peer: a list of five-tuple rules in user space, one for each of Sluice's rules.
#pragma once

#include "perf/program/case.h"
#include "perf/program/rounds.h"

namespace sluice::perf {

struct RteAclCase {
  // No rule allows the stranger; the friend is the peer of the middle rule, as in Sluice's rows.
  enum class From { kStranger, kFriend, kAnyPeer };
  From from = From::kStranger;
  int rules = 0;
  int batch = 0;  // packets classified at once

  std::string Name() const;  // peer/rte_acl/denied/rules:100/batch:32
};

std::vector<RteAclCase> RteAclCases(bool brief);
// The cases that do a part of the production program's work for `what`.
std::vector<RteAclCase> RteAclCasesLike(const Case& what);

// The name that the suites report when they leave it out.
inline constexpr char kRteAcl[] = "peer/rte_acl";

// One measurement for each of `cases`. NotFound: this program was built without DPDK.
StatusOr<std::vector<Measurement>> RteAclPeers(const std::vector<RteAclCase>& cases);

}  // namespace sluice::perf
