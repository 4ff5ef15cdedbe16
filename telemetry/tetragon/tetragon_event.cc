#include "telemetry/tetragon/tetragon_event.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cstdlib>

#include "base/printable.h"
#include "telemetry/tetragon/tetragon_argument.h"
#include "telemetry/tetragon/tetragon_process.h"

namespace sluice::telemetry {
namespace {

#if defined(__aarch64__)
constexpr char kSyscallPrefix[] = "__arm64_sys_";
#else
constexpr char kSyscallPrefix[] = "__x64_sys_";
#endif

struct ActionOf {
  v1::Hook::Action ours;
  tetragon::KprobeAction theirs;
};
// An event has one action there: of several that were taken, the first in this list.
constexpr ActionOf kActions[] = {
    {v1::Hook::SIGNAL, tetragon::KPROBE_ACTION_SIGNAL},
    {v1::Hook::OVERRIDE, tetragon::KPROBE_ACTION_OVERRIDE},
    {v1::Hook::NOTIFY_ENFORCER, tetragon::KPROBE_ACTION_NOTIFYENFORCER},
    {v1::Hook::TRACK_SOCKET, tetragon::KPROBE_ACTION_TRACKSOCK},
    {v1::Hook::UNTRACK_SOCKET, tetragon::KPROBE_ACTION_UNTRACKSOCK},
    {v1::Hook::CLEAR_ENFORCER, tetragon::KPROBE_ACTION_CLEANUPENFORCERNOTIFICATION},
};

template <typename Actions>
tetragon::KprobeAction ActionOfMany(const Actions& actions, const v1::Hook& hook) {
  if (hook.monitor()) return tetragon::KPROBE_ACTION_POST;
  for (const ActionOf& one : kActions) {
    if (std::find(actions.begin(), actions.end(), one.ours) == actions.end()) continue;
    const bool kills = one.ours == v1::Hook::SIGNAL && hook.signal() == "SIGKILL";
    return kills ? tetragon::KPROBE_ACTION_SIGKILL : one.theirs;
  }
  return tetragon::KPROBE_ACTION_POST;
}

// What all events of hooks have.
template <typename Out>
void FillHookEvent(const v1::Hook& hook, const v1::Process* parent, Out* out) {
  FillTetragonProcesses(hook, parent, out);
  for (const v1::HookArgument& argument : hook.arguments()) *out->add_args() = ToTetragonArgument(argument);
  out->set_action(ActionOfMany(hook.actions(), hook));
  out->set_policy_name(hook.policy().name());
  out->set_message(hook.message());
  *out->mutable_tags() = hook.tags();
}

template <typename Frames, typename Out>
void FillStack(const Frames& frames, Out* out) {
  for (const v1::StackFrame& frame : frames) {
    tetragon::StackTraceEntry& entry = *out->Add();
    entry.set_symbol(frame.symbol());
    entry.set_offset(frame.offset());
    entry.set_module(frame.module());
  }
}

void FillKprobe(const v1::Hook& hook, const v1::Process* parent, tetragon::ProcessKprobe* out) {
  FillHookEvent(hook, parent, out);
  out->set_function_name(hook.kind() == v1::Hook::SYSCALL ? kSyscallPrefix + hook.function() : hook.function());
  for (const v1::HookArgument& argument : hook.data()) *out->add_data() = ToTetragonArgument(argument);
  if (hook.has_return_value()) *out->mutable_return_() = ToTetragonArgument(hook.return_value());
  if (hook.has_return_value() || hook.return_actions_size() != 0) {
    out->set_return_action(ActionOfMany(hook.return_actions(), hook));
  }
  FillStack(hook.kernel_stack(), out->mutable_kernel_stack_trace());
  FillStack(hook.user_stack(), out->mutable_user_stack_trace());
}

void FillTracepoint(const v1::Hook& hook, const v1::Process* parent, tetragon::ProcessTracepoint* out) {
  FillHookEvent(hook, parent, out);
  out->set_subsys(hook.group());
  out->set_event(hook.function());
}

void FillLsm(const v1::Hook& hook, const v1::Process* parent, tetragon::ProcessLsm* out) {
  FillHookEvent(hook, parent, out);
  out->set_function_name(hook.function());
}

void FillUprobe(const v1::Hook& hook, const v1::Process* parent, tetragon::ProcessUprobe* out) {
  FillHookEvent(hook, parent, out);
  out->set_path(hook.group());
  for (const v1::HookArgument& argument : hook.data()) *out->add_data() = ToTetragonArgument(argument);
  if (hook.function().starts_with("0x")) {
    out->set_offset(std::strtoull(hook.function().c_str(), nullptr, 16));
  } else {
    out->set_symbol(hook.function());
  }
}

void FillUsdt(const v1::Hook& hook, const v1::Process* parent, tetragon::ProcessUsdt* out) {
  FillHookEvent(hook, parent, out);
  out->set_path(hook.group());
  const std::size_t colon = hook.function().find(':');
  out->set_provider(hook.function().substr(0, colon));
  if (colon != std::string::npos) out->set_name(hook.function().substr(colon + 1));
}

void FillHook(const v1::Hook& hook, const v1::Process* parent, tetragon::GetEventsResponse* out) {
  switch (hook.kind()) {
    case v1::Hook::TRACEPOINT:
    case v1::Hook::RAW_TRACEPOINT:
      return FillTracepoint(hook, parent, out->mutable_process_tracepoint());
    case v1::Hook::LSM:
      return FillLsm(hook, parent, out->mutable_process_lsm());
    case v1::Hook::UPROBE:
      return FillUprobe(hook, parent, out->mutable_process_uprobe());
    case v1::Hook::USDT:
      return FillUsdt(hook, parent, out->mutable_process_usdt());
    default:
      return FillKprobe(hook, parent, out->mutable_process_kprobe());
  }
}

void FillExit(const v1::Exit& exit, const v1::Process* parent, tetragon::ProcessExit* out) {
  FillTetragonProcesses(exit, parent, out);
  out->set_signal(exit.signal());
  out->set_status(exit.exit_code());
  if (exit.has_time()) *out->mutable_time() = exit.time();
}

template <typename Event>
void FillEnvelope(const Event& event, tetragon::GetEventsResponse* out) {
  out->set_node_name(event.node());
  if (event.has_time()) *out->mutable_time() = event.time();
}

}  // namespace

std::optional<tetragon::GetEventsResponse> ToTetragon(const v1::Event& event) {
  tetragon::GetEventsResponse out;
  const v1::Process* const parent = event.has_parent() ? &event.parent() : nullptr;
  switch (event.event_case()) {
    case v1::Event::kExec:
      FillEnvelope(event.exec(), &out);
      FillTetragonProcesses(event.exec(), parent, out.mutable_process_exec());
      return out;
    case v1::Event::kExit:
      FillEnvelope(event.exit(), &out);
      FillExit(event.exit(), parent, out.mutable_process_exit());
      return out;
    case v1::Event::kHook:
      FillEnvelope(event.hook(), &out);
      FillHook(event.hook(), parent, &out);
      return out;
    case v1::Event::kLost:
      if (event.lost().event() == "flow") return std::nullopt;
      FillEnvelope(event.lost(), &out);
      out.mutable_rate_limit_info()->set_number_of_dropped_process_events(event.lost().count());
      return out;
    case v1::Event::kFlow:
    case v1::Event::kFork:
    case v1::Event::kChange:
    case v1::Event::kAlert:
    case v1::Event::kDetection:
    case v1::Event::kResponse:
    case v1::Event::EVENT_NOT_SET:
      break;
  }
  return std::nullopt;
}

StatusOr<std::string> ToTetragonJson(const v1::Event& event) {
  const auto converted = ToTetragon(event);
  if (!converted) return std::string();
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(*converted, &json, options);
  if (!status.ok()) {
    return MakeError(absl::StatusCode::kInternal, "an event in Tetragon's form as JSON: {}", status.ToString());
  }
  return PrintableJson(json);
}

void ExportAsTetragon(EventExport::Options* options) {
  options->to_line = ToTetragonJson;
  options->types = {"exec", "exit", "hook"};
  options->with_parents = true;
}

}  // namespace sluice::telemetry
