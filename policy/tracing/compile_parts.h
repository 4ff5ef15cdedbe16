// What the files of the compiler share. Not for others: they use policy/tracing/compile.h.
#pragma once

#include <optional>
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
  std::vector<HookPoint> points;                  // at least one
  std::vector<TracepointField> fields = {};       // of a tracepoint whose arguments are in a record
  std::vector<CompiledHook>* marking = nullptr;   // hooks that mark processes are put here
  std::vector<std::string> probe_arguments = {};  // of a static probe, as its note says them
};

bool IsSyscall(const HookParts& parts);
// Whether addresses among the arguments are those of a program's own memory.
bool IsOfProgram(const HookParts& parts);

// "dup" for "sys_dup" and "x64/sys_dup", the values of a list of system calls; absent: a call of another ABI than the
// one that this is compiled for.
std::optional<std::string_view> ListedSyscall(std::string_view value);

// "dup" for each call of this machine whose function, "sys_dup", the list's pattern matches.
std::vector<std::string> GeneratedSyscalls(const List& list, const CompileOptions& options);

// Where a function or the functions of a list are; empty: problems of `field` say why they are nowhere.
std::vector<HookPoint> PointsOfList(const List& list, HookPoint::Kind of_function, const CompileOptions& options,
                                    const PolicyField& field);
const List& ListOf(const TracingPolicy& policy, const std::string& name);

// Hooks for the policy's enforcer.
void CompileEnforcer(const TracingPolicy& policy, const CompileOptions& options, const PolicyField& spec,
                     CompiledPolicy& compiled);
// The place where a program may return an error instead of the function; absent: there is none.
std::optional<HookPoint> DenyingPoint(HookPoint point);

// Where the hook is attached; empty: problems say why it cannot be.
std::vector<HookPoint> PointsOf(const TracingPolicy& policy, const Hook& hook, const CompileOptions& options,
                                const PolicyField& field);

// A place in a program, and what is read there.
struct ProgramPlace {
  HookPoint point;
  std::vector<std::string> arguments;  // of a static probe
};
// The same for uprobes and usdts. `ignored`: the policy wants the hook left out if the file is not the right one, and
// it is not.
std::vector<ProgramPlace> PlacesInProgram(const Hook& hook, const CompileOptions& options, const PolicyField& field);

// Reads args[n] of a tracepoint out of its record. The way there goes to `compiled`.
sl_hook_argument CompileRecordArgument(const HookParts& parts, const Argument& argument, const PolicyField& field,
                                       CompiledHook& compiled);
// Reads args[n] of a static probe as its note says.
sl_hook_argument CompileProbeArgument(const HookParts& parts, const Argument& argument, const PolicyField& field,
                                      CompiledHook& compiled);

// How the kernel reads a value of the type, wherever it is. `of_program`: an address is that of a program's memory.
sl_hook_argument CompileRead(const Argument& argument, ArgType type, bool of_program, const PolicyField& field);
void AddWay(const std::vector<std::uint64_t>& steps, sl_hook_argument& read, CompiledHook& compiled);
// sizeArgIndex of arguments that are not in registers: the position in args of the entry with that index.
void CompileSizeInArgs(const HookParts& parts, const Argument& argument, const PolicyField& field,
                       sl_hook_argument& read);

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

// ASCII letters only.
std::string LowerCase(std::string text);

// Tests with nothing but their kind, field and numbers.
sl_hook_test MakeTest(sl_hook_test_kind kind, sl_hook_field field, std::uint64_t first = 0, std::uint64_t last = 0);
sl_hook_test TextTest(sl_hook_test_kind kind, sl_hook_field field, std::string_view text, CompiledHook& compiled);

}  // namespace sluice::policy::tracing
