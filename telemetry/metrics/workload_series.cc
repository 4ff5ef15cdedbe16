#include "telemetry/metrics/workload_series.h"

namespace sluice::telemetry {
namespace {

// A counter below its last value has restarted at zero.
void AddGrowth(sl_counter& sum, const sl_counter& seen, const sl_counter& now) {
  const bool restarted = now.packets < seen.packets || now.bytes < seen.bytes;
  sum.packets += restarted ? now.packets : now.packets - seen.packets;
  sum.bytes += restarted ? now.bytes : now.bytes - seen.bytes;
}

void AddGrowth(sl_endpoint_counters& sum, const sl_endpoint_counters& seen, const sl_endpoint_counters& now) {
  for (std::size_t outcome = 0; outcome < SL_OUTCOME_COUNT; outcome++) {
    AddGrowth(sum.egress[outcome], seen.egress[outcome], now.egress[outcome]);
    AddGrowth(sum.ingress[outcome], seen.ingress[outcome], now.ingress[outcome]);
  }
}

}  // namespace

std::vector<WorkloadSeries::Row> WorkloadSeries::Update(const std::map<std::uint32_t, sl_endpoint_counters>& counters,
                                                        const std::map<std::uint32_t, policy::ObjectName>& names) {
  const auto is_gone = [&](std::uint32_t endpoint, const policy::ObjectName& workload) {
    const auto now = names.find(endpoint);
    return now == names.end() || now->second != workload;
  };
  std::erase_if(shown_, [&](const auto& entry) { return is_gone(entry.first, entry.second); });
  std::erase_if(summed_, [&](const auto& entry) { return is_gone(entry.first, entry.second.workload); });

  std::vector<Row> rows;
  for (const auto& [endpoint, now] : counters) {
    const auto name = names.find(endpoint);
    if (name == names.end()) continue;
    const bool room = shown_.size() < max_workloads_ && !summed_.contains(endpoint);
    if (room) shown_.emplace(endpoint, name->second);
    if (shown_.contains(endpoint)) {
      rows.push_back({.workload = name->second, .counters = now});
      continue;
    }
    Summed& summed = summed_.try_emplace(endpoint, Summed{.workload = name->second}).first->second;
    AddGrowth(other_, summed.seen, now);
    summed.seen = now;
  }
  rows.push_back({.workload = {.ns = "", .name = "other"}, .counters = other_});
  return rows;
}

}  // namespace sluice::telemetry
