// Where hooks are attached.
#include <algorithm>

#include "policy/tracing/compile_parts.h"
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

std::vector<HookPoint> PointsOfList(const List& list, HookPoint::Kind of_function, const PolicyField& field) {
  std::vector<HookPoint> points;
  switch (list.type) {
    case List::Type::kFunctions:
      for (const std::string& name : list.values) points.push_back({.kind = of_function, .group = "", .name = name});
      break;
    case List::Type::kSyscalls:
      for (const std::string& value : list.values) AddListedSyscall(value, field, points);
      break;
    case List::Type::kGeneratedSyscalls:
    case List::Type::kGeneratedFtrace:
      field.Error(fmt::format(
          "list {} is to be made from the running kernel: Sluice does not enforce such lists yet. Name its {}",
          list.name, list.type == List::Type::kGeneratedSyscalls ? "system calls" : "functions"));
      break;
  }
  return points;
}

std::vector<HookPoint> PointsOfFunction(const TracingPolicy& policy, const FunctionTarget& target,
                                        HookPoint::Kind of_function, const PolicyField& field) {
  if (target.list.empty()) {
    if (!target.syscall) return {{.kind = of_function, .group = "", .name = target.function}};
    return {{.kind = HookPoint::Kind::kSyscall,
             .group = "",
             .name = std::string(SyscallOfFunction(target.function).value_or(target.function))}};
  }
  const auto list =
      std::find_if(policy.lists.begin(), policy.lists.end(), [&](const List& one) { return one.name == target.list; });
  return PointsOfList(*list, of_function, field.At("call"));
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

std::vector<HookPoint> PointsOf(const TracingPolicy& policy, const Hook& hook, const PolicyField& field) {
  switch (hook.kind) {
    case HookKind::kKprobe:
      return PointsOfFunction(policy, std::get<FunctionTarget>(hook.target), HookPoint::Kind::kFunction, field);
    case HookKind::kFentry:
      return PointsOfFunction(policy, std::get<FunctionTarget>(hook.target), HookPoint::Kind::kTrampoline, field);
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
