#include <fmt/format.h>

#include <algorithm>

#include "perf/program/rte_acl.h"

namespace sluice::perf {
namespace {

const char* FromName(RteAclCase::From from) {
  switch (from) {
    case RteAclCase::From::kStranger:
      return "denied";
    case RteAclCase::From::kFriend:
      return "new";
    case RteAclCase::From::kAnyPeer:
      return "new-any-peer";
  }
  return "?";
}

}  // namespace

std::string RteAclCase::Name() const {
  return fmt::format("{}/{}/rules:{}/batch:{}", kRteAcl, FromName(from), rules, batch);
}

std::vector<RteAclCase> RteAclCases(bool brief) {
  using From = RteAclCase::From;
  std::vector<RteAclCase> cases;
  const std::vector<int> sizes = brief ? std::vector<int>{100} : std::vector<int>{100, 10000, 100000};
  for (const int rules : sizes)
    for (const From from : {From::kStranger, From::kFriend, From::kAnyPeer})
      for (const int batch : {32, 256}) cases.push_back({from, rules, batch});
  return cases;
}

std::vector<RteAclCase> RteAclCasesLike(const Case& what) {
  if (!what.is_xdp() || what.v6 || (what.traffic != Traffic::kDenied && what.traffic != Traffic::kNew)) return {};
  const auto from = what.traffic == Traffic::kDenied ? RteAclCase::From::kStranger : RteAclCase::From::kFriend;
  std::vector<RteAclCase> cases = RteAclCases(false);
  std::erase_if(cases, [&](const RteAclCase& one) { return one.from != from || one.rules != what.world.rules; });
  return cases;
}

}  // namespace sluice::perf
