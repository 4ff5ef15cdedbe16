// Workload numbers of flows -> names, including workloads that are gone, so that the last events of their flows still
// name them. A WorkloadIndex is immutable; WorkloadIndexer makes the next one from the previous one.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>

#include "policy/network/tables.h"
#include "policy/resource/shared_map.h"

namespace sluice::telemetry {

class WorkloadIndex {
 public:
  // With its last name, labels and owner. Null: unknown or forgotten. Valid as long as the index.
  const policy::Endpoint* Find(std::uint32_t workload) const;
  const policy::CompiledPolicy* compiled() const { return compiled_.get(); }  // null: no policy yet

 private:
  friend class WorkloadIndexer;
  std::shared_ptr<const policy::CompiledPolicy> compiled_;
  policy::SharedMap<std::uint32_t, std::shared_ptr<const policy::Endpoint>> by_number_;
};

// Not thread-safe. Remembers the last `max_departed` workloads that are gone.
class WorkloadIndexer {
 public:
  explicit WorkloadIndexer(std::size_t max_departed = 4096) : max_departed_(max_departed) {}
  // What is allocated grows with the endpoints that are not shared with the policy before.
  std::shared_ptr<const WorkloadIndex> Update(std::shared_ptr<const policy::CompiledPolicy> compiled);

 private:
  std::size_t max_departed_;
  std::shared_ptr<const WorkloadIndex> index_ = std::make_shared<WorkloadIndex>();
  std::deque<std::uint32_t> departed_;  // oldest first
};

}  // namespace sluice::telemetry
