// What the agents tell about policies: an Event for one that is refused, and the condition Enforced of Sluice's own.
//
// Each policy is written about by one agent of the cluster (turn.h), once for each change of it. Thread-safe.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ctrl/kube/environment.h"
#include "ctrl/kube/sink.h"
#include "ctrl/notice/writes.h"

namespace sluice::notice {

// A version of a policy, as the server has it and the parser judged it.
struct SeenPolicy {
  ObjectRef about;
  std::int64_t generation = 0;
  std::string resource_version;
  bool has_status = false;            // it has the condition: Sluice's own kinds
  std::optional<Condition> enforced;  // as the server has it
  std::string refused;                // the parser's error; empty: it is accepted
};

class PolicyNotices {
 public:
  explicit PolicyNotices(std::string node) : node_(std::move(node)) {}

  // So often an agent writes the condition for one verdict on one generation. More than once, as somebody may change
  // the policy at the same time; and not for ever, as an agent of another version may see it differently and write
  // that.
  static constexpr std::size_t kTries = 3;

  void See(SeenPolicy policy, kube::TimePoint now);
  // With another uid than the known one: nothing.
  void Forget(const std::string& api_version, const kube::ObjectMeta& meta);

  bool HasDue();
  // What this agent has to write now, at most `room` requests. `nodes`: those of the cluster that have pods.
  // `in_force`: what is known is in force on this node; otherwise nothing is said to be enforced.
  std::vector<kube::Write> Due(const std::set<std::string>& nodes, bool in_force, std::size_t room, kube::TimePoint now,
                               kube::WallTime wall);

 private:
  struct Key {
    std::string api_version;
    kube::ObjectKey key;
    auto operator<=>(const Key&) const = default;
  };
  struct Known {
    SeenPolicy policy;
    kube::TimePoint since;  // when this verdict on this generation was first seen
    bool event_due = false;
    bool condition_due = false;
    std::size_t conditions = 0;  // written for this verdict
  };
  static Condition Wanted(const SeenPolicy& policy);
  // Adds what `known` needs, but for what has to wait until it is in force.
  void Settle(Known& known, bool in_force, kube::WallTime wall, std::vector<kube::Write>& writes) const;

  const std::string node_;
  std::mutex mutex_;
  std::map<Key, Known> known_;
  std::set<Key> due_;
};

}  // namespace sluice::notice
