#include <algorithm>
#include <cstring>

#include "policy/tracing/evaluate.h"

namespace sluice::policy::tracing {
namespace {

constexpr std::uint64_t kFileTypeBits = 0170000;  // S_IFMT

// What the BPF programs have of one hook when they run its tests.
class TableReader {
 public:
  TableReader(const CompiledPolicy& policy, const CompiledHook& hook, const Facts& facts)
      : policy_(&policy), hook_(&hook), facts_(&facts) {}

  // The first selector whose tests from `position` up to `end` hold.
  std::optional<std::size_t> FirstSelector(std::size_t position, std::size_t end) const {
    while (position < end) {
      const sl_hook_test& test = hook_->tests[position];
      const bool negated = (test.flags & SL_HOOK_TEST_NEGATED) != 0;
      const bool holds = Holds(test);
      if (!holds && position < test.filter_last) {
        ++position;  // another value of the filter may
      } else if (holds == negated) {
        position = std::size_t{test.selector_last} + 1;
      } else if (test.filter_last == test.selector_last) {
        return test.selector;
      } else {
        position = std::size_t{test.filter_last} + 1;
      }
    }
    return std::nullopt;
  }

  // Whether the tests of `selector` at the return hold.
  bool HoldsAtReturn(std::size_t selector) const {
    const std::size_t end = hook_->hook.test_count;
    std::size_t position = end - hook_->hook.return_tests;
    while (position < end && hook_->tests[position].selector != selector) {
      position = std::size_t{hook_->tests[position].selector_last} + 1;
    }
    return position < end && FirstSelector(position, std::size_t{hook_->tests[position].selector_last} + 1).has_value();
  }

 private:
  const ValueFacts& ValueOf(std::size_t argument) const {
    if (argument == SL_HOOK_ARGUMENTS) return facts_->result;
    const std::size_t args = facts_->args.size();
    return argument < args ? facts_->args[argument] : facts_->data[argument - args];
  }

  std::optional<std::uint64_t> NumberOf(const sl_hook_test& test) const {
    const ProcessFacts& process = facts_->process;
    if (test.field >= SL_HOOK_FIELD_NAMESPACE_UTS && test.field <= SL_HOOK_FIELD_NAMESPACE_USER) {
      return process.namespaces[test.field - SL_HOOK_FIELD_NAMESPACE_UTS];
    }
    if (test.field >= SL_HOOK_FIELD_CAPABILITIES_EFFECTIVE && test.field <= SL_HOOK_FIELD_CAPABILITIES_PERMITTED) {
      return process.capabilities[test.field - SL_HOOK_FIELD_CAPABILITIES_EFFECTIVE];
    }
    if (test.field == SL_HOOK_FIELD_PID) return process.pid;
    if (test.field == SL_HOOK_FIELD_NAMESPACED_PID) return process.namespaced_pid;
    const ValueFacts& value = ValueOf(test.argument);
    if (test.field == SL_HOOK_FIELD_VALUE) return value.number;
    if (test.field == SL_HOOK_FIELD_FILE_TYPE) {
      return value.number ? std::optional(*value.number & kFileTypeBits) : std::nullopt;
    }
    if (value.socket) return NumberOf(*value.socket, test.field);
    return test.field == SL_HOOK_FIELD_FAMILY ? value.number : std::nullopt;  // of a Unix address
  }

  static std::optional<std::uint64_t> NumberOf(const SocketFacts& socket, int field) {
    switch (field) {
      case SL_HOOK_FIELD_SOURCE_PORT:
        return socket.source_port;
      case SL_HOOK_FIELD_DESTINATION_PORT:
        return socket.destination_port;
      case SL_HOOK_FIELD_PROTOCOL:
        return socket.protocol;
      case SL_HOOK_FIELD_FAMILY:
        return socket.family;
      case SL_HOOK_FIELD_STATE:
        return socket.state;
      default:
        return std::nullopt;
    }
  }

  std::optional<std::string> TextOf(const sl_hook_test& test) const {
    if (test.field == SL_HOOK_FIELD_PROCESS_BINARY) return facts_->process.binary;
    if (test.field == SL_HOOK_FIELD_PARENT_BINARY) return facts_->process.parent_binary;
    return ValueOf(test.argument).text;
  }

  std::string WordsOf(const sl_hook_test& test) const {
    std::string text;
    for (std::size_t i = 0; i < test.last; ++i) {
      text += static_cast<char>(hook_->words[test.first + i / 8] >> (8 * (i % 8)));
    }
    return text;
  }

  bool TextHolds(const sl_hook_test& test) const {
    std::optional<std::string> text = TextOf(test);
    if (!text) return false;
    const std::string value = WordsOf(test);
    switch (test.kind) {
      case SL_HOOK_TEST_EQUAL:
        return *text == value;
      case SL_HOOK_TEST_PREFIX:
        return text->starts_with(value);
      case SL_HOOK_TEST_POSTFIX:
        return text->ends_with(value);
      case SL_HOOK_TEST_CONTAINS:
        break;
      default:
        for (char& c : *text) {
          if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
        }
    }
    return text->find(value) != std::string::npos;
  }

  bool AddressHolds(const sl_hook_test& test) const {
    const ValueFacts& value = ValueOf(test.argument);
    if (!value.socket) return false;
    const std::optional<Address>& address =
        test.field == SL_HOOK_FIELD_SOURCE ? value.socket->source : value.socket->destination;
    if (!address) return false;
    unsigned char prefix[16];
    std::memcpy(prefix, &test.first, sizeof(test.first));
    std::memcpy(prefix + sizeof(test.first), &test.last, sizeof(test.last));
    for (int bit = 0; bit < test.detail; ++bit) {
      if (((prefix[bit / 8] ^ address->bytes()[bit / 8]) & (0x80U >> static_cast<unsigned>(bit % 8))) != 0) {
        return false;
      }
    }
    return true;
  }

  bool NumberHolds(const sl_hook_test& test) const {
    const std::optional<std::uint64_t> number = NumberOf(test);
    if (!number) return false;
    switch (test.kind) {
      case SL_HOOK_TEST_RANGE:
        return test.first <= *number && *number <= test.last;
      case SL_HOOK_TEST_SIGNED_RANGE:
        return static_cast<std::int64_t>(test.first) <= static_cast<std::int64_t>(*number) &&
               static_cast<std::int64_t>(*number) <= static_cast<std::int64_t>(test.last);
      case SL_HOOK_TEST_MASK:
        return (*number & test.first) != 0;
      case SL_HOOK_TEST_GAINED: {
        const std::optional<std::uint64_t> before = ValueOf(test.detail).number;
        return before && (*number & ~*before) != 0;
      }
      default: {
        const std::vector<std::uint64_t>& set = hook_->sets[test.first];
        return std::find(set.begin(), set.end(), *number) != set.end();
      }
    }
  }

  bool Holds(const sl_hook_test& test) const {
    const ProcessFacts& process = facts_->process;
    switch (test.kind) {
      case SL_HOOK_TEST_ALWAYS:
        return true;
      case SL_HOOK_TEST_EQUAL:
      case SL_HOOK_TEST_PREFIX:
      case SL_HOOK_TEST_POSTFIX:
      case SL_HOOK_TEST_CONTAINS:
      case SL_HOOK_TEST_CONTAINS_ANY_CASE:
        return TextHolds(test);
      case SL_HOOK_TEST_ADDRESS:
        return AddressHolds(test);
      case SL_HOOK_TEST_SCOPE:
        return Includes(policy_->scopes[test.first], policy_->policy->name, facts_->subject);
      case SL_HOOK_TEST_FORKED_FROM: {
        const bool namespaced = test.field == SL_HOOK_FIELD_NAMESPACED_PID;
        const auto& ancestors = namespaced ? process.namespaced_ancestors : process.ancestors;
        return (namespaced ? process.namespaced_pid : process.pid) == test.first ||
               std::find(ancestors.begin(), ancestors.end(), test.first) != ancestors.end();
      }
      case SL_HOOK_TEST_MARKED:
        return std::any_of(process.executed.begin(), process.executed.end(),
                           [&](const std::string& path) { return Marks(path, test.first); });
      case SL_HOOK_TEST_CHANGED_NAMESPACE:
        return process.namespaces[test.detail] != process.namespaces_at_exec[test.detail];
      case SL_HOOK_TEST_CHANGED_CAPABILITY: {
        const std::size_t set = test.field - SL_HOOK_FIELD_CAPABILITIES_EFFECTIVE;
        return ((process.capabilities[set] ^ process.capabilities_at_exec[set]) & test.first) != 0;
      }
      default:
        return NumberHolds(test);
    }
  }

  // Whether the hook that puts the mark on processes does so for this program.
  bool Marks(const std::string& path, std::uint64_t mark) const {
    Facts executing;
    executing.process.binary = path;
    return std::any_of(policy_->hooks.begin(), policy_->hooks.end(), [&](const CompiledHook& one) {
      const sl_hook_selector& selector = one.selectors.front();
      return (selector.actions & SL_HOOK_ACTION_MARK) != 0 && static_cast<std::uint64_t>(selector.error) == mark &&
             TableReader(*policy_, one, executing).FirstSelector(0, one.tests.size()).has_value();
    });
  }

  const CompiledPolicy* policy_;
  const CompiledHook* hook_;
  const Facts* facts_;
};

Deeds DeedsOfTable(const sl_hook_selector& selector, std::uint32_t actions, int signal) {
  Deeds deeds;
  if ((actions & SL_HOOK_ACTION_SIGNAL) != 0) deeds.signal = signal;
  if ((actions & SL_HOOK_ACTION_OVERRIDE) != 0) deeds.error = selector.error;
  deeds.quarantine = (actions & SL_HOOK_ACTION_QUARANTINE) != 0;
  if ((actions & SL_HOOK_ACTION_TRACK_SOCKET) != 0) deeds.tracked = selector.socket;
  if ((actions & SL_HOOK_ACTION_UNTRACK_SOCKET) != 0) deeds.untracked = selector.socket;
  if ((actions & SL_HOOK_ACTION_NOTIFY_ENFORCER) != 0) {
    deeds.enforcer_error = selector.enforcer_error;
    deeds.enforcer_signal = selector.enforcer_signal;
  }
  deeds.clears_enforcer = (actions & SL_HOOK_ACTION_CLEAR_ENFORCER) != 0;
  return deeds;
}

Event EventOfTable(const sl_hook_selector& selector) {
  constexpr std::uint64_t kSecond = 1'000'000'000;
  return {.rate_limit = static_cast<std::int64_t>(selector.rate_ns / kSecond),
          .rate_scope = selector.rate_scope == SL_HOOK_RATE_THREAD    ? Action::RateScope::kThread
                        : selector.rate_scope == SL_HOOK_RATE_PROCESS ? Action::RateScope::kProcess
                                                                      : Action::RateScope::kGlobal,
          .kernel_stack = (selector.stacks & SL_HOOK_STACK_KERNEL) != 0,
          .user_stack = (selector.stacks & SL_HOOK_STACK_USER) != 0};
}

}  // namespace

Outcome EvaluateTables(const CompiledPolicy& policy, const CompiledHook& hook, const Facts& facts) {
  Outcome outcome;
  if (!Includes(policy.scopes[0], policy.policy->name, facts.subject)) return outcome;
  const TableReader reader(policy, hook, facts);
  const std::size_t enter_tests = std::size_t{hook.hook.test_count} - hook.hook.return_tests;
  outcome.selector = reader.FirstSelector(0, enter_tests);
  if (!outcome.selector) return outcome;
  const sl_hook_selector& selector = hook.selectors[*outcome.selector];
  outcome.at_begin = DeedsOfTable(selector, selector.actions, selector.signal);
  if ((hook.hook.flags & SL_HOOK_HOLDS) != 0) {
    if (!reader.HoldsAtReturn(*outcome.selector)) return outcome;
    outcome.at_return = DeedsOfTable(selector, selector.return_actions, selector.return_signal);
  }
  if ((selector.actions & SL_HOOK_ACTION_POST) != 0) outcome.event = EventOfTable(selector);
  return outcome;
}

}  // namespace sluice::policy::tracing
