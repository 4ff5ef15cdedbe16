// Where hooks are attached.
#include <re2/re2.h>

#include <algorithm>

#include "policy/tracing/compile_parts.h"
#include "policy/tracing/limits.h"
#include "policy/tracing/syscalls.h"

namespace sluice::policy::tracing {
namespace {

constexpr std::string_view kEnter = "sys_enter_";
constexpr std::string_view kExit = "sys_exit_";

#if defined(__x86_64__)
constexpr std::string_view kOwnAbi = "x64/";
#elif defined(__aarch64__)
constexpr std::string_view kOwnAbi = "arm64/";
#endif

void AddListedSyscall(std::string_view value, const PolicyField& field, std::vector<HookPoint>& points) {
  const std::optional<std::string_view> name = ListedSyscall(value);
  if (!name) return field.NotYet(fmt::format("{}, a call of another ABI than {},", value, kOwnAbi));
  points.push_back({.kind = HookPoint::Kind::kSyscall, .group = "", .name = std::string(*name)});
}

// Of the kernel's functions, those that the list's pattern matches.
std::vector<HookPoint> PointsOfPattern(const List& list, HookPoint::Kind of_function, const CompileOptions& options,
                                       const PolicyField& field) {
  std::vector<HookPoint> points;
  if (options.formats == nullptr) {
    field.NotYet(fmt::format("list {}, without the kernel's functions,", list.name));
    return points;
  }
  const auto functions = options.formats->Functions();
  if (!functions.ok()) {
    field.Error(Message(functions.status()));
    return points;
  }
  const RE2 pattern(list.pattern, RE2::Quiet);
  for (const std::string& name : *functions) {
    if (RE2::PartialMatch(name, pattern)) points.push_back({.kind = of_function, .group = "", .name = name});
  }
  if (points.empty())
    field.Error(fmt::format("no function of this kernel matches list {}: {}", list.name, list.pattern));
  return points;
}

std::vector<HookPoint> PointsOfFunction(const TracingPolicy& policy, const FunctionTarget& target,
                                        HookPoint::Kind of_function, const CompileOptions& options,
                                        const PolicyField& field) {
  if (target.list.empty()) {
    if (!target.syscall) return {{.kind = of_function, .group = "", .name = target.function}};
    return {{.kind = HookPoint::Kind::kSyscall,
             .group = "",
             .name = std::string(SyscallOfFunction(target.function).value_or(target.function))}};
  }
  return PointsOfList(ListOf(policy, target.list), of_function, options, field.At("call"));
}

std::vector<HookPoint> PointsOfTracepoint(const Hook& hook, const PolicyField& field) {
  const auto& [subsystem, event] = std::get<TracepointTarget>(hook.target);
  std::vector<HookPoint> raw = {{.kind = HookPoint::Kind::kRawTracepoint, .group = subsystem, .name = event}};
  if (hook.kind == HookKind::kRawTracepoint) return raw;
  if (subsystem == "raw_syscalls" && (event == "sys_enter" || event == "sys_exit")) return raw;
  if (subsystem == "syscalls") {
    for (const std::string_view prefix : {kEnter, kExit}) {
      if (!event.starts_with(prefix)) continue;
      const std::string name = event.substr(prefix.size());
      if (SyscallArguments(name)) return {{.kind = HookPoint::Kind::kSyscall, .group = "", .name = name}};
    }
    field.At("event").Error(fmt::format("there is no system call of tracepoint {}", event));
    return {};
  }
  if (hook.args.empty()) return raw;  // without its fields, both are the same
  return {{.kind = HookPoint::Kind::kTracepoint, .group = subsystem, .name = event}};
}

}  // namespace

const List& ListOf(const TracingPolicy& policy, const std::string& name) {
  return *std::find_if(policy.lists.begin(), policy.lists.end(), [&](const List& one) { return one.name == name; });
}

std::vector<std::string> GeneratedSyscalls(const List& list, const CompileOptions& options) {
  std::vector<std::string> names;
  const RE2 pattern(list.pattern, RE2::Quiet);
  for (const SystemCall& call : SystemCalls()) {
    const std::string name(call.name);
    if (options.syscall_number == nullptr || !options.syscall_number(name)) continue;
    if (RE2::PartialMatch("sys_" + name, pattern)) names.push_back(name);
  }
  return names;
}

std::vector<HookPoint> PointsOfList(const List& list, HookPoint::Kind of_function, const CompileOptions& options,
                                    const PolicyField& field) {
  std::vector<HookPoint> points;
  switch (list.type) {
    case List::Type::kFunctions:
      for (const std::string& name : list.values) points.push_back({.kind = of_function, .group = "", .name = name});
      break;
    case List::Type::kSyscalls:
      for (const std::string& value : list.values) AddListedSyscall(value, field, points);
      break;
    case List::Type::kGeneratedSyscalls:
      for (const std::string& name : GeneratedSyscalls(list, options))
        points.push_back({.kind = HookPoint::Kind::kSyscall, .group = "", .name = name});
      if (points.empty())
        field.Error(fmt::format("no system call of this machine matches list {}: {}", list.name, list.pattern));
      break;
    case List::Type::kGeneratedFtrace:
      points = PointsOfPattern(list, of_function, options, field);
      break;
  }
  if (points.size() <= kMaxHooks) return points;
  field.Error(fmt::format("list {} has {} functions: at most {} are possible", list.name, points.size(), kMaxHooks));
  return {};
}

bool IsSyscallExit(const Hook& hook) {
  const auto* target = std::get_if<TracepointTarget>(&hook.target);
  return hook.kind == HookKind::kTracepoint && target != nullptr && target->subsystem == "syscalls" &&
         target->event.starts_with(kExit);
}

std::optional<std::string_view> ListedSyscall(std::string_view value) {
  if (value.starts_with(kOwnAbi)) value.remove_prefix(kOwnAbi.size());
  return SyscallOfFunction(value);
}

bool IsSyscall(const HookParts& parts) { return parts.points.front().kind == HookPoint::Kind::kSyscall; }

bool IsOfProgram(const HookParts& parts) {
  const HookPoint::Kind kind = parts.points.front().kind;
  return kind == HookPoint::Kind::kProgram || kind == HookPoint::Kind::kStaticProbe;
}

std::vector<HookPoint> PointsOf(const TracingPolicy& policy, const Hook& hook, const CompileOptions& options,
                                const PolicyField& field) {
  switch (hook.kind) {
    case HookKind::kKprobe:
      return PointsOfFunction(policy, std::get<FunctionTarget>(hook.target), HookPoint::Kind::kFunction, options,
                              field);
    case HookKind::kFentry:
      return PointsOfFunction(policy, std::get<FunctionTarget>(hook.target), HookPoint::Kind::kTrampoline, options,
                              field);
    case HookKind::kTracepoint:
    case HookKind::kRawTracepoint:
      return PointsOfTracepoint(hook, field);
    case HookKind::kLsm:
      return {{.kind = HookPoint::Kind::kLsm, .group = "", .name = std::get<LsmTarget>(hook.target).hook}};
    case HookKind::kUprobe:
    case HookKind::kUsdt:
      break;  // PlacesInProgram
  }
  return {};
}

}  // namespace sluice::policy::tracing
