#include "telemetry/flow/process_series.h"

#include <algorithm>

namespace sluice::telemetry {
namespace {

constexpr std::size_t kSharesOfPlaces = 8;

}  // namespace

ProcessTotals& ProcessTotals::operator+=(const ProcessTotals& other) {
  forwarded_flows += other.forwarded_flows;
  audited_flows += other.audited_flows;
  dropped_flows += other.dropped_flows;
  bytes += other.bytes;
  for (std::size_t reason = 0; reason < dropped_packets.size(); reason++)
    dropped_packets[reason] += other.dropped_packets[reason];
  return *this;
}

ProcessCounters& ProcessSeries::PlaceOf(const Program& program) {
  if (const auto known = shown_.find(program); known != shown_.end()) return known->second.counters;
  const auto first = shown_.lower_bound({program.workload, ""});
  const auto taken = std::distance(first, std::find_if(first, shown_.end(), [&](const auto& entry) {
                                     return entry.first.workload != program.workload;
                                   }));
  const std::size_t share = std::max<std::size_t>(max_programs_ / kSharesOfPlaces, 1);
  if (shown_.size() >= max_programs_ || static_cast<std::size_t>(taken) >= share) return other_;
  return shown_[program].counters;
}

void ProcessSeries::Update(const std::map<Program, ProcessCounters>& growth, const LocalWorkloads& workloads) {
  const std::lock_guard lock(mutex_);
  std::erase_if(shown_, [&](const auto& entry) { return !workloads.contains(entry.first.workload); });
  for (const auto& [program, grown] : growth) {
    if (!workloads.contains(program.workload)) continue;
    ProcessCounters& counters = PlaceOf(program);
    counters.egress += grown.egress;
    counters.ingress += grown.ingress;
  }
  for (auto& [program, row] : shown_) {
    row.workload = workloads.at(program.workload);
    row.binary = program.binary;
  }
}

std::vector<ProcessSeries::Row> ProcessSeries::Rows() const {
  const std::lock_guard lock(mutex_);
  std::vector<Row> rows;
  for (const auto& [program, row] : shown_) rows.push_back(row);
  rows.push_back({.workload = {.ns = "", .name = kOther}, .binary = kOther, .counters = other_});
  return rows;
}

}  // namespace sluice::telemetry
