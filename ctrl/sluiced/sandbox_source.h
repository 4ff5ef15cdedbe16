// Where the pods of this node come from besides the CNI plugin: the container runtime (cri::SandboxWatch), or the
// cgroups and processes of pods (node::PodFinder) where none answers.
//   SL_ASSIGN_OR_RETURN(auto source, SandboxSource::Start("auto", on_containers));
//   poll(source->fd()) ... if (auto list = source->Next()) ...
// With "auto", pods are found by their processes from the moment that no known runtime answers until one does, and
// never after that: a runtime knows more, and what it said stays known while it is away.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "ctrl/cri/sandbox_watch.h"
#include "ctrl/node/pod_finder.h"
#include "telemetry/metrics/source_state.h"

namespace sluice {

class SandboxSource {
 public:
  using Clock = std::chrono::steady_clock;
  using OnContainers = std::function<void(const std::vector<cri::Container>&)>;
  struct List {
    std::vector<node::Sandbox> sandboxes;
    Clock::time_point begun;  // before the runtime was asked, or the processes were looked at
    bool found = false;       // by PodFinder: it may lack some
  };

  static constexpr char kAuto[] = "auto";
  static constexpr char kProc[] = "proc";
  static constexpr std::chrono::milliseconds kSearchEach{500};

  // Start takes kAuto, kProc, or unix:///PATH of a runtime, which is then waited for. Empty: it is one of these.
  static std::string ProblemOf(const std::string& cri);
  // `on_containers`: as of cri::WatchOptions; only a runtime knows containers.
  static StatusOr<std::unique_ptr<SandboxSource>> Start(const std::string& cri, OnContainers on_containers);

  // The newest list that was not given yet. May search, at most each kSearchEach. From one thread, as TakeEvent.
  std::optional<List> Next();
  // Unavailable: nothing has been listed yet, and why.
  Status CheckListed() const;

  // Readable when Next has something new before the next search; -1: never.
  int fd() const { return runtime_ ? runtime_->fd() : -1; }
  bool TakeEvent() const;

  telemetry::SourceState state(std::size_t sandboxes) const;  // thread-safe

 private:
  explicit SandboxSource(bool may_search) : may_search_(may_search) {}
  std::optional<List> Search();

  const bool may_search_;
  std::unique_ptr<cri::SandboxWatch> runtime_;  // null: kProc
  Clock::time_point last_list_;                 // of the runtime, that was given
  Clock::time_point search_at_;
  node::PodFinder finder_{node::PodFinder::Options()};

  mutable std::mutex mutex_;
  bool searching_ = false;         // by mutex_, as all below
  telemetry::SourceState search_;  // what state() says while searching_
};

}  // namespace sluice
