// The names of effects, for what tests compare and print.
#pragma once

#include "policy/network/decision.h"

namespace sluice::test {

// As in the API: "ALLOW", "DENY", "DEFAULT_DENY", "AUDIT".
inline const char* EffectName(policy::Effect effect) {
  switch (effect) {
    case policy::Effect::kAllow:
      return "ALLOW";
    case policy::Effect::kDeny:
      return "DENY";
    case policy::Effect::kDefaultDeny:
      return "DEFAULT_DENY";
    case policy::Effect::kAudit:
      return "AUDIT";
  }
  return "UNKNOWN";
}

}  // namespace sluice::test
