#include "kernel/datapath/counter_maps.h"

#include "kernel/bpf/system.h"
#include "kernel/datapath/bind_map.h"

namespace sluice::datapath {

Status CounterMaps::Bind(const bpf::DatapathObject& object) {
  SL_RETURN_IF_ERROR(BindMap(object, "event_shares", &event_shares_));
  SL_ASSIGN_OR_RETURN(const int cpus, bpf::PossibleCpus());
  packet_counts_ = {object.map_fd("packet_counts"), "packet_counts", cpus};
  endpoint_counts_ = {object.map_fd("endpoint_counts"), "endpoint_counts", cpus};
  event_counts_ = {object.map_fd("event_counts"), "event_counts", cpus};
  return OkStatus();
}

StatusOr<EventCounters> CounterMaps::ReadEvents() const {
  EventCounters counters{};
  for (std::uint32_t id = 0; id < SL_COUNTER_COUNT; ++id) {
    SL_ASSIGN_OR_RETURN(const auto values, event_counts_.Get(id));
    for (const __u64 value : values) counters[id] += value;
  }
  return counters;
}

StatusOr<Counters> CounterMaps::Read(const std::vector<std::uint32_t>& endpoints) const {
  Counters counters;
  const auto add = [](sl_counter& sum, const sl_counter& one) {
    sum.packets += one.packets;
    sum.bytes += one.bytes;
  };
  for (std::uint32_t hook = 0; hook < SL_HOOK_COUNT; ++hook) {
    for (std::uint32_t outcome = 0; outcome < SL_OUTCOME_COUNT; ++outcome) {
      SL_ASSIGN_OR_RETURN(const auto values, packet_counts_.Get(hook * SL_OUTCOME_COUNT + outcome));
      for (const sl_counter& value : values) add(counters.packets[hook][outcome], value);
    }
  }
  SL_ASSIGN_OR_RETURN(counters.events, ReadEvents());
  for (const std::uint32_t endpoint : endpoints) {
    SL_ASSIGN_OR_RETURN(const auto values, endpoint_counts_.Get(endpoint));
    sl_endpoint_counters& sum = counters.endpoints[endpoint];
    for (const sl_endpoint_counters& value : values) {
      for (std::uint32_t outcome = 0; outcome < SL_OUTCOME_COUNT; ++outcome) {
        add(sum.egress[outcome], value.egress[outcome]);
        add(sum.ingress[outcome], value.ingress[outcome]);
      }
    }
  }
  return counters;
}

StatusOr<std::map<std::uint32_t, std::uint64_t>> CounterMaps::ReadLostEvents(
    std::vector<std::uint32_t> endpoints) const {
  std::map<std::uint32_t, std::uint64_t> lost;
  endpoints.push_back(0);
  for (const std::uint32_t endpoint : endpoints) {
    for (const std::uint32_t from_elsewhere : {0, 1}) {
      SL_ASSIGN_OR_RETURN(const auto share, event_shares_.Get(SL_EVENT_SHARE(endpoint, from_elsewhere)));
      lost[endpoint] += share ? share->lost : 0;
    }
  }
  return lost;
}

Status CounterMaps::ResetEndpoint(std::uint32_t endpoint) {
  for (const std::uint32_t from_elsewhere : {0, 1})
    SL_RETURN_IF_ERROR(event_shares_.Put(SL_EVENT_SHARE(endpoint, from_elsewhere), {}));
  return endpoint_counts_.Zero(endpoint);
}

}  // namespace sluice::datapath
