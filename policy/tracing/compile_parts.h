// What the files of the compiler share. Not for others: they use policy/tracing/compile.h.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/tracing/compile.h"

namespace sluice::policy::tracing {

// A field of the policy that is compiled, so that a problem can name it. Refers to `policy` and `problems`.
class PolicyField {
 public:
  PolicyField(const TracingPolicy& policy, std::vector<Problem>& problems)
      : policy_(&policy), problems_(&problems), place_(policy.place), path_("spec") {}

  PolicyField At(std::string_view key) const;                     // spec.loader
  PolicyField At(std::string_view key, std::size_t index) const;  // spec.kprobes[0]
  PolicyField From(const Place& place) const;                     // the same field; problems in it are at `place`

  void Error(std::string_view what) const;
  // The sentence for what Sluice can check, but cannot do.
  void NotYet(std::string_view what = "it") const;

 private:
  const TracingPolicy* policy_;
  std::vector<Problem>* problems_;
  Place place_;
  std::string path_;
};

struct HookParts {
  const TracingPolicy& policy;
  const Hook& hook;
  const CompileOptions& options;
  std::vector<HookPoint> points;  // at least one
};

bool IsSyscall(const HookParts& parts);

// "dup" for "sys_dup" and "x64/sys_dup", the values of a list of system calls; absent: a call of another ABI than the
// one that this is compiled for.
std::optional<std::string_view> ListedSyscall(std::string_view value);

// Where the hook is attached; empty: problems say why it cannot be.
std::vector<HookPoint> PointsOf(const TracingPolicy& policy, const Hook& hook, const PolicyField& field);

// Each fills its part of `compiled`, all but its point.
void CompileArguments(const HookParts& parts, const PolicyField& field, CompiledHook& compiled);
void CompileSelectors(const HookParts& parts, const PolicyField& field, CompiledHook& compiled,
                      std::vector<Scope>& scopes);

// The tests of one filter. The filter holds if one of them does, or with `negated` if none does.
struct FilterTests {
  bool negated = false;
  std::vector<sl_hook_test> tests;
};

// `position` is the argument's in the compiled hook.
FilterTests CompileArgumentFilter(const HookParts& parts, const ArgumentFilter& filter, const Argument& argument,
                                  std::size_t position, const PolicyField& field, CompiledHook& compiled);
// The filters on the process: pids, binaries, namespaces, capabilities and workloads.
std::vector<FilterTests> CompileProcessFilters(const HookParts& parts, const HookSelector& selector,
                                               const PolicyField& field, CompiledHook& compiled,
                                               std::vector<Scope>& scopes);
sl_hook_selector CompileActions(const HookParts& parts, const HookSelector& selector, const PolicyField& field);

// Tests with nothing but their kind, field and numbers.
sl_hook_test MakeTest(sl_hook_test_kind kind, sl_hook_field field, std::uint64_t first = 0, std::uint64_t last = 0);
sl_hook_test TextTest(sl_hook_test_kind kind, sl_hook_field field, std::string_view text, CompiledHook& compiled);

}  // namespace sluice::policy::tracing
