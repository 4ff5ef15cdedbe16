// spec.lists, spec.options and spec.enforcers.
#include <re2/re2.h>

#include <algorithm>

#include "policy/tracing/limits.h"
#include "policy/tracing/number.h"
#include "policy/tracing/parse_parts.h"
#include "policy/tracing/syscalls.h"

namespace sluice::policy::tracing {
namespace {

struct ListTypeName {
  std::string_view name;
  List::Type type;
};
constexpr std::array kListTypes = {ListTypeName{"syscalls", List::Type::kSyscalls},
                                   ListTypeName{"generated_syscalls", List::Type::kGeneratedSyscalls},
                                   ListTypeName{"generated_ftrace", List::Type::kGeneratedFtrace}};

enum class OptionKind { kMode, kNoKprobeMulti, kNoUprobeMulti };
struct OptionName {
  std::string_view name;
  OptionKind kind;
};
constexpr std::array kOptions = {OptionName{"policy-mode", OptionKind::kMode},
                                 OptionName{"disable-kprobe-multi", OptionKind::kNoKprobeMulti},
                                 OptionName{"disable-uprobe-multi", OptionKind::kNoUprobeMulti}};

struct ModeName {
  std::string_view name;
  TracingPolicy::Mode mode;
};
constexpr std::array kModes = {ModeName{"enforce", TracingPolicy::Mode::kEnforce},
                               ModeName{"monitor", TracingPolicy::Mode::kMonitor}};

// "sys_dup", or with an ABI: "i386/sys_dup".
StatusOr<std::string> ParseSyscallValue(const Field& field) {
  SL_ASSIGN_OR_RETURN(std::string text, ParseWord(field));
  std::string_view name = text;
  if (const std::size_t slash = name.find('/'); slash != std::string_view::npos) {
    if (!IsAbi(name.substr(0, slash))) {
      return field.Error(fmt::format("unknown ABI in {}: known are x64, i386, arm64, arm32", Quoted(text)));
    }
    name.remove_prefix(slash + 1);
  }
  if (SyscallOfFunction(name)) return text;
  const std::string near = Nearest(SyscallFunctions(), name);
  return field.Error(fmt::format("there is no system call {}{}", Quoted(name),
                                 near.empty() ? ": write it as sys_openat" : fmt::format(": did you mean {}?", near)));
}

StatusOr<std::string> ParsePattern(const Field& field) {
  SL_ASSIGN_OR_RETURN(std::string text, field.String());
  const RE2 pattern(text, RE2::Quiet);
  if (!pattern.ok()) return field.Error(fmt::format("{} is no regular expression: {}", Quoted(text), pattern.error()));
  return text;
}

Status ParseListValues(const Field& field, List& list) {
  const bool generated = list.type == List::Type::kGeneratedSyscalls || list.type == List::Type::kGeneratedFtrace;
  const auto values = field.Get("values"), pattern = field.Get("pattern");
  if (pattern && !generated) return pattern->Error("is for the types generated_syscalls and generated_ftrace");
  SL_RETURN_IF_ERROR(field.Read("pattern", list.pattern, ParsePattern));
  if (values) SL_RETURN_IF_ERROR(values->CheckSequence());
  if (generated) {
    if (values && !values->node().items.empty()) return values->Error("the kernel has them: use pattern to choose");
    if (list.type == List::Type::kGeneratedFtrace && list.pattern.empty()) return field.Missing("pattern");
    return OkStatus();
  }
  SL_RETURN_IF_ERROR(ReadUpTo(field, "values", kMaxListValues, list.values,
                              list.type == List::Type::kSyscalls ? ParseSyscallValue : ParseSymbol));
  if (list.values.empty()) return field.Error("needs values: an empty list hooks nothing");
  for (std::size_t i = 0; i < list.values.size(); ++i) {
    if (std::find(list.values.begin(), list.values.begin() + static_cast<std::ptrdiff_t>(i), list.values[i]) ==
        list.values.begin() + static_cast<std::ptrdiff_t>(i)) {
      continue;
    }
    return values->Error(fmt::format("has {} twice: remove one", Quoted(list.values[i])));
  }
  return OkStatus();
}

StatusOr<List> ParseList(const Field& field) {
  SL_RETURN_IF_ERROR(field.AllowOnly({"name", "values", "type", "pattern", "validated"}));
  List list;
  const auto name = field.Get("name");
  if (!name) return field.Missing("name");
  SL_ASSIGN_OR_RETURN(list.name, ParseWord(*name));
  if (const auto type = field.Get("type")) {
    SL_ASSIGN_OR_RETURN(const ListTypeName* row, ParseName(*type, kListTypes, "type of a list"));
    list.type = row->type;
  }
  bool validated = false;  // Tetragon's note to itself: it has no meaning here
  SL_RETURN_IF_ERROR(field.Read("validated", validated, ParseFlag));
  SL_RETURN_IF_ERROR(ParseListValues(field, list));
  return list;
}

// "1", "true", "0" or "false", as strings.
StatusOr<bool> ParseFlagText(const Field& field) {
  SL_ASSIGN_OR_RETURN(const std::string text, ScalarText(field));
  if (text == "1" || text == "true") return true;
  if (text == "0" || text == "false") return false;
  return field.Error(fmt::format("must be true, false, 1 or 0, got {}", Quoted(text)));
}

Status ParseOptionValue(const Field& option, OptionKind kind, TracingPolicy& policy) {
  const auto value = option.Get("value");
  if (!value) return option.Missing("value");
  switch (kind) {
    case OptionKind::kMode: {
      SL_ASSIGN_OR_RETURN(const ModeName* mode, ParseName(*value, kModes, "mode"));
      policy.mode = mode->mode;
      break;
    }
    case OptionKind::kNoKprobeMulti: {
      SL_ASSIGN_OR_RETURN(policy.no_kprobe_multi, ParseFlagText(*value));
      break;
    }
    case OptionKind::kNoUprobeMulti: {
      SL_ASSIGN_OR_RETURN(policy.no_uprobe_multi, ParseFlagText(*value));
      break;
    }
  }
  return OkStatus();
}

StatusOr<EnforcerCall> ParseEnforcerCall(const Field& field, const PolicyParts& parts) {
  EnforcerCall call;
  SL_ASSIGN_OR_RETURN(const std::string text, ParseWord(field));
  if (const auto name = ListReference(text)) {
    SL_ASSIGN_OR_RETURN(const List* list, FindListAt(field, *name, parts));
    call.list = list->name;
    return call;
  }
  SL_ASSIGN_OR_RETURN(call.function, ParseSymbol(field));
  if (!SyscallOfFunction(call.function) && !call.function.starts_with("security_")) {
    return field.Error(fmt::format("{} cannot be overridden: the kernel lets system calls and security_* functions be",
                                   Quoted(call.function)));
  }
  return call;
}

}  // namespace

Status ParseLists(const Field& spec, std::vector<List>& lists) {
  return ReadUpTo(spec, "lists", kMaxLists, lists, [&](const Field& item) -> StatusOr<List> {
    SL_ASSIGN_OR_RETURN(List list, ParseList(item));
    if (FindName(lists, list.name) == nullptr) return list;
    return item.Get("name")->Error(fmt::format("two lists are called {}: rename one", Quoted(list.name)));
  });
}

Status ParseOptionList(const Field& spec, TracingPolicy& policy) {
  std::vector<std::string_view> seen;
  return ReadUpTo(spec, "options", kOptions.size(), seen, [&](const Field& item) -> StatusOr<std::string_view> {
    SL_RETURN_IF_ERROR(item.AllowOnly({"name", "value"}));
    const auto name = item.Get("name");
    if (!name) return item.Missing("name");
    SL_ASSIGN_OR_RETURN(const OptionName* option, ParseName(*name, kOptions, "option"));
    if (std::find(seen.begin(), seen.end(), option->name) != seen.end()) {
      return name->Error(fmt::format("{} is set twice: remove one", Quoted(option->name)));
    }
    SL_RETURN_IF_ERROR(ParseOptionValue(item, option->kind, policy));
    return option->name;
  });
}

Status ParseEnforcers(const Field& spec, const PolicyParts& parts, std::vector<EnforcerCall>& calls) {
  const auto enforcers = spec.Get("enforcers");
  if (!enforcers) return OkStatus();
  SL_RETURN_IF_ERROR(enforcers->CheckSequence());
  if (enforcers->node().items.size() > 1) return enforcers->Error("a policy has one enforcer: put all calls into it");
  SL_RETURN_IF_ERROR(enforcers->ForEachItem([&](const Field& item) -> Status {
    SL_RETURN_IF_ERROR(item.AllowOnly({"calls"}));
    SL_RETURN_IF_ERROR(ReadUpTo(item, "calls", kMaxListValues, calls,
                                [&](const Field& call) { return ParseEnforcerCall(call, parts); }));
    return calls.empty() ? item.Missing("calls") : OkStatus();
  }));
  return OkStatus();
}

}  // namespace sluice::policy::tracing
