// Counters of programs for the metrics. A bounded number of programs have their own series, as long as their workload
// exists; all others are summed up in one. No workload has more than an eighth of the series, so that one that runs
// many different programs leaves room for others. A series never decreases; it disappears with its workload.
// Thread-safe.
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

// Totals of one program in one direction. Flows are those that it opened (egress) or answered (ingress).
struct ProcessTotals {
  std::uint64_t forwarded_flows = 0;
  std::uint64_t audited_flows = 0;
  std::uint64_t dropped_flows = 0;
  std::uint64_t bytes = 0;                                            // sent or received at layer 3, allowed flows only
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
  // Label of the sum of all others. Binaries are paths and workloads have namespaces, so no real program has it.
  static constexpr const char* kOther = "other";

  struct Program {
    std::uint32_t workload = 0;
    std::string binary;
    auto operator<=>(const Program&) const = default;
  };
  struct Row {
    policy::ObjectName workload;  // ns empty, name and binary "other": the sum of all others
    std::string binary;
    ProcessCounters counters;
  };

  explicit ProcessSeries(std::size_t max_programs) : max_programs_(max_programs) {}

  // `growth`: the growth since the last call; workloads that are not in `workloads` are ignored.
  void Update(const std::map<Program, ProcessCounters>& growth, const LocalWorkloads& workloads);

  // The sum of all others is last. At most `max_programs` + 1.
  std::vector<Row> Rows() const;

 private:
  ProcessCounters& PlaceOf(const Program& program);

  const std::size_t max_programs_;
  mutable std::mutex mutex_;
  std::map<Program, Row> shown_;
  ProcessCounters other_;
};

}  // namespace sluice::telemetry
