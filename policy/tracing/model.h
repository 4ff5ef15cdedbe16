// What a TracingPolicy says, after parsing and checking (policy/tracing/parser.h): plain values, immutable once built,
// safe to share between threads. Every name, index and value in it has been checked against the rest of the policy.
// What only the running kernel can say (whether it has a function) has not.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "policy/resource/model.h"
#include "policy/resource/yaml.h"
#include "policy/tracing/action_types.h"
#include "policy/tracing/arg_types.h"
#include "policy/tracing/hook_kinds.h"
#include "policy/tracing/operators.h"

namespace sluice::policy::tracing {

// An entry of args, data or returnArg.
struct Argument {
  enum class Source { kFunction, kCurrentTask, kRegisters };

  int index = 0;  // of the function's arguments, or of the tracepoint's fields, from 0
  ArgType type = ArgType::kAuto;
  Source source = Source::kFunction;  // others in data only
  std::vector<std::string> resolve;   // fields to follow from the argument on: {"mm", "owner", "[0]", "comm"}
  std::optional<int> size_index;      // of the argument that has the size in bytes, from 0
  bool return_copy = false;           // read when the function returns
  bool max_data = false;              // read as much as can be, instead of one page
  std::string label;                  // for events
  std::string btf_type;               // the kernel's type to take the argument for; empty: as in its prototype
  std::string btf_module;             // that defines btf_type; empty: the kernel itself
};

// Both ends included. Of signed arguments, a number is sign-extended to 64 bits.
struct NumberRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  bool operator==(const NumberRange&) const = default;
};

// The values of a filter on an argument. Which member is used follows from the operator and the argument's type.
struct FilterValues {
  std::vector<NumberRange> numbers;  // also ports, protocols, families, states, file types, masks of capabilities
  std::vector<std::string> texts;    // strings and paths, without a NUL at the end
  std::vector<Prefix> addresses;     // single ones as /32 and /128
  std::vector<std::string> lists;    // names of the policy's lists (InMap and NotInMap)
};

struct ArgumentFilter {
  std::size_t argument = 0;           // position in args or data; 0 in return_args
  std::optional<std::size_t> second;  // likewise, for CapabilitiesGained
  Operator op = Operator::kEqual;
  FilterValues values;
};

struct PidFilter {
  bool negated = false;
  std::vector<std::uint32_t> pids;
  bool in_namespace = false;  // pids are those of the process's own pid namespace
  bool follow_forks = false;  // descendants match, too
};

struct BinaryFilter {
  SetOperator op = SetOperator::kIn;
  std::vector<std::string> paths;
  bool follow_children = false;  // descendants match, too
};

enum class NamespaceType { kUts, kIpc, kMnt, kPid, kPidForChildren, kNet, kTime, kTimeForChildren, kCgroup, kUser };
inline constexpr std::size_t kNamespaceTypeCount = 10;

struct NamespaceFilter {
  NamespaceType type = NamespaceType::kPid;
  bool negated = false;
  std::vector<std::uint32_t> inodes;  // as in /proc/PID/ns/*
  bool host = false;                  // the host's own namespace is one of the values
};

struct NamespaceChangeFilter {
  bool negated = false;
  std::vector<NamespaceType> types;
};

enum class CapabilitySet { kEffective, kInheritable, kPermitted };

struct CapabilityFilter {
  CapabilitySet set = CapabilitySet::kEffective;
  bool negated = false;
  bool in_namespace = false;  // counts only outside the host's user namespace
  std::uint64_t mask = 0;     // bit n: capability n
};

// Which workloads. None of the three: everything, the host included.
struct Scope {
  std::optional<Selector> pods;        // labels of pods
  std::optional<Selector> containers;  // "labels" name and repo of containers
  bool host = false;                   // processes that belong to no pod
};

struct Action {
  enum class RateScope { kThread, kProcess, kGlobal };

  ActionType type = ActionType::kPost;
  std::int64_t rate_limit = 0;  // seconds in which a repeated event is left out; 0: none
  RateScope rate_scope = RateScope::kThread;
  bool kernel_stack = false;
  bool user_stack = false;
  bool ima_hash = false;
  std::optional<int> error;            // what Override returns: an errno is negative, as in the kernel
  int signal = 0;                      // of Signal and NotifyEnforcer; 0: none
  std::size_t socket = 0;              // position in args, for TrackSock and UntrackSock
  std::vector<std::string> registers;  // "rax=1": uprobes
  std::string new_symbol;              // to run instead: uprobes
  std::optional<std::uint64_t> new_address;
  std::optional<std::uint64_t> new_offset;
  std::size_t argument = 0;  // position in args, for Set
  std::uint32_t value = 0;   // for Set
};

// All filters must match. The actions of the hook's first selector that matches are taken, and no others.
struct HookSelector {
  std::string label;
  std::vector<PidFilter> pids;
  std::vector<ArgumentFilter> args;
  std::vector<ArgumentFilter> data;
  std::vector<ArgumentFilter> return_args;
  std::vector<BinaryFilter> binaries;
  std::vector<BinaryFilter> parent_binaries;
  std::vector<NamespaceFilter> namespaces;
  std::vector<NamespaceChangeFilter> namespace_changes;
  std::vector<CapabilityFilter> capabilities;
  std::vector<CapabilityFilter> capability_changes;
  std::vector<Scope> workloads;
  std::vector<Action> actions;         // empty: Post
  std::vector<Action> return_actions;  // when return_args match
};

// kprobes and fentries. Exactly one of `function` and `list` is set.
struct FunctionTarget {
  std::string function;         // as written; of a system call "sys_openat" or with the kernel's prefix
  std::string list;             // a list of the policy: a hook on each of its functions
  bool syscall = false;         // of `function`; lists say it themselves
  bool ignore_missing = false;  // a kernel without the function is no error
};
struct TracepointTarget {
  std::string subsystem;
  std::string event;
};
struct LsmTarget {
  std::string hook;  // "file_open"
};
// Exactly one of symbols, offsets and addresses is not empty.
struct UprobeTarget {
  std::string path;
  std::string btf_path;
  std::vector<std::string> symbols;
  std::vector<std::uint64_t> offsets;
  std::vector<std::uint64_t> addresses;
  std::vector<std::uint64_t> counters;  // offsets of reference counters; empty, or one for each place
  std::vector<std::string> digests;     // "sha256:HEX": the file must be one of these; empty: any
  bool ignore_digest = false;           // a file with another digest is no error
};
struct UsdtTarget {
  std::string path;
  std::string btf_path;
  std::string provider;
  std::string name;
};

struct Hook {
  HookKind kind = HookKind::kKprobe;
  Place place;  // in the file, for errors of the kernel
  std::variant<FunctionTarget, TracepointTarget, LsmTarget, UprobeTarget, UsdtTarget> target;
  std::string message;  // for events
  std::vector<std::string> tags;
  std::vector<Argument> args;
  std::vector<Argument> data;
  bool returns = false;                // an event has the return value, too
  std::optional<Argument> return_arg;  // without `returns` it has no effect, as in Tetragon
  std::optional<ActionType> return_action;
  std::vector<HookSelector> selectors;  // one must match; empty: everything does
};

struct List {
  enum class Type { kFunctions, kSyscalls, kGeneratedSyscalls, kGeneratedFtrace };

  std::string name;
  Type type = Type::kFunctions;
  std::vector<std::string> values;  // functions or system calls; empty: the kernel generates them
  std::string pattern;              // RE2 that generated names match; empty: all
};

// Functions and lists where what NotifyEnforcer left is done. Exactly one member is set.
struct EnforcerCall {
  std::string function;
  std::string list;
};

struct TracingPolicy {
  enum class Mode { kDefault, kEnforce, kMonitor };

  ObjectName name;  // with a namespace: a TracingPolicyNamespaced
  Place place;      // of its spec
  std::vector<Hook> hooks;
  bool loader = false;  // events of loaded programs and libraries
  Scope scope;
  std::optional<Selector> nodes;  // labels of nodes
  std::vector<List> lists;
  std::vector<EnforcerCall> enforcer;
  Mode mode = Mode::kDefault;
  bool no_kprobe_multi = false;
  bool no_uprobe_multi = false;
};

}  // namespace sluice::policy::tracing
