#include "telemetry/tetragon/event_parts.h"

namespace sluice::telemetry {
namespace {

using Event = tetragon::GetEventsResponse;

// Calls `visit` with the message of the event, if it is about a process.
template <typename Message, typename Visit>
void VisitProcessEvent(Message& event, const Visit& visit) {
  const auto with = [&](auto get_const, auto get_mutable) {
    if constexpr (std::is_const_v<Message>) {
      visit((event.*get_const)());
    } else {
      visit(*(event.*get_mutable)());
    }
  };
  switch (event.event_case()) {
    case Event::kProcessExec:
      return with(&Event::process_exec, &Event::mutable_process_exec);
    case Event::kProcessExit:
      return with(&Event::process_exit, &Event::mutable_process_exit);
    case Event::kProcessKprobe:
      return with(&Event::process_kprobe, &Event::mutable_process_kprobe);
    case Event::kProcessTracepoint:
      return with(&Event::process_tracepoint, &Event::mutable_process_tracepoint);
    case Event::kProcessLoader:
      return with(&Event::process_loader, &Event::mutable_process_loader);
    case Event::kProcessUprobe:
      return with(&Event::process_uprobe, &Event::mutable_process_uprobe);
    case Event::kProcessLsm:
      return with(&Event::process_lsm, &Event::mutable_process_lsm);
    case Event::kProcessUsdt:
      return with(&Event::process_usdt, &Event::mutable_process_usdt);
    case Event::kRateLimitInfo:
    case Event::EVENT_NOT_SET:
      return;
  }
}

}  // namespace

// The numbers are the same (tests/unit/telemetry_hook).
tetragon::EventType TypeOf(const Event& event) { return static_cast<tetragon::EventType>(event.event_case()); }

const tetragon::Process* ProcessOf(const Event& event) {
  const tetragon::Process* process = nullptr;
  VisitProcessEvent(event, [&](const auto& one) { process = one.has_process() ? &one.process() : nullptr; });
  return process;
}

tetragon::Process* MutableProcessOf(Event* event) {
  tetragon::Process* process = nullptr;
  VisitProcessEvent(*event, [&](auto& one) { process = one.has_process() ? one.mutable_process() : nullptr; });
  return process;
}

const tetragon::Process* ParentOf(const Event& event) {
  const tetragon::Process* parent = nullptr;
  VisitProcessEvent(event, [&](const auto& one) { parent = one.has_parent() ? &one.parent() : nullptr; });
  return parent;
}

std::string PolicyNameOf(const Event& event) {
  std::string name;
  VisitProcessEvent(event, [&](const auto& one) {
    if constexpr (requires { one.policy_name(); }) name = one.policy_name();
  });
  return name;
}

}  // namespace sluice::telemetry
