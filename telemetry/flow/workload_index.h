// Workload numbers of flows -> names, including workloads that are gone, so that the last events of their flows still
// name them. A WorkloadIndex is immutable; WorkloadIndexer makes the next one from the previous one.
#pragma once

#include <deque>
#include <memory>
#include <unordered_map>

#include "policy/network/tables.h"

namespace sluice::telemetry {

struct WorkloadName {
  policy::ObjectName name;
  policy::Labels labels;
  std::shared_ptr<const policy::PodOwner> owner;  // null: none
};

class WorkloadIndex {
 public:
  // Null: unknown or forgotten. Valid as long as the index.
  const WorkloadName* Find(std::uint32_t workload) const;
  const policy::CompiledPolicy* compiled() const { return compiled_.get(); }  // null: no policy yet

 private:
  friend class WorkloadIndexer;
  std::shared_ptr<const policy::CompiledPolicy> compiled_;
  std::unordered_map<std::uint32_t, std::shared_ptr<const WorkloadName>> by_number_;
};

// Not thread-safe. Remembers the last `max_departed` workloads that are gone.
class WorkloadIndexer {
 public:
  explicit WorkloadIndexer(std::size_t max_departed = 4096) : max_departed_(max_departed) {}
  std::shared_ptr<const WorkloadIndex> Update(std::shared_ptr<const policy::CompiledPolicy> compiled);

 private:
  std::size_t max_departed_;
  std::shared_ptr<const WorkloadIndex> index_ = std::make_shared<WorkloadIndex>();
  std::deque<std::uint32_t> departed_;  // oldest first
};

}  // namespace sluice::telemetry
