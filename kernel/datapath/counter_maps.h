// The programs' counters: packets by hook and outcome, packets of workloads, events, and flow events that workloads'
// shares refused. Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "kernel/bpf/map.h"
#include "kernel/bpf/object.h"
#include "kernel/datapath/path_reader.h"

namespace sluice::datapath {

class CounterMaps {
 public:
  // `object` owns the maps and must outlive this.
  Status Bind(const bpf::DatapathObject& object);

  StatusOr<Counters> Read(const std::vector<std::uint32_t>& endpoints) const;
  StatusOr<EventCounters> ReadEvents() const;  // `Read().events`, much cheaper
  // As PathReader::ReadLostEvents.
  StatusOr<std::map<std::uint32_t, std::uint64_t>> ReadLostEvents(std::vector<std::uint32_t> endpoints) const;
  Status ResetEndpoint(std::uint32_t endpoint);

 private:
  bpf::Map<__u32, sl_event_share> event_shares_;
  bpf::PerCpuArray<sl_counter> packet_counts_;
  bpf::PerCpuArray<sl_endpoint_counters> endpoint_counts_;
  bpf::PerCpuArray<__u64> event_counts_;
};

}  // namespace sluice::datapath
