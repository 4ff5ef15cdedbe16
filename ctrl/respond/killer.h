// Ends processes by SIGKILL: one, or one with all that descend from it. A number that another process has by now is
// never hit (ProcessHandle), nor are the agent, its helper and the first process.
//
// Of a tree, processes that are forked meanwhile are ended too: a process that is being killed forks no more, and a
// fork is reported before the child runs, so the tree is searched again until nothing new is in it.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "telemetry/process/process_tree.h"

namespace sluice::respond {

class Killer {
 public:
  struct Sources {
    const telemetry::ProcessTree* tree = nullptr;  // null: no process is known, and none can be ended
    std::function<void()> catch_up;                // ProcessSensor::CatchUp; may be empty
    std::function<Status(int pidfd)> kill;         // sends SIGKILL
    std::vector<std::uint32_t> never;              // pids: the agent and its helper
  };
  struct Killed {
    std::vector<telemetry::ProcessInstance> processes;
    Status status;  // of the first one that could not be ended, though it was alive
  };
  // Whether a process may be ended that descends from the one that is asked for.
  using MayKill = std::function<bool(const telemetry::ProcessInstance&)>;

  explicit Killer(Sources sources) : sources_(std::move(sources)) {}

  // The living process that an event names: `exec_id` is of it, or of an instance before its last exec. Nothing: it has
  // ended, or is not known.
  std::optional<telemetry::ProcessInstance> Find(std::uint32_t pid, const std::string& exec_id) const;

  Killed Kill(const telemetry::ProcessInstance& root) const;
  // Takes at most a few hundred milliseconds.
  Killed KillTree(const telemetry::ProcessInstance& root, const MayKill& may_kill) const;

 private:
  Status KillOne(const telemetry::ProcessInstance& process, Killed* killed) const;
  std::vector<telemetry::ProcessInstance> Descendants(const telemetry::ProcessInstance& root) const;

  const Sources sources_;
};

}  // namespace sluice::respond
