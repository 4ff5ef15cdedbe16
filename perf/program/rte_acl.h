// rte_acl (DPDK) as a peer: a list of five-tuple rules in user space, one for each rule that Sluice has of these.
#pragma once

#include "perf/program/case.h"
#include "perf/program/rounds.h"

namespace sluice::perf {

struct RteAclCase {
  // No rule allows a stranger; the friend is the peer of the rule in the middle, as in Sluice's rows.
  enum class From { kStranger, kFriend, kAnyPeer };
  From from = From::kStranger;
  int rules = 0;
  int batch = 0;  // packets that are classified at once

  std::string Name() const;  // peer/rte_acl/denied/rules:100/batch:32
};

std::vector<RteAclCase> RteAclCases(bool brief);
// Those that do a part of what the production program does for `what`.
std::vector<RteAclCase> RteAclCasesLike(const Case& what);

// What the suites report when they leave it out.
inline constexpr char kRteAcl[] = "peer/rte_acl";

// Of `cases`. NotFound: this program was built without DPDK.
StatusOr<std::vector<Measurement>> RteAclPeers(const std::vector<RteAclCase>& cases);

}  // namespace sluice::perf
