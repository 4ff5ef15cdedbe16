// In which order the rules of a section decide. Pure.
#pragma once

#include <functional>
#include <tuple>

#include "policy/lsm/match.h"

namespace sluice::policy::lsm {

// A rule that may be about an operation.
struct Candidate {
  const Policy* policy = nullptr;
  const Rule* rule = nullptr;
  Rank rank = {};
};

// The smallest one decides; those of equal rank differ only in name.
inline auto OrderOf(const Candidate& one) {
  return std::make_tuple(one.rule->sources.empty(), one.rank, one.rule->effect.action != Action::kBlock,
                         one.policy->kind, std::cref(one.policy->name), one.rule->place.line,
                         std::cref(one.rule->field));
}

}  // namespace sluice::policy::lsm
