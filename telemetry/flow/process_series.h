// Which programs of workloads have counters of their own in the metrics: as many as allowed, for as long as their
// workload instances; all others are summed up as one. No workload has more than an eighth of the places, so that one
// that runs ever new programs leaves the others theirs. No series ever goes down but with its workload. Thread-safe.
#pragma once

#include <array>
#include <compare>
#include <map>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "bpf/abi/drop_reasons.h"
#include "policy/resource/model.h"

namespace sluice::telemetry {

// What one program did in one direction.
struct ProcessTotals {
  std::uint64_t forwarded_flows = 0;  // that it opened (egress) or answered (ingress), as are:
  std::uint64_t audited_flows = 0;
  std::uint64_t dropped_flows = 0;
  std::uint64_t bytes = 0;                                            // sent or received, at layer 3, of allowed flows
  std::array<std::uint64_t, SL_DROP_REASON_COUNT> dropped_packets{};  // of denied flows

  ProcessTotals& operator+=(const ProcessTotals& other);
};

struct ProcessCounters {
  ProcessTotals egress;
  ProcessTotals ingress;
};

using LocalWorkloads = std::unordered_map<std::uint32_t, policy::ObjectName>;  // by workload number

class ProcessSeries {
 public:
  // Of the sum of the rest. A binary is a path, and a workload has a namespace, so no program has these labels.
  static constexpr const char* kOther = "other";

  struct Program {
    std::uint32_t workload = 0;
    std::string binary;
    auto operator<=>(const Program&) const = default;
  };
  struct Row {
    policy::ObjectName workload;  // ns empty, name and binary "other": the sum of the rest
    std::string binary;
    ProcessCounters counters;
  };

  explicit ProcessSeries(std::size_t max_programs) : max_programs_(max_programs) {}

  // `growth`: what was added since the last call; of workloads that are not in `workloads` it is left out.
  void Update(const std::map<Program, ProcessCounters>& growth, const LocalWorkloads& workloads);

  // The sum of the rest is last. At most `max_programs` + 1.
  std::vector<Row> Rows() const;

 private:
  ProcessCounters& PlaceOf(const Program& program);

  const std::size_t max_programs_;
  mutable std::mutex mutex_;
  std::map<Program, Row> shown_;
  ProcessCounters other_;
};

}  // namespace sluice::telemetry
