#include "perf/hooks/memory_cost.h"

#include "perf/hooks/kernel_memory.h"
#include "perf/hooks/world.h"

namespace sluice::perf {
namespace {

constexpr int kPolicyCount = 100;
constexpr double kKilobyte = 1000;
constexpr char kUnit[] = "KB";

// Each on a system call of its own, up to the number of these.
std::vector<HookPolicy> OnePolicyEach() {
  constexpr const char* kCallsOfPolicies[] = {
      "openat",   "unlinkat", "mkdirat", "execve",     "fchmodat", "symlink", "rename", "chdir",  "chroot",
      "truncate", "swapoff",  "umount",  "mkdir",      "rmdir",    "creat",   "link",   "unlink", "readlink",
      "chmod",    "chown",    "acct",    "readlinkat", "mknod",    "statfs",  "access"};
  std::vector<HookPolicy> policies;
  for (int i = 0; i < kPolicyCount; ++i) {
    policies.push_back(PolicyOf(
        fmt::format("memory-{}", i),
        {.function = fmt::format("sys_{}", kCallsOfPolicies[static_cast<std::size_t>(i) % std::size(kCallsOfPolicies)]),
         .argument = 0,
         .type = "string",
         .value = fmt::format("/etc/sluice-bench/secret-{}/key", i)}));
  }
  return policies;
}

}  // namespace

std::vector<std::string> MemoryRows() {
  return {"memory/policies:0", "memory/policies:1", "memory/policies:100", "memory/a-policy"};
}

Status MeasureHookMemory(Rows* rows) {
  SL_ASSIGN_OR_RETURN(const double before, BpfBytes());
  SL_ASSIGN_OR_RETURN(const auto world, HookWorld::Load());
  const auto measure = [&](int policies) -> StatusOr<double> {
    SL_ASSIGN_OR_RETURN(const double all, BpfBytes());
    rows->Add(fmt::format("memory/policies:{}", policies), kUnit, (all - before) / kKilobyte, {"memory/policies:0"});
    return all - before;
  };
  const std::vector<HookPolicy> policies = OnePolicyEach();
  SL_ASSIGN_OR_RETURN(const double without, measure(0));
  SL_RETURN_IF_ERROR(world->Put(policies.front()));
  SL_RETURN_IF_ERROR(measure(1).status());
  SL_RETURN_IF_ERROR(world->Put(policies));
  SL_ASSIGN_OR_RETURN(const double with, measure(kPolicyCount));
  // What a policy adds, and the part that it takes of pages of tables.
  double places = 0;
  for (const hooks::PolicyInfo& info : world->tables().List()) places += static_cast<double>(info.bytes);
  if (places <= 0) return MakeError(absl::StatusCode::kInternal, "policies take no places in tables");
  rows->Add("memory/a-policy", kUnit, (with - without + places) / kPolicyCount / kKilobyte);
  return OkStatus();
}

}  // namespace sluice::perf
