#include "ctrl/explain/tracing_operation.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>

#include "policy/tracing/evaluate.h"
#include "policy/tracing/syscalls.h"
#include "telemetry/event/text.h"

namespace sluice::explain {
namespace {

using policy::tracing::Action;
using policy::tracing::ActionType;
using policy::tracing::Hook;
using policy::tracing::HookSelector;
using policy::tracing::TracingPolicy;
using policy::tracing::ValueClass;
using OperationKind = TracedOperation::Kind;

// The kernel's masks of accesses (MAY_READ, MAY_WRITE in linux/fs.h).
constexpr std::uint64_t kMayRead = 4;
constexpr std::uint64_t kMayWrite = 2;

// A function that an operation reaches, and which of its arguments follow from the operation.
struct KnownFunction {
  std::string_view name;
  bool is_syscall;
  bool executes;  // else it opens
  int path;       // index of the argument that is, or has, the path
  int mask;       // index of the argument that is the mask of accesses; -1: none
};
constexpr KnownFunction kFunctions[] = {
    {"execve", true, true, 0, -1},
    {"execveat", true, true, 1, -1},
    {"security_bprm_check", false, true, 0, -1},
    {"security_bprm_creds_for_exec", false, true, 0, -1},
    {"security_bprm_creds_from_file", false, true, 0, -1},
    {"open", true, false, 0, -1},
    {"openat", true, false, 1, -1},
    {"openat2", true, false, 1, -1},
    {"security_file_open", false, false, 0, -1},
    {"security_file_permission", false, false, 0, 1},
    {"fd_install", false, false, 1, -1},
};

struct Place {
  std::string name;  // of the function, or of the system call without prefix
  bool is_syscall = false;
};

// "security_bprm_check" for the LSM hook bprm_check_security, as the kernel calls its function.
std::string FunctionOfLsmHook(const std::string& hook) {
  if (hook == "bprm_check_security") return "security_bprm_check";
  return "security_" + hook;
}

std::vector<Place> PlacesOf(const TracingPolicy& policy, const Hook& hook) {
  std::vector<Place> places;
  const auto add = [&](const std::string& function) {
    const auto syscall = policy::tracing::SyscallOfFunction(function);
    places.push_back(syscall ? Place{std::string(*syscall), true} : Place{function, false});
  };
  if (const auto* lsm = std::get_if<policy::tracing::LsmTarget>(&hook.target)) add(FunctionOfLsmHook(lsm->hook));
  if (const auto* function = std::get_if<policy::tracing::FunctionTarget>(&hook.target)) {
    if (!function->function.empty()) add(function->function);
    for (const policy::tracing::List& list : policy.lists) {
      if (list.name == function->list) std::for_each(list.values.begin(), list.values.end(), add);
    }
  }
  if (const auto* tracepoint = std::get_if<policy::tracing::TracepointTarget>(&hook.target)) {
    places.push_back({tracepoint->subsystem + "/" + tracepoint->event, false});
  }
  return places;
}

std::string TextOf(const Place& place) { return (place.is_syscall ? "the system call " : "") + place.name; }

const KnownFunction* FindFunction(const Place& place) {
  const auto* const found = std::find_if(std::begin(kFunctions), std::end(kFunctions), [&](const auto& known) {
    return known.name == place.name && known.is_syscall == place.is_syscall;
  });
  return found == std::end(kFunctions) ? nullptr : found;
}

// What follows from the operation for each argument; absent: nothing.
std::vector<std::optional<policy::tracing::ValueFacts>> ArgumentsOf(const Hook& hook, const KnownFunction& function,
                                                                    const TracedOperation& operation) {
  std::vector<std::optional<policy::tracing::ValueFacts>> facts;
  for (const policy::tracing::Argument& argument : hook.args) {
    auto& value = facts.emplace_back();
    if (!argument.resolve.empty() || argument.source != policy::tracing::Argument::Source::kFunction) continue;
    if (argument.index == function.path) value.emplace().text = operation.path;
    if (argument.index == function.mask) {
      value.emplace().number = operation.kind == OperationKind::kWrite ? kMayWrite : kMayRead;
    }
  }
  return facts;
}

// The selector without the filters that nobody can know here, whose names are added to `unknown`.
HookSelector Known(HookSelector selector, const std::vector<std::optional<policy::tracing::ValueFacts>>& arguments,
                   const TracedOperation& operation, std::vector<std::string>& unknown) {
  const auto drop = [&](auto& filters, const char* name) {
    if (!filters.empty()) unknown.emplace_back(name);
    filters.clear();
  };
  drop(selector.pids, "matchPIDs");
  drop(selector.data, "matchData");
  drop(selector.return_args, "matchReturnArgs");
  drop(selector.parent_binaries, "matchParentBinaries");
  drop(selector.namespaces, "matchNamespaces");
  drop(selector.namespace_changes, "matchNamespaceChanges");
  drop(selector.capabilities, "matchCapabilities");
  drop(selector.capability_changes, "matchCapabilityChanges");
  const auto is_unknown_binary = [&](const policy::tracing::BinaryFilter& filter) {
    return operation.program.empty() || filter.follow_children;
  };
  if (std::erase_if(selector.binaries, is_unknown_binary) != 0) unknown.emplace_back("matchBinaries");
  const auto is_known = [&](std::size_t position) {
    return position < arguments.size() && arguments[position].has_value();
  };
  const auto is_unknown_argument = [&](const policy::tracing::ArgumentFilter& filter) {
    using policy::tracing::Operator;
    const bool of_type = filter.op == Operator::kFileType || filter.op == Operator::kNotFileType;
    return of_type || !filter.values.lists.empty() || !is_known(filter.argument) ||
           (filter.second && !is_known(*filter.second));
  };
  if (std::erase_if(selector.args, is_unknown_argument) != 0) unknown.emplace_back("matchArgs");
  return selector;
}

// What stops the process or the call, as policies write it.
std::vector<std::string> StopsOf(const HookSelector& selector) {
  std::vector<std::string> stops;
  for (const auto* actions : {&selector.actions, &selector.return_actions}) {
    for (const Action& action : *actions) {
      std::string text(policy::tracing::InfoOf(action.type).name);
      if (action.type == ActionType::kSignal) text += fmt::format(" {}", action.signal);
      if (action.type == ActionType::kOverride && action.error) text += fmt::format(" {}", *action.error);
      const bool stops_it = action.type == ActionType::kSigkill || action.type == ActionType::kSignal ||
                            action.type == ActionType::kOverride || action.type == ActionType::kNotifyEnforcer;
      if (stops_it) stops.push_back(std::move(text));
    }
  }
  return stops;
}

std::vector<std::string> ActionsOf(const HookSelector& selector) {
  std::vector<std::string> texts = StopsOf(selector);
  for (const auto* actions : {&selector.actions, &selector.return_actions}) {
    for (const Action& action : *actions) {
      if (action.type == ActionType::kQuarantine) texts.emplace_back("Quarantine");
      if (action.type == ActionType::kNoPost) texts.emplace_back("NoPost");
    }
  }
  if (texts.empty()) texts.emplace_back("Post");
  return texts;
}

class PolicyAnswer {
 public:
  PolicyAnswer(const TracingPolicy& policy, const TracedOperation& operation, TracingAnswer* out)
      : policy_(policy), operation_(operation), out_(out) {
    facts_.subject = operation.subject;
    if (!operation.program.empty()) facts_.process.binary = operation.program;
  }

  void Add(const Hook& hook, std::size_t number) {
    for (const Place& place : PlacesOf(policy_, hook)) {
      const KnownFunction* const function = FindFunction(place);
      if (function == nullptr) {
        NoteUnknown(hook, place);
      } else if (function->executes == (operation_.kind == OperationKind::kExecute)) {
        AddFunction(hook, number, place, *function);
      }
    }
  }

 private:
  // Only hooks that stop something are worth a word.
  void NoteUnknown(const Hook& hook, const Place& place) {
    const bool stops = std::any_of(hook.selectors.begin(), hook.selectors.end(),
                                   [](const HookSelector& one) { return !StopsOf(one).empty(); });
    if (!stops) return;
    out_->notes.push_back(
        fmt::format("TracingPolicy {} stops processes at {}: whether this operation gets there is not evaluated",
                    policy_.name.ToString(), TextOf(place)));
  }

  void AddFunction(const Hook& hook, std::size_t number, const Place& place, const KnownFunction& function) {
    const auto arguments = ArgumentsOf(hook, function, operation_);
    facts_.args.clear();
    for (const auto& value : arguments) facts_.args.push_back(value.value_or(policy::tracing::ValueFacts()));
    const std::vector<HookSelector> everything(1);
    const auto& selectors = hook.selectors.empty() ? everything : hook.selectors;
    for (std::size_t i = 0; i < selectors.size(); ++i) {
      std::vector<std::string> unknown;
      Hook alone = hook;
      alone.selectors = {Known(selectors[i], arguments, operation_, unknown)};
      // Compile has refused what needs other options.
      if (!Evaluate(policy_, alone, facts_).selector) continue;
      AddFinding(hook, number, hook.selectors.empty() ? std::nullopt : std::optional(i), place, unknown);
      if (unknown.empty()) return;  // the first selector that holds is the only one
    }
  }

  void AddFinding(const Hook& hook, std::size_t number, std::optional<std::size_t> selector, const Place& place,
                  const std::vector<std::string>& unknown) {
    auto& finding = out_->findings.emplace_back();
    v1::PolicyRef& ref = *finding.mutable_policy();
    ref.set_kind(policy_.name.ns.empty() ? "TracingPolicy" : "TracingPolicyNamespaced");
    ref.set_api_version(policy::KindApiVersion(policy::Kind::kTracingPolicy));
    ref.set_namespace_(policy_.name.ns);
    ref.set_name(policy_.name.name);
    std::string_view list = policy::tracing::InfoOf(hook.kind).name;
    if (hook.kind == policy::tracing::HookKind::kRawTracepoint) list = "tracepoints";
    ref.set_rule(fmt::format("spec.{}[{}]{}", list, number, selector ? fmt::format(".selectors[{}]", *selector) : ""));
    const HookSelector selected = selector ? hook.selectors[*selector] : HookSelector();
    for (std::string& action : ActionsOf(selected)) finding.add_actions(std::move(action));
    finding.set_hook(TextOf(place));
    for (const std::string& filter : unknown) finding.add_unknown(filter);
    finding.set_monitor(policy_.mode == TracingPolicy::Mode::kMonitor);
    finding.set_stops(!finding.monitor() && !StopsOf(selected).empty());
    ref.set_effect(finding.stops() ? v1::PolicyRef::DENY : v1::PolicyRef::AUDIT);
    if (finding.monitor() && !StopsOf(selected).empty()) ref.set_would(v1::PolicyRef::DENY);
  }

  const TracingPolicy& policy_;
  const TracedOperation& operation_;
  policy::tracing::Facts facts_;
  TracingAnswer* const out_;
};

}  // namespace

TracingAnswer AnswerOf(const TracingPolicy& policy, const TracedOperation& operation) {
  TracingAnswer answer;
  if (!Includes(policy.scope, policy.name, operation.subject)) return answer;
  PolicyAnswer add(policy, operation, &answer);
  // A hook's place in its own list of the file.
  std::map<std::string_view, std::size_t> numbers;
  for (const Hook& hook : policy.hooks) {
    const bool raw = hook.kind == policy::tracing::HookKind::kRawTracepoint;
    add.Add(hook, numbers[raw ? "tracepoints" : policy::tracing::InfoOf(hook.kind).name]++);
  }
  return answer;
}

}  // namespace sluice::explain
