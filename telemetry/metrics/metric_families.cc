#include "telemetry/metrics/metric_families.h"

#include <iterator>
#include <map>
#include <set>

#include "telemetry/event/drop_reason.h"

namespace sluice::telemetry {
namespace {

using prometheus::MetricType;

struct HookLabels {
  const char* hook;
  const char* direction;
};

constexpr HookLabels kHooks[] = {
#define SL_X(name, label, direction) {label, direction},
    SL_HOOKS(SL_X)
#undef SL_X
};

constexpr const char* kCounters[] = {
#define SL_X(name, label) label,
    SL_COUNTERS(SL_X)
#undef SL_X
};

// By sl_counter_id.
constexpr const char* kCounterHelp[] = {
    "Flows that were allowed and are tracked.",
    "Live flows that a newer policy denied.",
    "Live flows that were decided again under a newer policy.",
    "Answered flows that may still be evicted, as their bucket holds as many that may not as it can.",
    "Flows that could not be tracked, and were dropped.",
    "Flows that are not assured yet, and records of denied ones, that made room for others.",
    "Flows that had no room because their workload has more than its share of the table.",
    "Flow events for which the ring buffer had no room.",
    "Flow events beyond a workload's share of the ring buffer.",
    "Packets of denied flows, dropped and counted, for whose flow there was no room for a record.",
    "Packets that went straight to a local pod.",
    "Packets that went from the network card straight to a local pod.",
    "Local ends of flows whose first packet told the process behind it.",
    "Local ends of flows whose first packet carried no socket: sent by the kernel, or forwarded.",
    "Local ends of flows whose first packet carried a socket that no known process has acted on.",
    "Local ends of flows whose first packet came from a process that the sensors do not know.",
};
static_assert(std::size(kCounterHelp) == SL_COUNTER_COUNT);

void AddOutcome(std::uint32_t outcome, MetricLabels* labels) {
  const bool dropped = outcome != SL_DROP_NONE && outcome != SL_OUTCOME_AUDITED;
  labels->push_back({"verdict", dropped ? "DROPPED" : outcome == SL_OUTCOME_AUDITED ? "AUDIT" : "FORWARDED"});
  labels->push_back({"reason", DropReasonName(dropped ? outcome : static_cast<std::uint32_t>(SL_DROP_NONE))});
}

double Value(const sl_counter& counter, bool bytes) {
  return static_cast<double>(bytes ? counter.bytes : counter.packets);
}

void AddWorkloadSamples(const WorkloadSeries::Row& row, bool bytes, FamilyBuilder* builder) {
  for (const bool egress : {true, false}) {
    for (std::uint32_t outcome = 0; outcome < SL_OUTCOME_COUNT; outcome++) {
      const sl_counter& counter = egress ? row.counters.egress[outcome] : row.counters.ingress[outcome];
      if (counter.packets == 0 && outcome != SL_DROP_NONE) continue;
      MetricLabels labels = {{"namespace", row.workload.ns},
                             {"workload", row.workload.name},
                             {"direction", egress ? "egress" : "ingress"}};
      AddOutcome(outcome, &labels);
      builder->Add(Value(counter, bytes), std::move(labels));
    }
  }
}

MetricLabels ProcessLabels(const ProcessSeries::Row& row, bool egress) {
  return {{"namespace", row.workload.ns},
          {"workload", row.workload.name},
          {"binary", row.binary},
          {"direction", egress ? "egress" : "ingress"}};
}

}  // namespace

FamilyBuilder& FamilyBuilder::Counter(const std::string& name, const std::string& help) {
  out_->push_back({.name = "sluice_" + name, .help = help, .type = MetricType::Counter, .metric = {}});
  return *this;
}

FamilyBuilder& FamilyBuilder::Gauge(const std::string& name, const std::string& help) {
  out_->push_back({.name = "sluice_" + name, .help = help, .type = MetricType::Gauge, .metric = {}});
  return *this;
}

FamilyBuilder& FamilyBuilder::Add(double value, MetricLabels labels) {
  prometheus::ClientMetric metric;
  metric.label = std::move(labels);
  metric.counter.value = metric.gauge.value = value;
  out_->back().metric.push_back(std::move(metric));
  return *this;
}

void AddPacketFamilies(const datapath::Counters& counters, Families* out) {
  FamilyBuilder builder(out);
  for (const bool bytes : {false, true}) {
    builder.Counter(bytes ? "bytes_total" : "packets_total",
                    bytes ? "Bytes at layer 2 of the packets that were evaluated." : "Packets that were evaluated.");
    for (std::uint32_t hook = 0; hook < SL_HOOK_COUNT; hook++) {
      for (std::uint32_t outcome = 0; outcome < SL_OUTCOME_COUNT; outcome++) {
        MetricLabels labels = {{"hook", kHooks[hook].hook}, {"direction", kHooks[hook].direction}};
        AddOutcome(outcome, &labels);
        builder.Add(Value(counters.packets[hook][outcome], bytes), std::move(labels));
      }
    }
  }
}

void AddWorkloadFamilies(const std::vector<WorkloadSeries::Row>& rows, Families* out) {
  FamilyBuilder builder(out);
  for (const bool bytes : {false, true}) {
    builder.Counter(bytes ? "workload_bytes_total" : "workload_packets_total",
                    bytes ? "Bytes at layer 2 that a workload sent (egress) or was sent (ingress)."
                          : "Packets that a workload sent (egress) or was sent (ingress).");
    for (const WorkloadSeries::Row& row : rows) AddWorkloadSamples(row, bytes, &builder);
  }
}

void AddLostEventFamily(const std::map<std::uint32_t, std::uint64_t>& lost,
                        const std::map<std::uint32_t, policy::ObjectName>& names,
                        const std::vector<WorkloadSeries::Row>& rows, Families* out) {
  std::set<policy::ObjectName> shown;
  for (const WorkloadSeries::Row& row : rows) shown.insert(row.workload);
  FamilyBuilder builder(out);
  builder.Counter("workload_events_lost_total", "Flow events of a workload beyond its share of the ring buffer.");
  for (const auto& [endpoint, count] : lost) {
    const auto name = names.find(endpoint);
    if (name == names.end() || !shown.contains(name->second)) continue;
    builder.Add(static_cast<double>(count), {{"namespace", name->second.ns}, {"workload", name->second.name}});
  }
}

void AddTrafficFamilies(const std::vector<ProcessSeries::Row>& rows, Families* out) {
  FamilyBuilder builder(out);
  const auto for_each = [&](const auto& add) {
    for (const ProcessSeries::Row& row : rows) {
      for (const bool egress : {true, false})
        add(egress ? row.counters.egress : row.counters.ingress, ProcessLabels(row, egress));
    }
  };
  const auto add = [&](std::uint64_t value, MetricLabels labels, const char* label, const char* label_value) {
    labels.push_back({label, label_value});
    builder.Add(static_cast<double>(value), std::move(labels));
  };
  builder.Counter("process_flows_total", "Flows that a program opened (egress) or answered (ingress).");
  for_each([&](const ProcessTotals& totals, const MetricLabels& labels) {
    add(totals.forwarded_flows, labels, "verdict", "FORWARDED");
    if (totals.audited_flows != 0) add(totals.audited_flows, labels, "verdict", "AUDIT");
    if (totals.dropped_flows != 0) add(totals.dropped_flows, labels, "verdict", "DROPPED");
  });
  builder.Counter("process_bytes_total",
                  "Bytes at layer 3 of allowed flows that a program sent (egress) or was sent (ingress).");
  for_each([&](const ProcessTotals& totals, const MetricLabels& labels) {
    builder.Add(static_cast<double>(totals.bytes), labels);
  });
  builder.Counter("process_dropped_packets_total",
                  "Packets of denied flows that a program sent (egress) or was not sent (ingress).");
  for_each([&](const ProcessTotals& totals, const MetricLabels& labels) {
    for (std::uint32_t reason = 0; reason < totals.dropped_packets.size(); reason++) {
      const std::uint64_t packets = totals.dropped_packets[reason];
      if (packets != 0) add(packets, labels, "reason", DropReasonName(reason));
    }
  });
}

void AddEventFamilies(const datapath::Counters& counters, Families* out) {
  FamilyBuilder builder(out);
  for (std::uint32_t id = 0; id < SL_COUNTER_COUNT; id++) {
    if (id == SL_COUNTER_EVENT_LOST_RING_FULL || id == SL_COUNTER_EVENT_LOST_SHARE) continue;
    builder.Counter(std::string(kCounters[id]) + "_total", kCounterHelp[id])
        .Add(static_cast<double>(counters.events[id]));
  }
}

// The run families are absent while the kernel does not count.
void AddProgramFamilies(const std::vector<datapath::AttachedProgram>& attached,
                        const std::vector<datapath::ProgramRuns>& runs, Families* out) {
  FamilyBuilder builder(out);
  std::map<std::pair<std::string, std::string>, int> places;
  for (const datapath::AttachedProgram& one : attached)
    places[{one.program, one.mode.empty() ? "inherited" : one.mode}]++;
  builder.Gauge("attached_programs", "Interfaces that a program is attached to, by mode.");
  for (const auto& [what, count] : places) builder.Add(count, {{"program", what.first}, {"mode", what.second}});
  if (runs.empty()) return;
  builder.Counter("program_runs_total", "Times that a program ran.");
  for (const datapath::ProgramRuns& one : runs) builder.Add(static_cast<double>(one.count), {{"program", one.program}});
  builder.Counter("program_run_seconds_total", "Time for which a program ran.");
  for (const datapath::ProgramRuns& one : runs)
    builder.Add(static_cast<double>(one.nanoseconds) / 1e9, {{"program", one.program}});
}

void AddMapFamilies(const std::vector<datapath::MapUsage>& maps, Families* out) {
  FamilyBuilder builder(out);
  builder.Gauge("map_entries", "Entries of a BPF map.");
  for (const datapath::MapUsage& map : maps) builder.Add(static_cast<double>(map.entries), {{"map", map.name}});
  builder.Gauge("map_capacity", "Entries that a BPF map has room for.");
  for (const datapath::MapUsage& map : maps) builder.Add(static_cast<double>(map.capacity), {{"map", map.name}});
  builder.Counter("map_refused_total", "Entries that a BPF map had no room for, or not in the share of a workload.");
  for (const datapath::MapUsage& map : maps) {
    if (map.name == "processes" || map.name == "programs" || map.name == "process_classes")
      builder.Add(static_cast<double>(map.refused), {{"map", map.name}});
  }
}

}  // namespace sluice::telemetry
