// How much each workload may write into the export files, so that a flood of one does not turn them over: while all
// wrote less than half of their bytes in a span of time, anybody may; else those who wrote less than a sixteenth.
// Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>

#include "policy/resource/model.h"

namespace sluice::telemetry {

class ExportShares {
 public:
  // `bytes`: of all files together. A span of 0: there are no shares.
  ExportShares(std::uint64_t bytes, std::chrono::seconds span);
  // Times do not go back.
  bool Take(const policy::ObjectName& owner, std::uint64_t bytes, std::uint64_t monotonic_ns);

 private:
  // What was written and has not drained away yet; all that it holds drains in a span.
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
