#include "ctrl/notice/policy_notices.h"

#include <utility>

#include "ctrl/notice/turn.h"

namespace sluice::notice {

Condition PolicyNotices::Wanted(const SeenPolicy& policy) {
  if (policy.refused.empty()) {
    return {.status = "True",
            .reason = "Enforced",
            .message = "The agents enforce it on the pods that it selects.",
            .generation = policy.generation};
  }
  return {.status = "False", .reason = "PolicyRefused", .message = policy.refused, .generation = policy.generation};
}

void PolicyNotices::See(SeenPolicy policy, kube::TimePoint now) {
  Key key{policy.about.api_version, {policy.about.ns, policy.about.name}};
  const std::lock_guard lock(mutex_);
  Known& known = known_[key];
  const bool is_same = known.policy.about.uid == policy.about.uid && known.policy.generation == policy.generation &&
                       known.policy.refused == policy.refused && known.since != kube::TimePoint();
  if (!is_same) {
    known.since = now;
    known.event_due = !policy.refused.empty();
    known.conditions = 0;
  }
  const bool is_told = policy.enforced && policy.enforced->Says(Wanted(policy));
  known.condition_due = policy.has_status && !is_told && known.conditions < kTries;
  known.policy = std::move(policy);
  if (known.event_due || known.condition_due) {
    due_.insert(std::move(key));
  } else {
    due_.erase(key);
  }
}

void PolicyNotices::Forget(const std::string& api_version, const kube::ObjectMeta& meta) {
  const std::lock_guard lock(mutex_);
  const auto known = known_.find({api_version, meta.key});
  if (known == known_.end() || (!meta.uid.empty() && known->second.policy.about.uid != meta.uid)) return;
  due_.erase(known->first);
  known_.erase(known);
}

void PolicyNotices::Settle(Known& known, bool in_force, kube::WallTime wall, std::vector<kube::Write>& writes) const {
  const SeenPolicy& policy = known.policy;
  if (std::exchange(known.event_due, false)) {
    writes.push_back(EventWrite(
        {.about = policy.about,
         .generation = policy.generation,
         .reason = "PolicyRefused",
         .message = policy.refused + "\nUntil it is mended, agents that know an earlier version enforce that, "
                                     "others none. Mend the field and apply the policy again.",
         .node = node_},
        wall));
  }
  const Condition wanted = Wanted(policy);
  if (!known.condition_due || (wanted.status == "True" && !in_force)) return;
  known.condition_due = false;
  ++known.conditions;
  writes.push_back(ConditionWrite(policy.about, policy.resource_version, wanted,
                                  policy.enforced ? &*policy.enforced : nullptr, wall));
}

bool PolicyNotices::HasDue() {
  const std::lock_guard lock(mutex_);
  return !due_.empty();
}

std::vector<kube::Write> PolicyNotices::Due(const std::set<std::string>& nodes, bool in_force, std::size_t room,
                                            kube::TimePoint now, kube::WallTime wall) {
  std::vector<kube::Write> writes;
  const std::lock_guard lock(mutex_);
  for (auto at = due_.begin(); at != due_.end() && writes.size() + 2 <= room;) {
    Known& known = known_.at(*at);
    const std::size_t turn = TurnOf(node_, nodes, known.policy.about.uid);
    if (turn >= kTurns) {
      known.event_due = known.condition_due = false;
    } else if (now - known.since >= turn * kTurn) {
      Settle(known, in_force, wall, writes);
    }
    at = known.event_due || known.condition_due ? std::next(at) : due_.erase(at);
  }
  return writes;
}

}  // namespace sluice::notice
