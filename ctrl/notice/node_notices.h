// What only this node's agent knows and a person has to act on: pods that it cannot enforce on, and a node whose tables
// are too small. An Event for each, once it has lasted. For one thread.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "ctrl/kube/environment.h"
#include "ctrl/notice/writes.h"

namespace sluice::notice {

struct NodeProblem {
  ObjectRef about;
  std::string reason;  // "PodNotEnforced"
  std::string message;
};

class NodeNotices {
 public:
  explicit NodeNotices(std::string node) : node_(std::move(node)) {}

  // A pod that starts is not enforced on for a moment: that is no news.
  static constexpr std::chrono::seconds kLasting{30};
  // Another Event about the same object and reason comes this much later at the earliest.
  static constexpr std::chrono::seconds kApart{300};

  // `problems`: all that there are now. What is not among them has passed.
  std::vector<kube::Write> Due(const std::vector<NodeProblem>& problems, kube::TimePoint now, kube::WallTime wall);

 private:
  struct Known {
    kube::TimePoint since;
    kube::TimePoint told_at;
    std::string told;  // the message; empty: not told yet
  };
  const std::string node_;
  std::map<std::string, Known> known_;  // by kind, name, uid and reason
};

}  // namespace sluice::notice
