#include "ctrl/notice/turn.h"

#include <tuple>

#include "policy/network/stable_id.h"

namespace sluice::notice {
namespace {

std::uint64_t ScoreOf(const std::string& node, std::string_view uid) {
  return policy::StableHash(policy::CanonicalKey().Add(node).Add(uid).bytes());
}

}  // namespace

std::size_t TurnOf(const std::string& node, const std::set<std::string>& nodes, std::string_view uid) {
  const std::uint64_t own = ScoreOf(node, uid);
  std::size_t before = 0;
  for (const std::string& other : nodes) {
    const std::uint64_t score = ScoreOf(other, uid);
    if (std::tie(score, other) < std::tie(own, node) && ++before == kTurns) break;
  }
  return before;
}

}  // namespace sluice::notice
