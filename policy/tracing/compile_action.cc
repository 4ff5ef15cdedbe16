// matchActions, matchReturnActions and returnArgAction.
#include "policy/tracing/compile_parts.h"

namespace sluice::policy::tracing {
namespace {

sl_hook_rate_scope RateScopeOf(Action::RateScope scope) {
  switch (scope) {
    case Action::RateScope::kThread:
      return SL_HOOK_RATE_THREAD;
    case Action::RateScope::kProcess:
      return SL_HOOK_RATE_PROCESS;
    case Action::RateScope::kGlobal:
      break;
  }
  return SL_HOOK_RATE_GLOBAL;
}

// Compiles the actions of one selector. The kernel has one place for each number of an action: two actions that need
// it for different numbers are refused.
class ActionCompiler {
 public:
  // Those of one time: of the begin of the function, or of its return. Returns their bits, without POST.
  std::uint32_t Add(const std::vector<Action>& actions, bool at_return, const PolicyField& selector,
                    std::string_view key) {
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < actions.size(); ++i) bits |= AddOne(actions[i], at_return, selector.At(key, i));
    return bits;
  }

  // returnArgAction: the socket is the return value.
  std::uint32_t AddOfReturnValue(ActionType type, const PolicyField& field) {
    if (type != ActionType::kTrackSock && type != ActionType::kUntrackSock) return 0;
    SetSocket(SL_HOOK_ARGUMENTS, field);
    return type == ActionType::kTrackSock ? SL_HOOK_ACTION_TRACK_SOCKET : SL_HOOK_ACTION_UNTRACK_SOCKET;
  }

  bool posts() const { return posts_; }
  const sl_hook_selector& selector() const { return selector_; }

 private:
  template <typename T, typename Value>
  void Set(T& place, std::optional<T>& taken, Value value, const PolicyField& field, std::string_view what) {
    if (taken && *taken != static_cast<T>(value)) field.NotYet(fmt::format("{} in one selector", what));
    taken = place = static_cast<T>(value);
  }
  void SetSocket(std::size_t argument, const PolicyField& field) {
    Set(selector_.socket, socket_, argument, field, "actions on two different sockets");
  }

  std::uint32_t AddSignal(int number, bool at_return, const PolicyField& field) {
    if (at_return) {
      Set(selector_.return_signal, return_signal_, number, field, "two different signals");
    } else {
      Set(selector_.signal, signal_, number, field, "two different signals");
    }
    return SL_HOOK_ACTION_SIGNAL;
  }

  void AddPost(const Action& action, const PolicyField& field) {
    if (action.ima_hash) field.At("imaHash").NotYet();
    if (action.rate_limit != 0) {
      constexpr std::uint64_t kSecond = 1'000'000'000;
      Set(selector_.rate_ns, rate_, static_cast<std::uint64_t>(action.rate_limit) * kSecond, field,
          "two different rate limits");
      Set(selector_.rate_scope, rate_scope_, RateScopeOf(action.rate_scope), field, "two different rate limits");
    }
    if (action.kernel_stack) selector_.stacks |= SL_HOOK_STACK_KERNEL;
    if (action.user_stack) selector_.stacks |= SL_HOOK_STACK_USER;
  }

  std::uint32_t AddOne(const Action& action, bool at_return, const PolicyField& field) {
    switch (action.type) {
      case ActionType::kPost:
        AddPost(action, field);
        return 0;
      case ActionType::kNoPost:
        posts_ = false;
        return 0;
      case ActionType::kSigkill:
        return AddSignal(9, at_return, field);
      case ActionType::kSignal:
        return AddSignal(action.signal, at_return, field);
      case ActionType::kOverride:
        Set(selector_.error, error_, action.error.value_or(0), field, "two different results");
        return SL_HOOK_ACTION_OVERRIDE;
      case ActionType::kTrackSock:
        SetSocket(action.socket, field);
        return SL_HOOK_ACTION_TRACK_SOCKET;
      case ActionType::kUntrackSock:
        SetSocket(action.socket, field);
        return SL_HOOK_ACTION_UNTRACK_SOCKET;
      case ActionType::kNotifyEnforcer:
        Set(selector_.enforcer_error, enforcer_error_, action.error.value_or(0), field, "two different notifications");
        Set(selector_.enforcer_signal, enforcer_signal_, action.signal, field, "two different notifications");
        return SL_HOOK_ACTION_NOTIFY_ENFORCER;
      case ActionType::kCleanupEnforcerNotification:
        return SL_HOOK_ACTION_CLEAR_ENFORCER;
      case ActionType::kQuarantine:
        return SL_HOOK_ACTION_QUARANTINE;
      case ActionType::kFollowFd:
      case ActionType::kUnfollowFd:
      case ActionType::kCopyFd:
        return 0;  // they do nothing: see action_types.h
      case ActionType::kSet:
      case ActionType::kGetUrl:
      case ActionType::kDnsLookup:
        break;
    }
    field.At("action").NotYet(InfoOf(action.type).name);
    return 0;
  }

  sl_hook_selector selector_{};
  bool posts_ = true;
  // What of selector_ is set.
  std::optional<__u64> rate_;
  std::optional<__u8> rate_scope_, signal_, return_signal_, socket_, enforcer_signal_;
  std::optional<__s32> error_, enforcer_error_;
};

}  // namespace

sl_hook_selector CompileActions(const HookParts& parts, const HookSelector& selector, const PolicyField& field) {
  const Hook& hook = parts.hook;
  const bool at_return = IsSyscallExit(hook);
  ActionCompiler compiler;
  const std::uint32_t bits = compiler.Add(selector.actions, at_return, field, "matchActions");
  std::uint32_t return_bits = compiler.Add(selector.return_actions, true, field, "matchReturnActions");
  if (hook.return_action) return_bits |= compiler.AddOfReturnValue(*hook.return_action, field);
  sl_hook_selector compiled = compiler.selector();
  // POST is never among return_actions: there it would send an event that a rate limit had left out.
  compiled.actions = (at_return ? 0 : bits) | (compiler.posts() ? SL_HOOK_ACTION_POST : 0);
  compiled.return_actions = return_bits | (at_return ? bits : 0);
  return compiled;
}

}  // namespace sluice::policy::tracing
