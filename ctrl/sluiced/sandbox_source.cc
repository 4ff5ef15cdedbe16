#include "ctrl/sluiced/sandbox_source.h"

#include <sys/eventfd.h>

#include <utility>

#include "base/log.h"

namespace sluice {
namespace {

constexpr const char* kRuntime = "container runtime";
constexpr const char* kProcesses = "cgroups and /proc";

telemetry::SourceState ToSourceState(const cri::WatchState& state) {
  telemetry::SourceState source{.name = kRuntime, .state = state.synced ? "watching" : "waiting"};
  source.synced = state.synced;
  source.since = state.since;
  source.refused = state.unread + state.left_out;
  source.problem = state.synced ? state.unread_error : state.last_error;
  source.requests = state.lists;
  return source;
}

}  // namespace

std::string SandboxSource::ProblemOf(const std::string& cri) {
  const bool is_valid = cri == kAuto || cri == kProc || (cri.starts_with("unix:") && cri.size() > 5);
  return is_valid ? "" : "expected auto, proc, or unix:///PATH";
}

StatusOr<std::unique_ptr<SandboxSource>> SandboxSource::Start(const std::string& cri, OnContainers on_containers) {
  if (const std::string problem = ProblemOf(cri); !problem.empty()) return InvalidError("--cri {}: {}", cri, problem);
  std::unique_ptr<SandboxSource> source(new SandboxSource(cri == kAuto || cri == kProc));
  if (cri == kProc) return source;
  cri::WatchOptions options;
  if (cri != kAuto) options.endpoints = {cri};
  options.on_containers = std::move(on_containers);
  SL_ASSIGN_OR_RETURN(source->runtime_, cri::SandboxWatch::Start(std::move(options)));
  return source;
}

std::optional<SandboxSource::List> SandboxSource::Next() {
  if (runtime_) {
    if (auto list = runtime_->list()) {
      const std::lock_guard lock(mutex_);
      if (searching_) LogInfo("pods of this node are taken from the container runtime from now on");
      searching_ = false;
      if (list->requested == last_list_) return std::nullopt;
      last_list_ = list->requested;
      return List{.sandboxes = std::move(list->sandboxes), .begun = list->requested};
    }
    if (!may_search_ || runtime_->state().last_error.empty()) return std::nullopt;
  }
  const auto now = Clock::now();
  if (now < search_at_) return std::nullopt;
  search_at_ = now + kSearchEach;
  return Search();
}

std::optional<SandboxSource::List> SandboxSource::Search() {
  List list{.sandboxes = {}, .begun = Clock::now(), .found = true};
  auto found = finder_.Find(list.begun);
  const std::lock_guard lock(mutex_);
  if (!searching_) {
    LogInfo("pods of this node are found by their cgroups and processes: {}",
            runtime_ ? "no container runtime answers: " + runtime_->state().last_error : "--cri proc");
  }
  const bool was_synced = std::exchange(search_.synced, found.ok());
  if (!searching_ || was_synced != search_.synced) search_.since = std::chrono::system_clock::now();
  searching_ = true;
  ++search_.requests;
  search_.name = kProcesses;
  search_.state = found.ok() ? "polling" : "waiting";
  search_.refused = found.ok() ? finder_.unread() : 0;
  const std::string problem = found.ok() ? finder_.unread_error() : Message(found.status());
  if (!problem.empty() && problem != search_.problem) LogWarn("pods of this node: {}", problem);
  search_.problem = problem;
  if (!found.ok()) {
    ++search_.errors;
    return std::nullopt;
  }
  list.sandboxes = *std::move(found);
  return list;
}

Status SandboxSource::CheckListed() const {
  if (runtime_ && runtime_->state().lists != 0) return OkStatus();
  {
    const std::lock_guard lock(mutex_);
    if (searching_ && search_.synced && search_.refused == 0) return OkStatus();
    if (searching_) return MakeError(absl::StatusCode::kUnavailable, "pods of this node: {}", search_.problem);
  }
  const std::string error = runtime_ ? runtime_->state().last_error : "";
  return MakeError(absl::StatusCode::kUnavailable, "the container runtime: {}",
                   error.empty() ? "no answer yet" : error);
}

bool SandboxSource::TakeEvent() const {
  eventfd_t count = 0;
  return runtime_ && eventfd_read(runtime_->fd(), &count) == 0;
}

telemetry::SourceState SandboxSource::state(std::size_t sandboxes) const {
  telemetry::SourceState state =
      runtime_ ? ToSourceState(runtime_->state()) : telemetry::SourceState{.name = kProcesses, .state = "waiting"};
  {
    const std::lock_guard lock(mutex_);
    if (searching_) state = search_;
  }
  state.objects = sandboxes;
  return state;
}

}  // namespace sluice
