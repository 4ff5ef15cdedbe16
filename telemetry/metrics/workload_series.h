// Counters of workloads for the metrics. A bounded number of workloads have their own series, as long as they exist;
// all others are summed up in one. A series never decreases; it disappears with its workload. Not thread-safe.
#pragma once

#include <map>
#include <vector>

#include "bpf/abi/events.h"
#include "policy/resource/model.h"

namespace sluice::telemetry {

class WorkloadSeries {
 public:
  struct Row {
    policy::ObjectName workload;  // ns empty and name "other": the sum of all others
    sl_endpoint_counters counters{};
  };

  explicit WorkloadSeries(std::size_t max_workloads) : max_workloads_(max_workloads) {}

  // Both by endpoint number; `names` has all workloads that exist now.
  std::vector<Row> Update(const std::map<std::uint32_t, sl_endpoint_counters>& counters,
                          const std::map<std::uint32_t, policy::ObjectName>& names);

 private:
  struct Summed {
    policy::ObjectName workload;
    sl_endpoint_counters seen{};
  };

  const std::size_t max_workloads_;
  std::map<std::uint32_t, policy::ObjectName> shown_;
  std::map<std::uint32_t, Summed> summed_;
  sl_endpoint_counters other_{};
};

}  // namespace sluice::telemetry
