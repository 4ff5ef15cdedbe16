// Limits what each workload may write into the export files, so that a flood of one does not rotate the others' events
// away. While all together wrote less than half of the files' bytes within a span of time, every workload may write;
// after that, only those that wrote less than 1/16.
// Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>

#include "policy/resource/model.h"

namespace sluice::telemetry {

class ExportShares {
 public:
  // `bytes`: the size of all files together. A span of 0: no limit.
  ExportShares(std::uint64_t bytes, std::chrono::seconds span);
  // Times do not go back.
  bool Take(const policy::ObjectName& owner, std::uint64_t bytes, std::uint64_t monotonic_ns);

 private:
  // A leaky bucket: what was written drains away; a full bucket drains in one span.
  struct Bucket {
    double bytes = 0;
    std::uint64_t last_ns = 0;
  };
  void Drain(Bucket& bucket, double capacity, std::uint64_t now_ns) const;

  const double all_;
  const double one_;
  const double span_ns_;
  Bucket total_;
  std::map<policy::ObjectName, Bucket> owners_;
};

}  // namespace sluice::telemetry
