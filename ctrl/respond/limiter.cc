#include "ctrl/respond/limiter.h"

#include <algorithm>

namespace sluice::respond {

Limiter::Limiter(const policy::response::Limits& limits, std::size_t max_workloads)
    : limits_(limits), max_workloads_(max_workloads), total_{.tokens = static_cast<double>(limits.total), .at = {}} {}

void Limiter::Refill(Bucket& bucket, double capacity, Time now) const {
  const std::chrono::duration<double> passed = now - bucket.at;
  if (passed.count() > 0)
    bucket.tokens = std::min(capacity, bucket.tokens + passed.count() / limits_.period_seconds * capacity);
  bucket.at = std::max(bucket.at, now);
}

// Null: there is no room. A bucket that is full again says nothing, so it makes room.
Limiter::Bucket* Limiter::FindOrAdd(const policy::ObjectName& workload, Time now) {
  const auto capacity = static_cast<double>(limits_.per_workload);
  if (const auto found = workloads_.find(workload); found != workloads_.end()) {
    Refill(found->second, capacity, now);
    return &found->second;
  }
  if (workloads_.size() >= max_workloads_) {
    for (auto& [name, bucket] : workloads_) Refill(bucket, capacity, now);
    std::erase_if(workloads_, [&](const auto& row) { return row.second.tokens >= capacity; });
  }
  if (workloads_.size() >= max_workloads_) return nullptr;
  return &(workloads_[workload] = {.tokens = capacity, .at = now});
}

bool Limiter::Take(const policy::ObjectName& workload, Time now) {
  Refill(total_, static_cast<double>(limits_.total), now);
  Bucket* const own = FindOrAdd(workload, now);
  if (own == nullptr || own->tokens < 1 || total_.tokens < 1) return false;
  own->tokens -= 1;
  total_.tokens -= 1;
  return true;
}

}  // namespace sluice::respond
