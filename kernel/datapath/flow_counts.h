// What the flow table counts about itself (overflow of buckets, shares of workloads), counted anew at each pass over
// it: whoever died between a flow and its count left the count wrong.
//   counts.Begin(); counts.Add(flow, primary) for each flow; counts.End(buckets, shares);
// A count is put right when it is off by the same in two passes that found the very same flows. A pass takes a while:
// where flows come and go meanwhile, what it found and what is counted at its end differ by chance, and easily twice by
// the same. Not thread-safe.
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
  // Both mapped, and written by others at the same time; `shares` has SL_MAX_ENDPOINTS.
  void End(sl_flow_bucket* buckets, std::uint64_t* shares);

 private:
  // How many flows and, as one number, which; by how much the count is too high. Both at the last pass too.
  struct Drift {
    std::uint64_t counted = 0, flows = 0, last = 0, last_flows = 0;
  };
  static void CountIn(Drift& drift, const FlowRecord& flow);
  template <typename Count>
  static void Correct(Drift& drift, Count* count);

  std::vector<Drift> overflow_, shares_;
};

}  // namespace sluice::datapath
