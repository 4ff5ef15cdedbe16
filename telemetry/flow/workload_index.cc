#include "telemetry/flow/workload_index.h"

#include <algorithm>

namespace sluice::telemetry {

const WorkloadName* WorkloadIndex::Find(std::uint32_t workload) const {
  const auto found = by_number_.find(workload);
  return found == by_number_.end() ? nullptr : found->second.get();
}

std::shared_ptr<const WorkloadIndex> WorkloadIndexer::Update(std::shared_ptr<const policy::CompiledPolicy> compiled) {
  if (!compiled || compiled == index_->compiled_) return index_;
  auto next = std::make_shared<WorkloadIndex>();
  next->compiled_ = std::move(compiled);
  for (const policy::Endpoint& endpoint : next->compiled_->snapshot->endpoints) {
    next->by_number_.emplace(endpoint.workload_id, std::make_shared<WorkloadName>(
                                                       WorkloadName{endpoint.name, endpoint.labels, endpoint.owner}));
  }

  std::erase_if(departed_, [&](std::uint32_t number) { return next->by_number_.contains(number); });
  const std::size_t known_departed = departed_.size();
  for (const auto& [number, name] : index_->by_number_) {
    if (next->by_number_.contains(number)) continue;
    const auto end = departed_.begin() + static_cast<std::ptrdiff_t>(known_departed);
    if (std::find(departed_.begin(), end, number) == end) departed_.push_back(number);
  }
  while (departed_.size() > max_departed_) departed_.pop_front();
  for (const std::uint32_t number : departed_) next->by_number_.emplace(number, index_->by_number_.at(number));
  index_ = std::move(next);
  return index_;
}

}  // namespace sluice::telemetry
