// Entries of args and data, and returnArg.
#include <charconv>

#include "policy/tracing/limits.h"
#include "policy/tracing/number.h"
#include "policy/tracing/parse_parts.h"
#include "policy/tracing/syscalls.h"

namespace sluice::policy::tracing {
namespace {

struct SourceName {
  std::string_view name;
  Argument::Source source;
};
constexpr std::array kSources = {SourceName{"current_task", Argument::Source::kCurrentTask},
                                 SourceName{"pt_regs", Argument::Source::kRegisters}};

constexpr bool IsBuffer(ArgType type) {
  return type == ArgType::kCharBuf || type == ArgType::kCharIovec || type == ArgType::kConstBuf;
}

// The steps of "mm.owner.real_parent.comm" or "a[2].b": names of fields, and "[n]".
StatusOr<std::vector<std::string>> ParseResolve(const Field& field) {
  SL_ASSIGN_OR_RETURN(const std::string text, ParseWord(field));
  const auto wrong = [&] {
    return field.Error(
        fmt::format("{} is no path of fields: write them as in \"mm.owner.comm\" or \"name[0]\"", Quoted(text)));
  };
  std::vector<std::string> steps;
  std::string_view rest = text;
  while (!rest.empty()) {
    if (rest.starts_with('[')) {
      const std::size_t end = rest.find(']');
      if (end == std::string_view::npos || !NumberOf(rest.substr(1, end - 1), false, 32)) return wrong();
      steps.emplace_back(rest.substr(0, end + 1));
      rest.remove_prefix(end + 1);
    } else {
      if (!steps.empty()) {
        if (!rest.starts_with('.')) return wrong();
        rest.remove_prefix(1);
      }
      const std::size_t end = rest.find_first_of(".[");
      const std::string_view name = rest.substr(0, end);
      if (name.empty() || name.find(']') != std::string_view::npos) return wrong();
      steps.emplace_back(name);
      rest.remove_prefix(name.size());
    }
  }
  if (steps.size() > kMaxResolveDepth) {
    return field.Error(fmt::format("{} steps: at most {} are possible", steps.size(), kMaxResolveDepth));
  }
  return steps;
}

StatusOr<int> ParseIndex(const Field& field, const Hook& hook, ArgumentPlace place) {
  const std::optional<int> arguments = place == ArgumentPlace::kArgs ? SyscallArgumentsOf(hook) : std::nullopt;
  SL_ASSIGN_OR_RETURN(const std::int64_t index, field.Integer(0, InfoOf(hook.kind).last_index));
  if (arguments && index >= *arguments) {
    return field.Error(fmt::format("no argument {}: {} has {}, counted from 0", index,
                                   std::get<FunctionTarget>(hook.target).function, *arguments));
  }
  return static_cast<int>(index);
}

Status ParseBufferFields(const Field& field, const Hook& hook, Argument& argument) {
  const std::string_view name = InfoOf(argument.type).name;
  if (const auto size = field.Get("sizeArgIndex")) {
    SL_ASSIGN_OR_RETURN(const std::int64_t number, size->Integer(0, InfoOf(hook.kind).last_index + 1));
    if (number != 0) {  // counted from 1: 0 is the same as leaving it out
      const std::optional<int> arguments = SyscallArgumentsOf(hook);
      if (!IsBuffer(argument.type)) return size->Error(fmt::format("type {} has no size: leave it out", name));
      if (arguments && number > *arguments) {
        return size->Error(fmt::format("no argument {}: {} has {}, here counted from 1", number,
                                       std::get<FunctionTarget>(hook.target).function, *arguments));
      }
      argument.size_index = static_cast<int>(number - 1);
    }
  }
  SL_RETURN_IF_ERROR(field.Read("returnCopy", argument.return_copy, ParseFlag));
  if (argument.return_copy && !IsBuffer(argument.type)) {
    return field.Get("returnCopy")->Error(fmt::format("type {} is not a buffer that the function fills", name));
  }
  SL_RETURN_IF_ERROR(field.Read("maxData", argument.max_data, ParseFlag));
  if (argument.max_data && !IsBuffer(argument.type) && argument.type != ArgType::kIovIter) {
    return field.Get("maxData")->Error(fmt::format("type {} is not a buffer", name));
  }
  return OkStatus();
}

Status CheckTypeFits(const Field& field, const Hook& hook, ArgumentPlace place, ArgType type) {
  const ArgTypeInfo& info = InfoOf(type);
  if (type == ArgType::kDataLoc && hook.kind != HookKind::kTracepoint) {
    return field.Error("type data_loc: only tracepoints have it");
  }
  if (place != ArgumentPlace::kData && SyscallArgumentsOf(hook) && info.of_kernel) {
    return field.Error(
        fmt::format("a system call has no argument of type {}: its arguments are numbers and addresses "
                    "of the caller. Hook the kernel's own function, with \"syscall: false\"",
                    info.name));
  }
  return OkStatus();
}

Status ParseSource(const Field& field, Argument& argument) {
  const auto source = field.Get("source");
  if (!source) return field.Missing("source");
  SL_ASSIGN_OR_RETURN(const SourceName* row, ParseName(*source, kSources, "source"));
  argument.source = row->source;
  return OkStatus();
}

}  // namespace

std::optional<int> SyscallArgumentsOf(const Hook& hook) {
  const auto* target = std::get_if<FunctionTarget>(&hook.target);
  if (target == nullptr || !target->syscall) return std::nullopt;
  const std::optional<std::string_view> name = SyscallOfFunction(target->function);
  return name ? SyscallArguments(*name) : std::nullopt;
}

StatusOr<Argument> ParseArgument(const Field& field, const Hook& hook, ArgumentPlace place) {
  if (place == ArgumentPlace::kData) {
    SL_RETURN_IF_ERROR(field.AllowOnly({"index", "type", "resolve", "sizeArgIndex", "returnCopy", "maxData", "label",
                                        "btfType", "btfTypeModule", "source"}));
  } else {
    SL_RETURN_IF_ERROR(field.AllowOnly(
        {"index", "type", "resolve", "sizeArgIndex", "returnCopy", "maxData", "label", "btfType", "btfTypeModule"}));
  }
  Argument argument;
  if (const auto index = field.Get("index")) {
    SL_ASSIGN_OR_RETURN(argument.index, ParseIndex(*index, hook, place));
  } else if (place == ArgumentPlace::kArgs) {
    return field.Missing("index");
  }
  if (const auto type = field.Get("type")) {
    SL_ASSIGN_OR_RETURN(const ArgTypeInfo* info, ParseName(*type, kArgTypes, "type"));
    argument.type = info->type;
    SL_RETURN_IF_ERROR(CheckTypeFits(*type, hook, place, info->type));
  }
  SL_RETURN_IF_ERROR(field.Read("resolve", argument.resolve, ParseResolve));
  SL_RETURN_IF_ERROR(ParseBufferFields(field, hook, argument));
  SL_RETURN_IF_ERROR(field.Read("label", argument.label, ParseLabel));
  SL_RETURN_IF_ERROR(field.Read("btfType", argument.btf_type, ParseSymbol));
  SL_RETURN_IF_ERROR(field.Read("btfTypeModule", argument.btf_module, ParseWord));
  if (!argument.btf_module.empty() && argument.btf_type.empty()) {
    return field.Get("btfTypeModule")->Error("needs btfType beside it");
  }
  if (place == ArgumentPlace::kData) SL_RETURN_IF_ERROR(ParseSource(field, argument));
  return argument;
}

}  // namespace sluice::policy::tracing
