// Whether a rule is about an operation, and how precisely it names it. Pure.
#pragma once

#include <array>
#include <string_view>

#include "policy/lsm/evaluate.h"

namespace sluice::policy::lsm {

// Smaller is more precise: rules are asked in this order.
using Rank = std::array<std::uint32_t, 4>;

bool FromSource(const Rule& rule, const Subject& subject);
bool Matches(const PathTarget& target, std::string_view path);
bool Matches(const PeerRule& rule, const Contact& contact);
bool Matches(const SyscallRule& rule, const SystemCallUse& use);
bool Matches(Preset preset, const Operation& operation);

// Of what a rule is about, without its source.
Rank RankOf(const PathTarget& target);
Rank RankOf(const ProtocolRule& rule);
Rank RankOf(const PeerRule& rule);

}  // namespace sluice::policy::lsm
