// What the flow table counts about itself (guests of buckets, shares of workloads), counted anew at each pass over it:
// whoever died between a flow and its count left the count wrong.
//   counts.Begin(); counts.Add(flow, home) for each flow; counts.End(buckets, shares);
// A count that is off by the same in two passes is put right; traffic moves counts while a pass goes on, but hardly
// twice by the same. Not thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "bpf/abi/flow_table.h"
#include "ctrl/datapath/datapath.h"

namespace sluice::datapath {

class FlowCounts {
 public:
  void Begin(std::uint32_t buckets);
  void Add(const FlowRecord& flow, std::uint32_t home);
  // Both mapped, and written by others at the same time; `shares` has SL_MAX_ENDPOINTS.
  void End(sl_flow_bucket* buckets, std::uint64_t* shares);

 private:
  // By how much too high: now, and at the last pass.
  struct Drift {
    std::uint64_t counted = 0, last = 0;
  };
  template <typename Count>
  static void Correct(Drift& drift, Count* count);

  std::vector<Drift> guests_, shares_;
};

}  // namespace sluice::datapath
