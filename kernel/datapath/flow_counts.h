// Checks the flow table's own counts (overflow of buckets, shares of workloads) at each pass over it: an agent that
// died between a flow and its count left the count wrong.
//   counts.Begin(); counts.Add(flow, primary) for each flow; counts.End(buckets, shares); A count is corrected if it is
// off by the same number in two passes that found exactly the same flows. A pass takes time: if flows come and go
// meanwhile, its result and the count at its end can differ by chance, even twice by the same number. Not thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "bpf/abi/flow_table.h"
#include "kernel/datapath/flow_record.h"

namespace sluice::datapath {

class FlowCounts {
 public:
  void Begin(std::uint32_t buckets);
  void Add(const FlowRecord& flow, std::uint32_t primary);
  // Both are memory-mapped, and the packet path writes them at the same time; `shares` has SL_MAX_ENDPOINTS.
  void End(sl_flow_bucket* buckets, std::uint64_t* shares);

 private:
  // The number of flows in this pass and a hash of them; by how much the count was too high, and the hash, in the last
  // pass.
  struct Drift {
    std::uint64_t counted = 0, flows = 0, last = 0, last_flows = 0;
  };
  static void CountIn(Drift& drift, const FlowRecord& flow);
  template <typename Count>
  static void Correct(Drift& drift, Count* count);

  std::vector<Drift> overflow_, shares_;
};

}  // namespace sluice::datapath
