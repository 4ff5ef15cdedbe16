#include "policy/tracing/evaluate.h"

#include <algorithm>

#include "policy/tracing/compile_parts.h"

namespace sluice::policy::tracing {
namespace {

constexpr std::uint64_t kTypeOfFile = 0170000;  // S_IFMT
constexpr int kSigkill = 9;

template <typename Values, typename Test>
bool Any(const Values& values, Test test) {
  return std::any_of(values.begin(), values.end(), test);
}

template <typename Filters, typename Test>
bool All(const Filters& filters, Test test) {
  return std::all_of(filters.begin(), filters.end(), test);
}

bool IsBelow(std::uint64_t a, std::uint64_t b, bool is_signed) {
  return is_signed ? static_cast<std::int64_t>(a) < static_cast<std::int64_t>(b) : a < b;
}

std::string WithoutCase(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  return text;
}

// One filter on one argument, without the "Not" of its operator. What cannot be read matches nothing.
class ArgumentMatch {
 public:
  // `listed`: the numbers of the system calls in the lists that the filter names.
  ArgumentMatch(const ArgumentFilter& filter, const Argument& argument, const ValueFacts& value,
                const ValueFacts& second, std::vector<std::uint64_t> listed)
      : filter_(&filter),
        is_signed_(InfoOf(argument.type).values == ValueClass::kSigned),
        value_(&value),
        second_(&second),
        listed_(std::move(listed)) {}

  bool Holds() const {
    const FilterValues& values = filter_->values;
    switch (filter_->op) {
      case Operator::kEqual:
        return IsInRange() || AnyText([](const auto& text, const auto& value) { return text == value; });
      case Operator::kNotEqual:
        return !(IsInRange() || AnyText([](const auto& text, const auto& value) { return text == value; }));
      case Operator::kGreaterThan:
        return AnyNumber([&](auto number, auto value) { return IsBelow(value, number, is_signed_); });
      case Operator::kLessThan:
        return AnyNumber([&](auto number, auto value) { return IsBelow(number, value, is_signed_); });
      case Operator::kMask:
        return AnyNumber([](auto number, auto value) { return (number & value) != 0; });
      case Operator::kInRange:
        return IsInRange();
      case Operator::kNotInRange:
        return !IsInRange();
      case Operator::kInMap:
        return IsInRange() || IsInLists();
      case Operator::kNotInMap:
        return !(IsInRange() || IsInLists());
      case Operator::kPrefix:
        return AnyText([](const auto& text, const auto& value) { return text.starts_with(value); });
      case Operator::kNotPrefix:
        return !AnyText([](const auto& text, const auto& value) { return text.starts_with(value); });
      case Operator::kPostfix:
        return AnyText([](const auto& text, const auto& value) { return text.ends_with(value); });
      case Operator::kNotPostfix:
        return !AnyText([](const auto& text, const auto& value) { return text.ends_with(value); });
      case Operator::kSubString:
        return AnyText([](const auto& text, const auto& value) { return text.find(value) != std::string::npos; });
      case Operator::kSubStringIgnCase:
        return AnyText([](const auto& text, const auto& value) {
          return WithoutCase(text).find(WithoutCase(value)) != std::string::npos;
        });
      case Operator::kSAddr:
        return HasAddress(&SocketFacts::source);
      case Operator::kNotSAddr:
        return !HasAddress(&SocketFacts::source);
      case Operator::kDAddr:
        return HasAddress(&SocketFacts::destination);
      case Operator::kNotDAddr:
        return !HasAddress(&SocketFacts::destination);
      case Operator::kSPort:
        return SocketHas(&SocketFacts::source_port, values.numbers);
      case Operator::kNotSPort:
        return !SocketHas(&SocketFacts::source_port, values.numbers);
      case Operator::kSPortPriv:
        return SocketHas(&SocketFacts::source_port, {{0, 1023}});
      case Operator::kNotSPortPriv:
        return !SocketHas(&SocketFacts::source_port, {{0, 1023}});
      case Operator::kDPort:
        return SocketHas(&SocketFacts::destination_port, values.numbers);
      case Operator::kNotDPort:
        return !SocketHas(&SocketFacts::destination_port, values.numbers);
      case Operator::kDPortPriv:
        return SocketHas(&SocketFacts::destination_port, {{0, 1023}});
      case Operator::kNotDPortPriv:
        return !SocketHas(&SocketFacts::destination_port, {{0, 1023}});
      case Operator::kProtocol:
        return SocketHas(&SocketFacts::protocol, values.numbers);
      case Operator::kFamily:
        return value_->socket ? SocketHas(&SocketFacts::family, values.numbers) : IsInRange();
      case Operator::kState:
        return SocketHas(&SocketFacts::state, values.numbers);
      case Operator::kCapabilitiesGained:
        return value_->number && second_->number && (*value_->number & ~*second_->number) != 0;
      case Operator::kFileType:
        return IsOfFileType();
      case Operator::kNotFileType:
        return !IsOfFileType();
      case Operator::kCelExpr:
        break;
    }
    return false;
  }

 private:
  template <typename Test>
  bool AnyNumber(Test test) const {
    return value_->number &&
           Any(filter_->values.numbers, [&](const NumberRange& value) { return test(*value_->number, value.first); });
  }
  template <typename Test>
  bool AnyText(Test test) const {
    return value_->text &&
           Any(filter_->values.texts, [&](const std::string& value) { return test(*value_->text, value); });
  }
  bool IsInRange() const {
    return value_->number && Any(filter_->values.numbers, [&](const NumberRange& range) {
             return !IsBelow(*value_->number, range.first, is_signed_) &&
                    !IsBelow(range.last, *value_->number, is_signed_);
           });
  }
  bool IsInLists() const {
    return value_->number && Any(listed_, [&](std::uint64_t number) { return number == *value_->number; });
  }
  bool HasAddress(std::optional<Address> SocketFacts::*member) const {
    if (!value_->socket) return false;
    const std::optional<Address>& address = *value_->socket.*member;
    return address && Any(filter_->values.addresses, [&](const Prefix& prefix) { return prefix.Contains(*address); });
  }
  template <typename Number>
  bool SocketHas(Number SocketFacts::*member, const std::vector<NumberRange>& ranges) const {
    if (!value_->socket) return false;
    const std::uint64_t number = *value_->socket.*member;
    return Any(ranges, [&](const NumberRange& range) { return range.first <= number && number <= range.last; });
  }
  bool IsOfFileType() const {
    return AnyNumber([](auto number, auto value) { return (number & kTypeOfFile) == value; });
  }

  const ArgumentFilter* filter_;
  bool is_signed_;
  const ValueFacts* value_;
  const ValueFacts* second_;
  std::vector<std::uint64_t> listed_;
};

// What the policy's filters refer to.
struct Context {
  const TracingPolicy& policy;
  const CompileOptions& options;

  std::vector<std::uint64_t> Listed(const ArgumentFilter& filter) const {
    std::vector<std::uint64_t> numbers;
    for (const List& list : policy.lists) {
      if (!Any(filter.values.lists, [&](const std::string& name) { return name == list.name; })) continue;
      if (list.type == List::Type::kGeneratedSyscalls) {
        for (const std::string& name : GeneratedSyscalls(list, options))
          numbers.push_back(*options.syscall_number(name));
      }
      for (const std::string& value : list.values) {
        if (const auto name = ListedSyscall(value)) numbers.push_back(options.syscall_number(*name).value());
      }
    }
    return numbers;
  }
};

bool HoldsFor(const ArgumentFilter& filter, const std::vector<Argument>& arguments,
              const std::vector<ValueFacts>& values, const Context& context) {
  return ArgumentMatch(filter, arguments[filter.argument], values[filter.argument],
                       values[filter.second.value_or(filter.argument)], context.Listed(filter))
      .Holds();
}

bool PidHolds(const PidFilter& filter, const ProcessFacts& process) {
  const auto is_one = [&](std::uint32_t pid) { return Any(filter.pids, [&](auto value) { return value == pid; }); };
  bool matches = is_one(filter.in_namespace ? process.namespaced_pid : process.pid);
  const std::vector<std::uint32_t>& ancestors = filter.in_namespace ? process.namespaced_ancestors : process.ancestors;
  if (filter.follow_forks) matches = matches || Any(ancestors, is_one);
  return matches != filter.negated;
}

bool WasExecuted(const BinaryFilter& filter, const ProcessFacts& process) {
  return Any(process.executed, [&](const std::string& path) {
    return Any(filter.paths, [&](const std::string& value) { return path == value; });
  });
}

bool BinaryHolds(const BinaryFilter& filter, const std::optional<std::string>& path) {
  const auto any = [&](auto test) { return path && Any(filter.paths, test); };
  switch (filter.op) {
    case SetOperator::kIn:
      return any([&](const std::string& value) { return *path == value; });
    case SetOperator::kNotIn:
      return !any([&](const std::string& value) { return *path == value; });
    case SetOperator::kPrefix:
      return any([&](const std::string& value) { return path->starts_with(value); });
    case SetOperator::kNotPrefix:
      return !any([&](const std::string& value) { return path->starts_with(value); });
    case SetOperator::kPostfix:
      return any([&](const std::string& value) { return path->ends_with(value); });
    case SetOperator::kNotPostfix:
      return !any([&](const std::string& value) { return path->ends_with(value); });
  }
  return false;
}

bool NamespaceHolds(const NamespaceFilter& filter, const ProcessFacts& process, const CompileOptions& options) {
  const auto type = static_cast<std::size_t>(filter.type);
  const std::uint32_t inode = process.namespaces[type];
  const bool matches = Any(filter.inodes, [&](std::uint32_t value) { return value == inode; }) ||
                       (filter.host && inode == options.host_namespaces[type]);
  return matches != filter.negated;
}

bool NamespaceChangeHolds(const NamespaceChangeFilter& filter, const ProcessFacts& process) {
  const bool changed = Any(filter.types, [&](NamespaceType type) {
    const auto number = static_cast<std::size_t>(type);
    return process.namespaces[number] != process.namespaces_at_exec[number];
  });
  return changed != filter.negated;
}

bool IsInHostUserNamespace(const ProcessFacts& process, const CompileOptions& options) {
  const auto user = static_cast<std::size_t>(NamespaceType::kUser);
  return process.namespaces[user] == options.host_namespaces[user];
}

bool CapabilityHolds(const CapabilityFilter& filter, std::uint64_t capabilities, const ProcessFacts& process,
                     const CompileOptions& options) {
  const bool counts = !filter.in_namespace || !IsInHostUserNamespace(process, options);
  const bool matches = counts && (capabilities & filter.mask) != 0;
  return matches != filter.negated;
}

// All filters of a selector but those on arguments and on the return value.
bool ProcessHolds(const HookSelector& selector, const Facts& facts, const Context& context) {
  const CompileOptions& options = context.options;
  const ProcessFacts& process = facts.process;
  const auto now = [&](CapabilitySet set) { return process.capabilities[static_cast<std::size_t>(set)]; };
  const auto changes = [&](CapabilitySet set) {
    return now(set) ^ process.capabilities_at_exec[static_cast<std::size_t>(set)];
  };
  return All(selector.workloads, [&](const Scope& one) { return Includes(one, context.policy.name, facts.subject); }) &&
         All(selector.pids, [&](const PidFilter& one) { return PidHolds(one, process); }) &&
         All(selector.binaries,
             [&](const BinaryFilter& one) {
               return one.follow_children ? WasExecuted(one, process) != (one.op == SetOperator::kNotIn)
                                          : BinaryHolds(one, process.binary);
             }) &&
         All(selector.parent_binaries,
             [&](const BinaryFilter& one) { return BinaryHolds(one, process.parent_binary); }) &&
         All(selector.namespaces, [&](const NamespaceFilter& one) { return NamespaceHolds(one, process, options); }) &&
         All(selector.namespace_changes,
             [&](const NamespaceChangeFilter& one) { return NamespaceChangeHolds(one, process); }) &&
         All(selector.capabilities,
             [&](const CapabilityFilter& one) { return CapabilityHolds(one, now(one.set), process, options); }) &&
         All(selector.capability_changes,
             [&](const CapabilityFilter& one) { return CapabilityHolds(one, changes(one.set), process, options); });
}

bool ArgumentsHold(const HookSelector& selector, const Hook& hook, const Facts& facts, const Context& context) {
  return All(selector.args, [&](const ArgumentFilter& one) { return HoldsFor(one, hook.args, facts.args, context); }) &&
         All(selector.data, [&](const ArgumentFilter& one) { return HoldsFor(one, hook.data, facts.data, context); });
}

bool ReturnHolds(const HookSelector& selector, const Hook& hook, const Facts& facts, const Context& context) {
  return All(selector.return_args, [&](const ArgumentFilter& one) {
    return ArgumentMatch(one, *hook.return_arg, facts.result, facts.result, context.Listed(one)).Holds();
  });
}

Deeds DeedsOf(const std::vector<Action>& actions) {
  Deeds deeds;
  for (const Action& action : actions) {
    switch (action.type) {
      case ActionType::kSigkill:
        deeds.signal = kSigkill;
        break;
      case ActionType::kSignal:
        deeds.signal = action.signal;
        break;
      case ActionType::kOverride:
        deeds.error = action.error;
        break;
      case ActionType::kQuarantine:
        deeds.quarantine = true;
        break;
      case ActionType::kTrackSock:
        deeds.tracked = action.socket;
        break;
      case ActionType::kUntrackSock:
        deeds.untracked = action.socket;
        break;
      case ActionType::kNotifyEnforcer:
        deeds.enforcer_error = action.error.value_or(0);
        deeds.enforcer_signal = action.signal;
        break;
      case ActionType::kCleanupEnforcerNotification:
        deeds.clears_enforcer = true;
        break;
      default:
        break;
    }
  }
  return deeds;
}

// What the selector's actions make of the event. Without any of them there is one.
std::optional<Event> EventOf(const HookSelector& selector) {
  Event event;
  for (const std::vector<Action>* actions : {&selector.actions, &selector.return_actions}) {
    for (const Action& action : *actions) {
      if (action.type == ActionType::kNoPost) return std::nullopt;
      if (action.type != ActionType::kPost) continue;
      if (action.rate_limit != 0) {
        event.rate_limit = action.rate_limit;
        event.rate_scope = action.rate_scope;
      }
      event.kernel_stack = event.kernel_stack || action.kernel_stack;
      event.user_stack = event.user_stack || action.user_stack;
    }
  }
  return event;
}

}  // namespace

Outcome Evaluate(const TracingPolicy& policy, const Hook& hook, const Facts& facts, const CompileOptions& options) {
  Outcome outcome;
  if (!Includes(policy.scope, policy.name, facts.subject)) return outcome;
  const std::vector<HookSelector> everything(1);
  const std::vector<HookSelector>& selectors = hook.selectors.empty() ? everything : hook.selectors;
  const Context context{.policy = policy, .options = options};
  // The tracepoint of a system call's exit has all its arguments, and does everything, when the call returns.
  const bool all_at_return = IsSyscallExit(hook);
  const auto selector = std::find_if(selectors.begin(), selectors.end(), [&](const HookSelector& one) {
    return ProcessHolds(one, facts, context) && (all_at_return || ArgumentsHold(one, hook, facts, context));
  });
  if (selector == selectors.end()) return outcome;
  outcome.selector = static_cast<std::size_t>(selector - selectors.begin());
  if (!all_at_return) outcome.at_begin = DeedsOf(selector->actions);
  const bool holds_at_return =
      all_at_return ? ArgumentsHold(*selector, hook, facts, context) : ReturnHolds(*selector, hook, facts, context);
  if (!holds_at_return) return outcome;
  outcome.at_return = DeedsOf(all_at_return ? selector->actions : selector->return_actions);
  if (hook.return_action == ActionType::kTrackSock) outcome.at_return.tracked = kResult;
  if (hook.return_action == ActionType::kUntrackSock) outcome.at_return.untracked = kResult;
  outcome.event = EventOf(*selector);
  return outcome;
}

}  // namespace sluice::policy::tracing
