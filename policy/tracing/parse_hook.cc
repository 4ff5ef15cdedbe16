// The entries of kprobes, fentries, tracepoints, lsmhooks, uprobes and usdts.
#include <algorithm>

#include "policy/tracing/limits.h"
#include "policy/tracing/number.h"
#include "policy/tracing/parse_parts.h"
#include "policy/tracing/syscalls.h"

namespace sluice::policy::tracing {
namespace {

StatusOr<std::string> ParseMessage(const Field& field) {
  SL_ASSIGN_OR_RETURN(std::string text, field.String());
  if (text.size() > kMaxMessageBytes) {
    return field.Error(fmt::format("{} bytes: at most {} are possible", text.size(), kMaxMessageBytes));
  }
  return text;
}

template <typename Parse>
auto Needed(const Field& field, std::string_view key, Parse parse) -> decltype(parse(field)) {
  const auto value = field.Get(key);
  if (!value) return field.Missing(key);
  return parse(*value);
}

Status CheckFunctionName(const Field& call, const FunctionTarget& target) {
  const std::optional<std::string_view> syscall = SyscallOfFunction(target.function);
  if (target.syscall && !syscall) {
    std::string instead = "write \"syscall: false\" to hook a function of the kernel";
    if (const std::string near = Nearest(SyscallFunctions(), target.function); !near.empty()) {
      instead = fmt::format("did you mean {}? Or {}", near, instead);
    }
    return call.Error(fmt::format("there is no system call {} (syscall is true unless the hook says otherwise): {}",
                                  Quoted(target.function), instead));
  }
  if (!target.syscall && syscall && target.function.starts_with("sys_")) {
    return call.Error(fmt::format("{} is a system call: write \"syscall: true\", or the kernel's own function",
                                  Quoted(target.function)));
  }
  return OkStatus();
}

StatusOr<FunctionTarget> ParseFunction(const Field& field, const PolicyParts& policy) {
  FunctionTarget target{.syscall = true};
  const auto call = field.Get("call");
  if (!call) return field.Missing("call");
  SL_RETURN_IF_ERROR(field.Read("syscall", target.syscall, ParseFlag));
  if (const auto ignore = field.Get("ignore")) {
    SL_RETURN_IF_ERROR(ignore->AllowOnly({"callNotFound"}));
    SL_RETURN_IF_ERROR(ignore->Read("callNotFound", target.ignore_missing, ParseFlag));
  }
  SL_ASSIGN_OR_RETURN(const std::string text, call->String());
  if (const auto name = ListReference(text)) {
    SL_ASSIGN_OR_RETURN(const List* list, FindListAt(*call, *name, policy));
    target.list = list->name;
    target.syscall = false;
    return target;
  }
  SL_ASSIGN_OR_RETURN(target.function, ParseSymbol(*call));
  SL_RETURN_IF_ERROR(CheckFunctionName(*call, target));
  return target;
}

// Two entries with one index must differ in what they resolve.
Status CheckRepeated(const Field& field, const std::vector<Argument>& arguments) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (arguments[i].index != arguments[j].index || arguments[i].resolve != arguments[j].resolve) continue;
      return field.Error(
          fmt::format("entries {} and {} are the same argument {}: remove one", j, i, arguments[i].index));
    }
  }
  return OkStatus();
}

Status ParseArguments(const Field& field, Hook& hook) {
  const auto in = [&](ArgumentPlace place) {
    return [&hook, place](const Field& item) { return ParseArgument(item, hook, place); };
  };
  SL_RETURN_IF_ERROR(ReadUpTo(field, "args", kMaxArguments, hook.args, in(ArgumentPlace::kArgs)));
  SL_RETURN_IF_ERROR(ReadUpTo(field, "data", kMaxArguments, hook.data, in(ArgumentPlace::kData)));
  if (const std::size_t count = hook.args.size() + hook.data.size(); count > kMaxArguments) {
    return field.Get("data")->Error(
        fmt::format("args and data have {} entries: at most {} are possible together", count, kMaxArguments));
  }
  if (const auto args = field.Get("args")) SL_RETURN_IF_ERROR(CheckRepeated(*args, hook.args));
  return OkStatus();
}

Status ParseReturnActionName(const Field& field, Hook& hook) {
  const auto named = field.Get("returnArgAction");
  if (!named) return OkStatus();
  SL_ASSIGN_OR_RETURN(const std::string text, named->String());
  const ActionTypeInfo* info = FindName(kActionTypes, text);
  const bool socket =
      info != nullptr && (info->type == ActionType::kTrackSock || info->type == ActionType::kUntrackSock);
  if (!socket && (info == nullptr || info->type != ActionType::kPost)) {
    return named->Error(fmt::format("must be TrackSock, UntrackSock or Post, got {}", Quoted(text)));
  }
  if (!hook.returns) return named->Error("needs \"return: true\" beside it");
  if (socket && hook.return_arg->type != ArgType::kSock) {
    return named->Error(
        fmt::format("{} needs a returnArg of type sock, not {}", text, InfoOf(hook.return_arg->type).name));
  }
  hook.return_action = info->type;
  return OkStatus();
}

Status ParseReturn(const Field& field, Hook& hook) {
  SL_RETURN_IF_ERROR(field.Read("return", hook.returns, ParseFlag));
  if (const auto value = field.Get("returnArg")) {
    SL_ASSIGN_OR_RETURN(hook.return_arg, ParseArgument(*value, hook, ArgumentPlace::kReturn));
  }
  if (hook.returns && !hook.return_arg) {
    return field.Get("return")->Error("needs returnArg, which says what the return value is");
  }
  return OkStatus();
}

// What every kind of hook has: message, tags, selectors.
Status ParseCommon(const Field& field, PolicyParts& policy, Hook& hook) {
  SL_RETURN_IF_ERROR(field.Read("message", hook.message, ParseMessage));
  SL_RETURN_IF_ERROR(ReadUpTo(field, "tags", kMaxTags, hook.tags, ParseLabel));
  return ReadUpTo(field, "selectors", kMaxSelectors, hook.selectors,
                  [&](const Field& item) { return ParseHookSelector(item, hook, policy); });
}

StatusOr<std::uint64_t> ParseOffset(const Field& field) { return ParseUnsigned(field, 0, ~std::uint64_t{0}); }

// "sha256:HEX" or "build-id:HEX".
StatusOr<std::string> ParseDigest(const Field& field) {
  struct Algorithm {
    std::string_view name;
    std::size_t digits;  // 0: any even number
  };
  constexpr Algorithm kAlgorithms[] = {{"sha1", 40}, {"sha256", 64}, {"sha384", 96}, {"sha512", 128}, {"build-id", 0}};
  SL_ASSIGN_OR_RETURN(std::string text, ParseWord(field));
  const std::size_t colon = text.find(':');
  const Algorithm* algorithm = FindName(kAlgorithms, std::string_view(text).substr(0, colon));
  const std::string_view hex =
      colon == std::string::npos ? std::string_view() : std::string_view(text).substr(colon + 1);
  const bool right = algorithm != nullptr && !hex.empty() && hex.size() % 2 == 0 &&
                     (algorithm->digits == 0 || hex.size() == algorithm->digits) &&
                     hex.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
  if (!right) {
    return field.Error(
        fmt::format("must be sha1:, sha256:, sha384:, sha512: or build-id: with the digits of its length, "
                    "got {}",
                    Quoted(text)));
  }
  return text;
}

Status ParseUprobePlaces(const Field& field, UprobeTarget& target) {
  SL_RETURN_IF_ERROR(ReadUpTo(field, "symbols", kMaxSymbols, target.symbols, ParseWord));
  SL_RETURN_IF_ERROR(ReadUpTo(field, "offsets", kMaxSymbols, target.offsets, ParseOffset));
  SL_RETURN_IF_ERROR(ReadUpTo(field, "addrs", kMaxSymbols, target.addresses, ParseOffset));
  SL_RETURN_IF_ERROR(ReadUpTo(field, "refCtrOffsets", kMaxSymbols, target.counters, ParseOffset));
  const int kinds =
      (target.symbols.empty() ? 0 : 1) + (target.offsets.empty() ? 0 : 1) + (target.addresses.empty() ? 0 : 1);
  if (kinds != 1) return field.Error("needs one of symbols, offsets and addrs");
  const std::size_t places = target.symbols.size() + target.offsets.size() + target.addresses.size();
  if (!target.counters.empty() && target.counters.size() != places) {
    return field.Get("refCtrOffsets")
        ->Error(fmt::format("{} entries for {} places: each needs its own", target.counters.size(), places));
  }
  for (std::size_t i = 0; i < target.symbols.size(); ++i) {
    const auto first = std::find(target.symbols.begin(), target.symbols.end(), target.symbols[i]);
    if (first != target.symbols.begin() + static_cast<std::ptrdiff_t>(i)) {
      return field.Get("symbols")->Error(fmt::format("names {} twice: remove one", Quoted(target.symbols[i])));
    }
  }
  return OkStatus();
}

}  // namespace

StatusOr<Hook> ParseKprobe(const Field& field, HookKind kind, PolicyParts& policy) {
  SL_RETURN_IF_ERROR(field.AllowOnly({"call", "return", "syscall", "message", "args", "data", "returnArg",
                                      "returnArgAction", "selectors", "tags", "ignore"}));
  Hook hook{.kind = kind, .place = field.place()};
  SL_ASSIGN_OR_RETURN(hook.target, ParseFunction(field, policy));
  SL_RETURN_IF_ERROR(ParseArguments(field, hook));
  SL_RETURN_IF_ERROR(ParseReturn(field, hook));
  SL_RETURN_IF_ERROR(ParseReturnActionName(field, hook));
  SL_RETURN_IF_ERROR(ParseCommon(field, policy, hook));
  return hook;
}

StatusOr<Hook> ParseTracepoint(const Field& field, PolicyParts& policy) {
  SL_RETURN_IF_ERROR(field.AllowOnly({"subsystem", "event", "message", "args", "selectors", "tags", "raw"}));
  bool raw = false;
  SL_RETURN_IF_ERROR(field.Read("raw", raw, ParseFlag));
  Hook hook{.kind = raw ? HookKind::kRawTracepoint : HookKind::kTracepoint, .place = field.place()};
  TracepointTarget target;
  SL_ASSIGN_OR_RETURN(target.subsystem, Needed(field, "subsystem", ParseSymbol));
  SL_ASSIGN_OR_RETURN(target.event, Needed(field, "event", ParseSymbol));
  hook.target = std::move(target);
  SL_RETURN_IF_ERROR(ParseArguments(field, hook));
  SL_RETURN_IF_ERROR(ParseCommon(field, policy, hook));
  return hook;
}

StatusOr<Hook> ParseLsmHook(const Field& field, PolicyParts& policy) {
  SL_RETURN_IF_ERROR(field.AllowOnly({"hook", "message", "args", "selectors", "tags"}));
  Hook hook{.kind = HookKind::kLsm, .place = field.place()};
  LsmTarget target;
  SL_ASSIGN_OR_RETURN(target.hook, Needed(field, "hook", ParseSymbol));
  for (const std::string_view prefix : {"security_", "bpf_lsm_"}) {
    if (!target.hook.starts_with(prefix)) continue;
    return field.Get("hook")->Error(
        fmt::format("write {} without {}: {}", Quoted(target.hook), prefix, target.hook.substr(prefix.size())));
  }
  hook.target = std::move(target);
  SL_RETURN_IF_ERROR(ParseArguments(field, hook));
  SL_RETURN_IF_ERROR(ParseCommon(field, policy, hook));
  return hook;
}

StatusOr<Hook> ParseUprobe(const Field& field, PolicyParts& policy) {
  SL_RETURN_IF_ERROR(
      field.AllowOnly({"path", "btfPath", "symbols", "offsets", "addrs", "refCtrOffsets", "message", "selectors",
                       "args", "data", "tags", "return", "returnArg", "binaryDigests", "ignore"}));
  Hook hook{.kind = HookKind::kUprobe, .place = field.place()};
  UprobeTarget target;
  SL_ASSIGN_OR_RETURN(target.path, Needed(field, "path", ParsePathName));
  SL_RETURN_IF_ERROR(field.Read("btfPath", target.btf_path, ParsePathName));
  SL_RETURN_IF_ERROR(ParseUprobePlaces(field, target));
  SL_RETURN_IF_ERROR(ReadUpTo(field, "binaryDigests", kMaxSymbols, target.digests, ParseDigest));
  if (const auto ignore = field.Get("ignore")) {
    SL_RETURN_IF_ERROR(ignore->AllowOnly({"digestVerificationFailure"}));
    SL_RETURN_IF_ERROR(ignore->Read("digestVerificationFailure", target.ignore_digest, ParseFlag));
  }
  hook.target = std::move(target);
  SL_RETURN_IF_ERROR(ParseArguments(field, hook));
  SL_RETURN_IF_ERROR(ParseReturn(field, hook));
  SL_RETURN_IF_ERROR(ParseCommon(field, policy, hook));
  return hook;
}

StatusOr<Hook> ParseUsdt(const Field& field, PolicyParts& policy) {
  SL_RETURN_IF_ERROR(field.AllowOnly({"path", "btfPath", "provider", "name", "tags", "message", "args", "selectors"}));
  Hook hook{.kind = HookKind::kUsdt, .place = field.place()};
  UsdtTarget target;
  SL_ASSIGN_OR_RETURN(target.path, Needed(field, "path", ParsePathName));
  SL_RETURN_IF_ERROR(field.Read("btfPath", target.btf_path, ParsePathName));
  SL_ASSIGN_OR_RETURN(target.provider, Needed(field, "provider", ParseWord));
  SL_ASSIGN_OR_RETURN(target.name, Needed(field, "name", ParseWord));
  hook.target = std::move(target);
  SL_RETURN_IF_ERROR(ParseArguments(field, hook));
  SL_RETURN_IF_ERROR(ParseCommon(field, policy, hook));
  return hook;
}

}  // namespace sluice::policy::tracing
