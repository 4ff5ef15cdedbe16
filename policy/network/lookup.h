// The packet path's table walk in C++: what bpf/lib does with the same tables. For tests that compare the compiler
// with the evaluator without a kernel, and for nothing else.
#pragma once

#include "policy/network/evaluate.h"
#include "policy/network/tables.h"

namespace sluice::policy {

struct TableVerdict {
  bool allowed = true;
  bool audit_denied = false;
  std::uint32_t egress_decision = 0;   // 0: not a local isolated source
  std::uint32_t ingress_decision = 0;  // 0: likewise
};

TableVerdict LookUp(const Tables& tables, const Flow& flow);

}  // namespace sluice::policy
