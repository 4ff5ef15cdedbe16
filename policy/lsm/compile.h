// Policies -> tables for the kernel, or an error that names policy, field and what cannot be enforced. Pure.
//   const auto compiled = Compile({{.key = "shop/web/nginx", .policies = policies, .postures = postures}}, options);
//
// `matchPeers` are not in the tables: the packet path has rules for processes (policy/network).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "policy/lsm/compiled.h"
#include "policy/lsm/postures.h"

namespace sluice::policy::lsm {

struct WorkloadPolicies {
  std::string key;                                      // the same as of its subject (kernel/lsm); empty: the host
  std::vector<std::shared_ptr<const Policy>> policies;  // those that select it, in any order
  Postures postures;
};

struct CompileOptions {
  std::uint64_t seed = 0;  // random, secret
  // The number of the system call, as "openat"; absent: this machine has no such call, so nothing can call it.
  std::optional<std::uint32_t> (*syscall_number)(std::string_view name) = nullptr;
};

// InvalidArgument: the first rule that cannot be enforced, as "policy shop/p: line 12:
// spec.syscalls.matchPaths[0].syscall: ...". ResourceExhausted: what there is too much of.
StatusOr<std::shared_ptr<const Compiled>> Compile(const std::vector<WorkloadPolicies>& workloads,
                                                  const CompileOptions& options);

}  // namespace sluice::policy::lsm
