// The packet path's table lookup in C++: the same as in bpf/lib. Only for tests that compare the compiler with the
// evaluator without a kernel.
#pragma once

#include "policy/network/evaluate.h"
#include "policy/network/tables.h"

namespace sluice::policy {

struct TableVerdict {
  bool allowed = true;
  bool audit_denied = false;
  std::uint32_t egress_decision = 0;   // 0: not a local isolated source
  std::uint32_t ingress_decision = 0;  // 0: not a local isolated destination
};

TableVerdict LookUp(const Tables& tables, const Flow& flow);

}  // namespace sluice::policy
