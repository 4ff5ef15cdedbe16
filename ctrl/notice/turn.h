// Which agent writes about an object of the cluster. All agents see the object and the nodes, so each knows its turn
// without asking the others. Pure.
#pragma once

#include <chrono>
#include <cstddef>
#include <set>
#include <string>
#include <string_view>

namespace sluice::notice {

// So many agents have a turn, one after the other, each only if those before it did not write.
inline constexpr std::size_t kTurns = 4;
inline constexpr std::chrono::seconds kTurn{10};

// How many of `nodes` come before `node`, at most kTurns. The order is another one for each `uid`, so that the work is
// shared out. `node` need not be one of `nodes`.
std::size_t TurnOf(const std::string& node, const std::set<std::string>& nodes, std::string_view uid);

}  // namespace sluice::notice
