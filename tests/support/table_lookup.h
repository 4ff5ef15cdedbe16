// Looks a flow up in compiled policy tables, as bpf/lib/policy.bpf.h does in the kernel. With it, tests compare the
// compiler with the reference evaluator without a kernel.
#pragma once

#include "policy/network/evaluate.h"
#include "policy/network/tables.h"

namespace sluice::test {

struct TableVerdict {
  bool allowed = true;
  bool audit_denied = false;
  std::uint32_t egress_decision = 0;   // 0: the source is not local, or not isolated
  std::uint32_t ingress_decision = 0;  // 0: the destination is not local, or not isolated
};

TableVerdict LookUp(const policy::Tables& tables, const policy::Flow& flow);

}  // namespace sluice::test
