// What compiled tables say about an operation, as the programs of bpf/lsm decide it, in C++: for tests, which hold the
// compiler against policy/lsm/evaluate.h without a kernel. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "policy/lsm/compiled.h"
#include "policy/lsm/evaluate.h"

namespace sluice::policy::lsm {

struct TableDecision {
  sl_lsm_verdict verdict = SL_LSM_PASS;
  sl_lsm_reason reason = SL_LSM_BY_RULE;
  std::optional<std::uint32_t> rule;  // in Compiled::rules; absent: it passes
};

// `profile`: in Tables::profiles. `call`: of a SystemCallUse, its number, below SL_LSM_SYSTEM_CALLS. A SystemCallUse
// with a path is judged by the rules about paths only, as its call has been judged before.
TableDecision EvaluateTables(const Compiled& compiled, std::uint32_t profile, const Subject& subject,
                             const Operation& operation, std::uint32_t call = 0);

}  // namespace sluice::policy::lsm
