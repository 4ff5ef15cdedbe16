#include "telemetry/flow/workload_index.h"

#include <set>
#include <vector>

namespace sluice::telemetry {

const policy::Endpoint* WorkloadIndex::Find(std::uint32_t workload) const {
  const auto found = by_number_.find(workload);
  return found == by_number_.end() ? nullptr : found->second.get();
}

std::shared_ptr<const WorkloadIndex> WorkloadIndexer::Update(std::shared_ptr<const policy::CompiledPolicy> compiled) {
  if (!compiled || compiled == index_->compiled_) return index_;
  auto next = std::make_shared<WorkloadIndex>(*index_);
  next->compiled_ = std::move(compiled);

  // Both are in the order of names. An endpoint that both have keeps its number.
  static const policy::EndpointList kNone;
  const auto& before = (index_->compiled_ ? index_->compiled_->snapshot->endpoints : kNone).pointers();
  std::vector<std::uint32_t> left;
  std::set<std::uint32_t> taken;
  auto old = before.begin();
  for (const auto& endpoint : next->compiled_->snapshot->endpoints.pointers()) {
    for (; old != before.end() && *old != endpoint && !(endpoint->name < (*old)->name); ++old) {
      left.push_back((*old)->workload_id);
    }
    if (old != before.end() && *old == endpoint) {
      ++old;
      continue;
    }
    next->by_number_.Put(endpoint->workload_id, endpoint);
    taken.insert(endpoint->workload_id);
  }
  for (; old != before.end(); ++old) left.push_back((*old)->workload_id);

  std::erase_if(departed_, [&](std::uint32_t number) { return taken.contains(number); });
  for (const std::uint32_t number : left) {
    if (!taken.contains(number)) departed_.push_back(number);
  }
  for (; departed_.size() > max_departed_; departed_.pop_front()) next->by_number_.erase(departed_.front());
  index_ = std::move(next);
  return index_;
}

}  // namespace sluice::telemetry
