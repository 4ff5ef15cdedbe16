#include "telemetry/metrics/metric_families.h"

#include <map>
#include <set>

#include "telemetry/event/drop_reason.h"
#include "telemetry/metrics/metric_list.h"

namespace sluice::telemetry {
namespace {

using prometheus::MetricType;

struct HookLabels {
  const char* hook;
  const char* direction;
};

constexpr HookLabels kHooks[] = {
#define SL_X(name, label, direction) {label, direction},
    SL_PACKET_HOOKS(SL_X)
#undef SL_X
};

// By sl_counter_id.
constexpr const char* kCounters[] = {
#define SL_X(name, label) "sluice_" label "_total",
    SL_COUNTERS(SL_X)
#undef SL_X
};

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

FamilyBuilder& FamilyBuilder::Begin(const std::string& name) {
  const MetricInfo* const info = FindMetric(name);
  const bool counts = info != nullptr && info->kind == MetricKind::kCounter;
  out_->push_back({.name = name,
                   .help = info == nullptr ? "" : info->help,
                   .type = counts ? MetricType::Counter : MetricType::Gauge,
                   .metric = {}});
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
    builder.Begin(bytes ? "sluice_bytes_total" : "sluice_packets_total");
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
    builder.Begin(bytes ? "sluice_workload_bytes_total" : "sluice_workload_packets_total");
    for (const WorkloadSeries::Row& row : rows) AddWorkloadSamples(row, bytes, &builder);
  }
}

void AddLostEventFamily(const std::map<std::uint32_t, std::uint64_t>& lost,
                        const std::map<std::uint32_t, policy::ObjectName>& names,
                        const std::vector<WorkloadSeries::Row>& rows, Families* out) {
  std::set<policy::ObjectName> shown;
  for (const WorkloadSeries::Row& row : rows) shown.insert(row.workload);
  FamilyBuilder builder(out);
  builder.Begin("sluice_workload_events_lost_total");
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
  builder.Begin("sluice_process_flows_total");
  for_each([&](const ProcessTotals& totals, const MetricLabels& labels) {
    add(totals.forwarded_flows, labels, "verdict", "FORWARDED");
    if (totals.audited_flows != 0) add(totals.audited_flows, labels, "verdict", "AUDIT");
    if (totals.dropped_flows != 0) add(totals.dropped_flows, labels, "verdict", "DROPPED");
  });
  builder.Begin("sluice_process_bytes_total");
  for_each([&](const ProcessTotals& totals, const MetricLabels& labels) {
    builder.Add(static_cast<double>(totals.bytes), labels);
  });
  builder.Begin("sluice_process_dropped_packets_total");
  for_each([&](const ProcessTotals& totals, const MetricLabels& labels) {
    for (std::uint32_t reason = 0; reason < totals.dropped_packets.size(); reason++) {
      const std::uint64_t packets = totals.dropped_packets[reason];
      if (packets != 0) add(packets, labels, "reason", DropReasonName(reason));
    }
  });
}

void AddVerdictFamily(const std::vector<PolicyVerdicts::Row>& rows, Families* out) {
  FamilyBuilder builder(out);
  builder.Begin("sluice_policy_flows_total");
  for (const auto& [rule, flows] : rows) {
    const bool known = rule.effect != v1::PolicyRef::EFFECT_UNSPECIFIED;
    builder.Add(static_cast<double>(flows), {{"namespace", rule.policy.ns},
                                             {"policy", rule.policy.name},
                                             {"api_version", rule.api_version},
                                             {"rule", rule.rule},
                                             {"direction", !known                               ? ""
                                                           : rule.direction == v1::Flow::EGRESS ? "egress"
                                                                                                : "ingress"},
                                             {"effect", known ? v1::PolicyRef::Effect_Name(rule.effect) : ""}});
  }
}

void AddEventFamilies(const datapath::Counters& counters, Families* out) {
  FamilyBuilder builder(out);
  for (std::uint32_t id = 0; id < SL_COUNTER_COUNT; id++) {
    if (id == SL_COUNTER_EVENT_LOST_RING_FULL || id == SL_COUNTER_EVENT_LOST_SHARE) continue;
    builder.Begin(kCounters[id]).Add(static_cast<double>(counters.events[id]));
  }
}

// The sluice_program_run* families are absent while the kernel does not count runs.
void AddProgramFamilies(const std::vector<datapath::AttachedProgram>& attached,
                        const std::vector<datapath::ProgramRuns>& runs, Families* out) {
  FamilyBuilder builder(out);
  std::map<std::pair<std::string, std::string>, int> places;
  for (const datapath::AttachedProgram& one : attached)
    places[{one.program, one.mode.empty() ? "inherited" : one.mode}]++;
  builder.Begin("sluice_attached_programs");
  for (const auto& [what, count] : places) builder.Add(count, {{"program", what.first}, {"mode", what.second}});
  if (runs.empty()) return;
  builder.Begin("sluice_program_runs_total");
  for (const datapath::ProgramRuns& one : runs) builder.Add(static_cast<double>(one.count), {{"program", one.program}});
  builder.Begin("sluice_program_run_seconds_total");
  for (const datapath::ProgramRuns& one : runs)
    builder.Add(static_cast<double>(one.nanoseconds) / 1e9, {{"program", one.program}});
}

void AddSourceFamilies(const std::vector<SourceState>& sources, Families* out) {
  FamilyBuilder builder(out);
  const auto add = [&](const char* metric, const auto& value_of) {
    builder.Begin(metric);
    for (const SourceState& source : sources)
      builder.Add(static_cast<double>(value_of(source)), {{"source", source.name}});
  };
  add("sluice_kubernetes_synced", [](const SourceState& source) { return source.synced ? 1 : 0; });
  add("sluice_kubernetes_objects", [](const SourceState& source) { return source.objects; });
  add("sluice_kubernetes_refused_objects", [](const SourceState& source) { return source.refused; });
  add("sluice_kubernetes_errors_total", [](const SourceState& source) { return source.errors; });
  add("sluice_kubernetes_requests_total", [](const SourceState& source) { return source.requests; });
  add("sluice_kubernetes_received_bytes_total", [](const SourceState& source) { return source.bytes_received; });
}

void AddWriteFamilies(const SourceWrites& writes, Families* out) {
  FamilyBuilder builder(out);
  builder.Begin("sluice_kubernetes_writes_queued").Add(static_cast<double>(writes.queued));
  builder.Begin("sluice_kubernetes_writes_total")
      .Add(static_cast<double>(writes.succeeded), {{"result", "succeeded"}})
      .Add(static_cast<double>(writes.failed), {{"result", "failed"}})
      .Add(static_cast<double>(writes.dropped), {{"result", "dropped"}});
  builder.Begin("sluice_kubernetes_write_requests_total").Add(static_cast<double>(writes.requests));
}

void AddOtlpFamilies(const std::vector<OtlpNumbers>& signals, Families* out) {
  if (signals.empty()) return;
  FamilyBuilder builder(out);
  builder.Begin("sluice_otlp_sent_total");
  for (const OtlpNumbers& one : signals) builder.Add(static_cast<double>(one.sent), {{"signal", one.signal}});
  builder.Begin("sluice_otlp_lost_total");
  for (const OtlpNumbers& one : signals) {
    const auto add = [&](const char* cause, std::uint64_t count) {
      builder.Add(static_cast<double>(count), {{"signal", one.signal}, {"cause", cause}});
    };
    add("queue_full", one.no_room);
    add("rejected", one.rejected);
    add("refused", one.refused);
    add("given_up", one.given_up);
  }
  builder.Begin("sluice_otlp_failures_total");
  for (const OtlpNumbers& one : signals) builder.Add(static_cast<double>(one.failures), {{"signal", one.signal}});
}

void AddMapFamilies(const std::vector<datapath::MapUsage>& maps, Families* out) {
  FamilyBuilder builder(out);
  builder.Begin("sluice_map_entries");
  for (const datapath::MapUsage& map : maps) builder.Add(static_cast<double>(map.entries), {{"map", map.name}});
  builder.Begin("sluice_map_capacity");
  for (const datapath::MapUsage& map : maps) builder.Add(static_cast<double>(map.capacity), {{"map", map.name}});
  builder.Begin("sluice_map_refused_total");
  for (const datapath::MapUsage& map : maps) {
    if (map.name == "processes" || map.name == "programs" || map.name == "process_classes")
      builder.Add(static_cast<double>(map.refused), {{"map", map.name}});
  }
}

}  // namespace sluice::telemetry
