#include "kernel/datapath/flow_counts.h"

#include <atomic>

#include "bpf/abi/policy.h"

namespace sluice::datapath {

void FlowCounts::Begin(std::uint32_t buckets) {
  overflow_.resize(buckets);
  shares_.resize(SL_MAX_ENDPOINTS);
  for (Drift& drift : overflow_) drift.counted = drift.flows = 0;
  for (Drift& drift : shares_) drift.counted = drift.flows = 0;
}

void FlowCounts::CountIn(Drift& drift, const FlowRecord& flow) {
  std::uint64_t name = std::uint64_t{flow.slot} << 32 | flow.entry.incarnation;
  name = (name ^ name >> 29) * 0xbf58476d1ce4e5b9;
  drift.flows += name ^ name >> 32;
  ++drift.counted;
}

void FlowCounts::Add(const FlowRecord& flow, std::uint32_t primary) {
  if (primary != flow.slot / SL_FLOW_WAYS) CountIn(overflow_[primary], flow);
  if (flow.state == FlowState::kDenied) return;
  CountIn(shares_[0], flow);
  if (flow.entry.owner != 0 && flow.entry.owner < SL_MAX_ENDPOINTS) CountIn(shares_[flow.entry.owner], flow);
}

template <typename Count>
void FlowCounts::Correct(Drift& drift, Count* count) {
  const std::atomic_ref<Count> said(*count);
  const auto off = static_cast<Count>(said.load() - drift.counted);
  const bool again = off != 0 && off == drift.last && drift.flows == drift.last_flows;
  if (again) said.fetch_sub(off);
  drift.last = again ? 0 : off;
  drift.last_flows = drift.flows;
}

void FlowCounts::End(sl_flow_bucket* buckets, std::uint64_t* shares) {
  for (std::size_t i = 0; i < overflow_.size(); ++i) Correct(overflow_[i], &buckets[i].overflow);
  for (std::size_t i = 0; i < shares_.size(); ++i) Correct(shares_[i], &shares[i]);
}

}  // namespace sluice::datapath
