// Entries of matchActions and matchReturnActions.
#include <algorithm>

#include "policy/tracing/limits.h"
#include "policy/tracing/number.h"
#include "policy/tracing/parse_parts.h"
#include "policy/tracing/syscalls.h"

namespace sluice::policy::tracing {
namespace {

struct RateScopeName {
  std::string_view name;
  Action::RateScope scope;
};
constexpr std::array kRateScopes = {RateScopeName{"thread", Action::RateScope::kThread},
                                    RateScopeName{"process", Action::RateScope::kProcess},
                                    RateScopeName{"global", Action::RateScope::kGlobal}};

bool HasWord(std::string_view words, std::string_view word) {
  for (std::string_view rest = words; !rest.empty();) {
    const std::size_t space = std::min(rest.find(' '), rest.size());
    if (rest.substr(0, space) == word) return true;
    rest.remove_prefix(std::min(space + 1, rest.size()));
  }
  return false;
}

Status CheckFields(const Field& field, const ActionTypeInfo& info) {
  return field.ForEachEntry([&](const std::string& key, const Field& value) {
    if (key == "action" || HasWord(info.fields, key)) return OkStatus();
    const bool of_another = std::any_of(kActionTypes.begin(), kActionTypes.end(),
                                        [&](const ActionTypeInfo& other) { return HasWord(other.fields, key); });
    if (!of_another) return value.Error("unknown field");
    if (info.fields.empty()) return value.Error(fmt::format("action {} has no other fields: leave it out", info.name));
    return value.Error(fmt::format("action {} has no such field: it has {}", info.name, info.fields));
  });
}

// "30", "30s", "5m" or "1h", in upper or lower case.
StatusOr<std::int64_t> ParseRateLimit(const Field& field) {
  SL_ASSIGN_OR_RETURN(const std::string text, ScalarText(field));
  std::string_view digits = text;
  std::int64_t unit = 1;
  if (!digits.empty()) {
    const char last = static_cast<char>(digits.back() | 0x20);
    if (last == 's' || last == 'm' || last == 'h') {
      unit = last == 'h' ? 3600 : last == 'm' ? 60 : 1;
      digits.remove_suffix(1);
    }
  }
  const std::optional<std::int64_t> number = ParsePlainDecimal(digits);
  if (!number || *number < 1 || *number > kMaxRateLimitSeconds / unit) {
    return field.Error(
        fmt::format("must be a time such as 30s, 5m or 1h, at most {} s, got {}", kMaxRateLimitSeconds, Quoted(text)));
  }
  return *number * unit;
}

Status ParsePost(const Field& field, const Hook& hook, Action& action) {
  SL_RETURN_IF_ERROR(field.Read("rateLimit", action.rate_limit, ParseRateLimit));
  if (const auto scope = field.Get("rateLimitScope")) {
    if (action.rate_limit == 0) return scope->Error("needs rateLimit beside it");
    SL_ASSIGN_OR_RETURN(const RateScopeName* row, ParseName(*scope, kRateScopes, "scope of a rate limit"));
    action.rate_scope = row->scope;
  }
  SL_RETURN_IF_ERROR(field.Read("kernelStackTrace", action.kernel_stack, ParseFlag));
  SL_RETURN_IF_ERROR(field.Read("userStackTrace", action.user_stack, ParseFlag));
  SL_RETURN_IF_ERROR(field.Read("imaHash", action.ima_hash, ParseFlag));
  if (action.ima_hash && hook.kind != HookKind::kLsm) {
    return field.Get("imaHash")->Error("only lsmhooks can have the hash of a file");
  }
  return OkStatus();
}

StatusOr<int> ParseErrno(const Field& field) {
  SL_ASSIGN_OR_RETURN(const std::int64_t error, field.Integer(-kMaxErrno, kMaxErrno));
  return static_cast<int>(error);
}

StatusOr<int> ParseSignal(const Field& field) {
  SL_ASSIGN_OR_RETURN(const std::int64_t number, field.Integer(1, kMaxSignal));
  return static_cast<int>(number);
}

// "rax=11": the names and forms of values are the architecture's, and are checked when the hook is attached.
StatusOr<std::string> ParseRegister(const Field& field) {
  SL_ASSIGN_OR_RETURN(std::string text, ParseWord(field));
  const std::size_t equals = text.find('=');
  if (equals == 0 || equals == std::string::npos || equals + 1 == text.size()) {
    return field.Error(fmt::format("must be REGISTER=VALUE, such as \"rax=11\", got {}", Quoted(text)));
  }
  return text;
}

StatusOr<std::uint64_t> ParseAddressNumber(const Field& field) { return ParseUnsigned(field, 0, ~std::uint64_t{0}); }

bool IsSecurityFunction(std::string_view name) { return name.starts_with("security_"); }

// Why the kernel cannot return another value in place of the hooked function; empty: it can.
std::string WhyNoOverride(const Hook& hook, const PolicyParts& policy) {
  switch (hook.kind) {
    case HookKind::kLsm:
    case HookKind::kUprobe:
      return "";
    case HookKind::kTracepoint:
    case HookKind::kRawTracepoint:
      return "a tracepoint has no result to replace: hook the function, or use NotifyEnforcer";
    case HookKind::kUsdt:
      return "a static probe has no result to replace";
    case HookKind::kKprobe:
    case HookKind::kFentry:
      break;
  }
  const auto& target = std::get<FunctionTarget>(hook.target);
  const auto possible = [](std::string_view name) { return IsSecurityFunction(name) || SyscallOfFunction(name); };
  constexpr std::string_view kRule =
      "the kernel lets system calls, security_* functions and lsmhooks be overridden only";
  if (target.list.empty()) {
    return possible(target.function) ? "" : fmt::format("{} cannot be overridden: {}", target.function, kRule);
  }
  const List& list = *policy.FindList(target.list);
  if (list.type == List::Type::kSyscalls || list.type == List::Type::kGeneratedSyscalls) return "";
  if (list.type == List::Type::kGeneratedFtrace) {
    std::string_view pattern = list.pattern;
    if (pattern.starts_with('^')) pattern.remove_prefix(1);
    return IsSecurityFunction(pattern) ? "" : fmt::format("list {} may have any function: {}", list.name, kRule);
  }
  const auto bad = std::find_if_not(list.values.begin(), list.values.end(), possible);
  return bad == list.values.end() ? "" : fmt::format("{} of list {} cannot be overridden: {}", *bad, list.name, kRule);
}

Status ParseOverride(const Field& field, const Hook& hook, const PolicyParts& policy, Action& action) {
  if (const std::string why = WhyNoOverride(hook, policy); !why.empty())
    return field.Get("action")->Error("Override: " + why);
  SL_RETURN_IF_ERROR(field.Read("argError", action.error, ParseErrno));
  SL_RETURN_IF_ERROR(ReadUpTo(field, "argRegs", kMaxRegisters, action.registers, ParseRegister));
  SL_RETURN_IF_ERROR(field.Read("argNewSymbol", action.new_symbol, ParseWord));
  SL_RETURN_IF_ERROR(field.Read("argNewAddr", action.new_address, ParseAddressNumber));
  SL_RETURN_IF_ERROR(field.Read("argNewOffset", action.new_offset, ParseAddressNumber));
  const int for_uprobes = (action.registers.empty() ? 0 : 1) + (action.new_symbol.empty() ? 0 : 1) +
                          (action.new_address ? 1 : 0) + (action.new_offset ? 1 : 0);
  if (for_uprobes + (action.error ? 1 : 0) != 1) {
    return field.Error("Override needs one of argError, argRegs, argNewSymbol, argNewAddr and argNewOffset");
  }
  if (for_uprobes != 0 && hook.kind != HookKind::kUprobe) {
    return field.Error("argRegs, argNewSymbol, argNewAddr and argNewOffset are for uprobes: use argError");
  }
  return OkStatus();
}

// The position in args of the argument whose index `key` has, 0 without the field.
StatusOr<std::size_t> ParseArgumentOf(const Field& field, std::string_view key, const Hook& hook) {
  const auto named = field.Get(key);
  std::uint64_t index = 0;
  if (named) {
    SL_ASSIGN_OR_RETURN(index, ParseUnsigned(*named, 0, 255));
  }
  const auto found = std::find_if(hook.args.begin(), hook.args.end(), [&](const Argument& argument) {
    return static_cast<std::uint64_t>(argument.index) == index;
  });
  if (found != hook.args.end()) return static_cast<std::size_t>(found - hook.args.begin());
  return named.value_or(field).Error(
      fmt::format("no argument {}: args of the hook has no entry with that index. Add it there", index));
}

Status ParseSock(const Field& field, const Hook& hook, Action& action) {
  SL_ASSIGN_OR_RETURN(action.socket, ParseArgumentOf(field, "argSock", hook));
  const Argument& argument = hook.args[action.socket];
  if (argument.type == ArgType::kSock) return OkStatus();
  return field.Get("argSock").value_or(field).Error(
      fmt::format("argument {} must be of type sock, is of type {}", argument.index, InfoOf(argument.type).name));
}

Status ParseNotify(const Field& field, const Hook& hook, const PolicyParts& policy, Action& action) {
  const Field name = *field.Get("action");
  if (!policy.has_enforcer) return name.Error("NotifyEnforcer: spec.enforcers is missing: nothing would act on it");
  if (hook.kind == HookKind::kLsm || hook.kind == HookKind::kUprobe || hook.kind == HookKind::kUsdt) {
    return name.Error("NotifyEnforcer: only hooks on functions and tracepoints can notify the enforcer");
  }
  SL_RETURN_IF_ERROR(field.Read("argError", action.error, ParseErrno));
  SL_RETURN_IF_ERROR(field.Read("argSig", action.signal, ParseSignal));
  if (!action.error && action.signal == 0) return field.Error("NotifyEnforcer needs argError, argSig or both");
  return OkStatus();
}

Status ParseSet(const Field& field, const Hook& hook, Action& action) {
  if (hook.kind != HookKind::kUsdt) return field.Get("action")->Error("Set: only usdts can write an argument");
  const auto value = field.Get("argValue");
  if (!value) return field.Missing("argValue");
  SL_ASSIGN_OR_RETURN(action.argument, ParseArgumentOf(field, "argIndex", hook));
  SL_ASSIGN_OR_RETURN(const std::uint64_t number, ParseUnsigned(*value, 0, 0xffffffff));
  action.value = static_cast<std::uint32_t>(number);
  return OkStatus();
}

Status ParseDetails(const Field& field, const Hook& hook, const PolicyParts& policy, Action& action) {
  switch (action.type) {
    case ActionType::kPost:
      return ParsePost(field, hook, action);
    case ActionType::kSignal:
      if (!field.Get("argSig")) return field.Missing("argSig");
      return field.Read("argSig", action.signal, ParseSignal);
    case ActionType::kOverride:
      return ParseOverride(field, hook, policy, action);
    case ActionType::kTrackSock:
    case ActionType::kUntrackSock:
      return ParseSock(field, hook, action);
    case ActionType::kNotifyEnforcer:
      return ParseNotify(field, hook, policy, action);
    case ActionType::kSet:
      return ParseSet(field, hook, action);
    default:
      return OkStatus();
  }
}

}  // namespace

StatusOr<Action> ParseHookAction(const Field& field, const Hook& hook, const PolicyParts& policy) {
  SL_RETURN_IF_ERROR(field.CheckMap());
  const auto name = field.Get("action");
  if (!name) return field.Missing("action");
  SL_ASSIGN_OR_RETURN(const ActionTypeInfo* info, ParseName(*name, kActionTypes, "action"));
  if (info->IsRefused()) return name->Error(fmt::format("{}: {}", info->name, info->meaning));
  SL_RETURN_IF_ERROR(CheckFields(field, *info));
  Action action{.type = info->type};
  SL_RETURN_IF_ERROR(ParseDetails(field, hook, policy, action));
  return action;
}

StatusOr<Action> ParseReturnAction(const Field& field, const Hook& hook, const PolicyParts& policy) {
  SL_ASSIGN_OR_RETURN(const Action action, ParseHookAction(field, hook, policy));
  if (action.type != ActionType::kOverride && action.type != ActionType::kSet) return action;
  return field.Get("action")->Error(
      fmt::format("{}: the function has already run when it returns. Use matchActions", InfoOf(action.type).name));
}

}  // namespace sluice::policy::tracing
