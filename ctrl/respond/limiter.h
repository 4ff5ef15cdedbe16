// How often one Response may answer: so many times in a period in all, and so many times for one workload, so that a
// workload with many causes does not use up the answers for the others. Token buckets: full at the start, refilled
// evenly over the period. Memory is bounded. Not thread-safe.
//   if (limiter.Take(workload, now)) Answer(); else left_out++;
#pragma once

#include <chrono>
#include <map>

#include "policy/response/model.h"

namespace sluice::respond {

class Limiter {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // `max_workloads`: with a bucket of their own. Others wait until one of these is full again.
  explicit Limiter(const policy::response::Limits& limits, std::size_t max_workloads = 4096);

  // True: the answer may be given, and is counted.
  bool Take(const policy::ObjectName& workload, Time now);

 private:
  struct Bucket {
    double tokens = 0;
    Time at{};
  };
  void Refill(Bucket& bucket, double capacity, Time now) const;
  Bucket* FindOrAdd(const policy::ObjectName& workload, Time now);

  const policy::response::Limits limits_;
  const std::size_t max_workloads_;
  Bucket total_;
  std::map<policy::ObjectName, Bucket> workloads_;
};

}  // namespace sluice::respond
