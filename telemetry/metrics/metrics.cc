#include "telemetry/metrics/metrics.h"

#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <sstream>

#include "base/log.h"
#include "telemetry/metrics/metric_families.h"

namespace sluice::telemetry {
namespace {

const prometheus::Histogram::BucketBoundaries kApplySeconds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                               0.25,  0.5,    1,     2.5,  5,     10,   30};

void AddPolicyFamilies(const MetricsSources& sources, Families* out) {
  FamilyBuilder builder(out);
  const datapath::Integrity integrity = sources.datapath->integrity();
  const bool holding = sources.holding && !sources.holding().empty();
  builder.Gauge("ready", "1: enforcement is in place, and what is in force is what was asked for.")
      .Add(sources.ready() && !holding && integrity.problem.empty() ? 1 : 0);
  builder.Gauge("holding", "1: what was saved cannot be trusted, and what is in the kernel stays as it is.")
      .Add(holding ? 1 : 0);
  builder.Counter("repairs_total", "What somebody else had changed in the kernel and the agent put back.");
  for (std::size_t i = 0; i < integrity.repairs.size(); ++i)
    builder.Add(static_cast<double>(integrity.repairs[i]), {{"what", datapath::kRepairedNames[i]}});
  builder.Gauge("policy_revision", "Changes of the resources so far.").Add(static_cast<double>(sources.revision()));
  builder.Gauge("policy_generation", "Policy generation that is in force in the kernel.")
      .Add(static_cast<double>(sources.datapath->generation()));
  builder.Gauge("workloads_unbound", "Local workloads that are not enforced on yet.")
      .Add(static_cast<double>(sources.unbound_workloads()));
  const auto compiled = sources.policy.compiled();
  if (!compiled) return;
  const auto& endpoints = compiled->snapshot->endpoints;
  const auto local = std::count_if(endpoints.begin(), endpoints.end(), [](const auto& e) { return e.ifindex != 0; });
  builder.Gauge("workloads", "Local workloads that are enforced on.").Add(static_cast<double>(local));
  builder.Gauge("peers", "Workloads and pods that are known, local or not.").Add(static_cast<double>(endpoints.size()));
  builder.Gauge("policies", "Network policies.").Add(static_cast<double>(compiled->snapshot->policies.size()));
  builder.Gauge("rulesets", "Distinct rulesets that the policies compile to.")
      .Add(static_cast<double>(compiled->rulesets.size()));
  builder.Gauge("identities", "Distinct identities of peers.").Add(static_cast<double>(compiled->identities.size()));
}

void AddFlowFamilies(const FlowSweeper& sweeper, Families* out) {
  FamilyBuilder builder(out);
  builder.Gauge("flows_active", "Flows that were not idle too long at the last sweep.");
  constexpr std::pair<datapath::FlowState, const char*> kTables[] = {{datapath::FlowState::kEstablished, "established"},
                                                                     {datapath::FlowState::kPending, "pending"},
                                                                     {datapath::FlowState::kClosing, "closing"},
                                                                     {datapath::FlowState::kDenied, "denied"}};
  for (const auto& [table, name] : kTables) {
    builder.Add(static_cast<double>(sweeper.active(table)), {{"table", name}});
  }
  builder.Counter("flows_expired_total", "Flows that ended: idle for too long, closed, or followed by another record.")
      .Add(static_cast<double>(sweeper.expired()));
}

void AddProcessFamilies(const ProcessNumbers& numbers, Families* out) {
  FamilyBuilder builder(out);
  builder.Counter("process_events_total", "What the process sensors told of, by type.")
      .Add(static_cast<double>(numbers.counters.execs), {{"type", "exec"}})
      .Add(static_cast<double>(numbers.counters.forks), {{"type", "fork"}})
      .Add(static_cast<double>(numbers.counters.exits), {{"type", "exit"}});
  builder.Counter("process_records_malformed_total", "Records that no sensor of this version sends.")
      .Add(static_cast<double>(numbers.counters.malformed));
  builder.Counter("process_healings_total", "Times that all processes were told of again after a loss.")
      .Add(static_cast<double>(numbers.counters.healings));
  builder.Gauge("process_instances", "Process instances that are known: living, or ended a short while ago.")
      .Add(static_cast<double>(numbers.tree.instances));
  builder.Gauge("process_image_bytes", "Memory for binaries, arguments and directories of known processes.")
      .Add(static_cast<double>(numbers.tree.image_bytes));
  builder.Counter("process_lives_refused_total", "Lives that were not kept, for want of room.")
      .Add(static_cast<double>(numbers.tree.refused));
}

}  // namespace

Metrics::Metrics(MetricsSources sources, MetricsOptions options)
    : sources_(std::move(sources)),
      registry_(std::make_unique<prometheus::Registry>()),
      workloads_(std::make_unique<WorkloadSeries>(options.max_workloads)) {
  auto& family = prometheus::BuildHistogram()
                     .Name("sluice_policy_apply_duration_seconds")
                     .Help("Time from a change of the resources until the kernel enforces it or it is refused.")
                     .Register(*registry_);
  applied_ = &family.Add({{"result", "applied"}}, kApplySeconds);
  refused_ = &family.Add({{"result", "refused"}}, kApplySeconds);
  prometheus::BuildGauge()
      .Name("sluice_build_info")
      .Help("Always 1; the labels say what is running.")
      .Labels({{"version", options.version}, {"abi", std::to_string(SL_ABI_VERSION)}})
      .Register(*registry_)
      .Add({})
      .Set(1);
}

Metrics::~Metrics() = default;

void Metrics::ObserveApply(std::chrono::duration<double> took, bool applied) {
  (applied ? applied_ : refused_)->Observe(took.count());
}

void Metrics::NoteFailedRead(const Status& status) {
  failed_reads_++;
  LogWarn("metrics: {}", Message(status));
}

std::string Metrics::Render() {
  Families families = registry_->Collect();
  AddPolicyFamilies(sources_, &families);
  AddFlowFamilies(*sources_.sweeper, &families);
  const auto counters = sources_.datapath->ReadCounters();
  const auto maps = sources_.datapath->Maps();
  const auto runs = sources_.datapath->ReadProgramRuns();
  const auto quarantined = sources_.quarantined_workloads();

  const std::lock_guard lock(mutex_);
  FamilyBuilder builder(&families);
  builder.Counter("events_lost_total", "Events that were lost before somebody who follows them got them.")
      .Add(static_cast<double>(sources_.hub->lost()), {{"cause", "SUBSCRIBER_QUEUE_FULL"}});
  const auto processes = sources_.processes ? sources_.processes() : std::nullopt;
  const EventExport* exported = sources_.exported ? sources_.exported() : nullptr;
  if (processes) {
    for (std::uint32_t cause = 0; cause < SL_PROCESS_LOSS_COUNT; cause++) {
      builder.Add(static_cast<double>(processes->counters.lost[cause]), {{"cause", ProcessLossName(cause)}});
    }
  }
  if (exported != nullptr) {
    builder.Add(static_cast<double>(exported->lost_by_rate()), {{"cause", "EXPORT_RATE"}});
    builder.Add(static_cast<double>(exported->lost_by_share()), {{"cause", "EXPORT_SHARE"}});
    builder.Add(static_cast<double>(exported->lost_by_errors()), {{"cause", "EXPORT_WRITE"}});
  }
  if (counters.ok()) {
    builder.Add(static_cast<double>(counters->events[SL_COUNTER_EVENT_LOST_RING_FULL]), {{"cause", "RING_FULL"}});
    builder.Add(static_cast<double>(counters->events[SL_COUNTER_EVENT_LOST_SHARE]), {{"cause", "WORKLOAD_SHARE"}});
    AddPacketFamilies(*counters, &families);
    AddEventFamilies(*counters, &families);
    const auto names = EndpointNames(sources_.policy.compiled().get());
    const auto rows = workloads_->Update(counters->endpoints, names);
    AddWorkloadFamilies(rows, &families);
    if (const auto lost = sources_.datapath->ReadLostEvents(); lost.ok()) {
      AddLostEventFamily(*lost, names, rows, &families);
    } else {
      NoteFailedRead(lost.status());
    }
  } else {
    NoteFailedRead(counters.status());
  }
  if (maps.ok()) {
    std::vector<datapath::MapUsage> all = *maps;
    if (processes && processes->fill) {
      all.push_back({"processes", processes->fill->entries, processes->fill->capacity, processes->fill->refused});
    }
    AddMapFamilies(all, &families);
  } else {
    NoteFailedRead(maps.status());
  }
  if (quarantined.ok()) {
    builder.Gauge("workloads_quarantined", "Workloads in quarantine, also such that do not exist now.")
        .Add(static_cast<double>(*quarantined));
  } else {
    NoteFailedRead(quarantined.status());
  }
  if (processes) AddProcessFamilies(*processes, &families);
  if (const ProcessTraffic* traffic = sources_.traffic ? sources_.traffic() : nullptr)
    AddTrafficFamilies(traffic->Rows(), &families);
  if (exported != nullptr) {
    builder.Counter("events_exported_total", "Events that were written to the export file.")
        .Add(static_cast<double>(exported->written()));
    builder.Counter("events_export_moved_total", "Times that others moved, removed or truncated the export file.")
        .Add(static_cast<double>(exported->moved()));
  }
  if (sources_.api_refused) {
    builder.Counter("api_refused_total", "Connections and calls of the API that were turned away or ended, by cause.");
    for (const auto& [cause, count] : sources_.api_refused()) {
      builder.Add(static_cast<double>(count), {{"cause", cause}});
    }
  }
  if (sources_.http_dropped) {
    builder.Counter("http_connections_dropped_total", "Connections to this server that were too slow or too many.")
        .Add(static_cast<double>(sources_.http_dropped()));
  }
  if (!runs.ok()) NoteFailedRead(runs.status());
  AddProgramFamilies(sources_.datapath->Attached(), runs.value_or(std::vector<datapath::ProgramRuns>()), &families);
  builder.Gauge("observers", "Clients that follow events.").Add(static_cast<double>(sources_.hub->subscribers()));
  builder.Counter("metrics_read_failures_total", "Times that counters or maps could not be read for the metrics.")
      .Add(static_cast<double>(failed_reads_));

  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, families);
  return out.str();
}

}  // namespace sluice::telemetry
