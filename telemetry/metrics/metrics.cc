#include "telemetry/metrics/metrics.h"

#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <sstream>

#include "base/log.h"
#include "telemetry/metrics/capture_families.h"
#include "telemetry/metrics/hook_families.h"
#include "telemetry/metrics/lsm_families.h"
#include "telemetry/metrics/metric_families.h"
#include "telemetry/metrics/metric_list.h"
#include "telemetry/metrics/otlp_families.h"
#include "telemetry/metrics/own_process.h"
#include "telemetry/metrics/response_families.h"
#include "telemetry/metrics/rule_families.h"

namespace sluice::telemetry {
namespace {

const prometheus::Histogram::BucketBoundaries kApplySeconds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                               0.25,  0.5,    1,     2.5,  5,     10,   30};

constexpr const char* kApplyDuration = "sluice_policy_apply_duration_seconds";
constexpr const char* kBuildInfo = "sluice_build_info";

void AddPolicyFamilies(const MetricsSources& sources, Families* out) {
  FamilyBuilder builder(out);
  const datapath::Integrity integrity = sources.datapath->integrity();
  const bool holding = sources.holding && !sources.holding().empty();
  builder.Begin("sluice_ready").Add(sources.ready() && !holding && integrity.problem.empty() ? 1 : 0);
  builder.Begin("sluice_holding").Add(holding ? 1 : 0);
  builder.Begin("sluice_repairs_total");
  for (std::size_t i = 0; i < integrity.repairs.size(); ++i)
    builder.Add(static_cast<double>(integrity.repairs[i]), {{"what", datapath::kRepairedNames[i]}});
  builder.Begin("sluice_policy_revision").Add(static_cast<double>(sources.revision()));
  builder.Begin("sluice_policy_generation").Add(static_cast<double>(sources.datapath->generation()));
  builder.Begin("sluice_workloads_unbound").Add(static_cast<double>(sources.unbound_workloads()));
  const auto compiled = sources.policy.compiled();
  if (!compiled) return;
  const auto& endpoints = compiled->snapshot->endpoints;
  const auto local = std::count_if(endpoints.begin(), endpoints.end(), [](const auto& e) { return e.ifindex != 0; });
  builder.Begin("sluice_workloads").Add(static_cast<double>(local));
  builder.Begin("sluice_peers").Add(static_cast<double>(endpoints.size()));
  builder.Begin("sluice_policies").Add(static_cast<double>(compiled->snapshot->policies.size()));
  builder.Begin("sluice_rulesets").Add(static_cast<double>(compiled->rulesets.size()));
  builder.Begin("sluice_identities").Add(static_cast<double>(compiled->identities.size()));
}

void AddFlowFamilies(const FlowSweeper& sweeper, Families* out) {
  FamilyBuilder builder(out);
  builder.Begin("sluice_flows_active");
  constexpr std::pair<datapath::FlowState, const char*> kTables[] = {{datapath::FlowState::kEstablished, "established"},
                                                                     {datapath::FlowState::kPending, "pending"},
                                                                     {datapath::FlowState::kClosing, "closing"},
                                                                     {datapath::FlowState::kDenied, "denied"}};
  for (const auto& [table, name] : kTables) {
    builder.Add(static_cast<double>(sweeper.active(table)), {{"table", name}});
  }
  builder.Begin("sluice_flows_expired_total").Add(static_cast<double>(sweeper.expired()));
}

void AddOwnProcessFamilies(const OwnProcess& own, Families* out) {
  FamilyBuilder builder(out);
  builder.Begin("process_cpu_seconds_total").Add(own.cpu_seconds);
  builder.Begin("process_resident_memory_bytes").Add(own.resident_bytes);
  builder.Begin("process_virtual_memory_bytes").Add(own.virtual_bytes);
  builder.Begin("process_open_fds").Add(own.open_fds);
  builder.Begin("process_max_fds").Add(own.max_fds);
  builder.Begin("process_threads").Add(own.threads);
  builder.Begin("process_start_time_seconds").Add(own.start_seconds);
}

void AddProcessFamilies(const ProcessNumbers& numbers, Families* out) {
  FamilyBuilder builder(out);
  builder.Begin("sluice_process_events_total")
      .Add(static_cast<double>(numbers.counters.execs), {{"type", "exec"}})
      .Add(static_cast<double>(numbers.counters.forks), {{"type", "fork"}})
      .Add(static_cast<double>(numbers.counters.exits), {{"type", "exit"}});
  builder.Begin("sluice_process_records_malformed_total").Add(static_cast<double>(numbers.counters.malformed));
  builder.Begin("sluice_process_healings_total").Add(static_cast<double>(numbers.counters.healings));
  builder.Begin("sluice_process_lives").Add(static_cast<double>(numbers.tree.instances));
  builder.Begin("sluice_process_image_bytes").Add(static_cast<double>(numbers.tree.image_bytes));
  builder.Begin("sluice_process_lives_refused_total").Add(static_cast<double>(numbers.tree.refused));
}

}  // namespace

Metrics::Metrics(MetricsSources sources, MetricsOptions options)
    : sources_(std::move(sources)),
      registry_(std::make_unique<prometheus::Registry>()),
      workloads_(std::make_unique<WorkloadSeries>(options.max_workloads)) {
  auto& family =
      prometheus::BuildHistogram().Name(kApplyDuration).Help(FindMetric(kApplyDuration)->help).Register(*registry_);
  applied_ = &family.Add({{"result", "applied"}}, kApplySeconds);
  refused_ = &family.Add({{"result", "refused"}}, kApplySeconds);
  prometheus::BuildGauge()
      .Name(kBuildInfo)
      .Help(FindMetric(kBuildInfo)->help)
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

Families Metrics::Collect() {
  Families families = registry_->Collect();
  AddPolicyFamilies(sources_, &families);
  AddFlowFamilies(*sources_.sweeper, &families);
  if (sources_.verdicts != nullptr) AddVerdictFamily(sources_.verdicts->Rows(), &families);
  if (const auto own = ReadOwnProcess()) AddOwnProcessFamilies(*own, &families);
  const auto counters = sources_.datapath->ReadCounters();
  const auto maps = sources_.datapath->Maps();
  const auto runs = sources_.datapath->ReadProgramRuns();
  const auto quarantined = sources_.quarantined_workloads();

  const std::lock_guard lock(mutex_);
  FamilyBuilder builder(&families);
  builder.Begin("sluice_events_lost_total")
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
    builder.Begin("sluice_workloads_quarantined").Add(static_cast<double>(*quarantined));
  } else {
    NoteFailedRead(quarantined.status());
  }
  if (processes) AddProcessFamilies(*processes, &families);
  if (const ProcessTraffic* traffic = sources_.traffic ? sources_.traffic() : nullptr)
    AddTrafficFamilies(traffic->Rows(), &families);
  if (exported != nullptr) {
    builder.Begin("sluice_events_exported_total").Add(static_cast<double>(exported->written()));
    builder.Begin("sluice_events_export_moved_total").Add(static_cast<double>(exported->moved()));
  }
  if (sources_.api_refused) {
    builder.Begin("sluice_api_refused_total");
    for (const auto& [cause, count] : sources_.api_refused()) {
      builder.Add(static_cast<double>(count), {{"cause", cause}});
    }
  }
  if (sources_.kubernetes) AddSourceFamilies(sources_.kubernetes(), &families);
  if (sources_.kubernetes_writes) AddWriteFamilies(sources_.kubernetes_writes(), &families);
  if (sources_.hook_policies) AddHookFamilies(sources_.hook_policies(), &families);
  if (sources_.hook_records) AddHookRecordFamilies(sources_.hook_records(), &families);
  if (sources_.lsm_policies) AddLsmFamilies(sources_.lsm_policies(), &families);
  if (const auto detection = sources_.detection ? sources_.detection() : std::nullopt)
    AddRuleFamilies(*detection, &families);
  if (sources_.responses) AddResponseFamilies(sources_.responses(), &families);
  if (sources_.otlp) AddOtlpFamilies(sources_.otlp(), &families);
  if (const auto captures = sources_.captures ? sources_.captures() : std::nullopt)
    AddCaptureFamilies(*captures, &families);
  if (sources_.http_dropped) {
    builder.Begin("sluice_http_connections_dropped_total").Add(static_cast<double>(sources_.http_dropped()));
  }
  if (!runs.ok()) NoteFailedRead(runs.status());
  AddProgramFamilies(sources_.datapath->Attached(), runs.value_or(std::vector<datapath::ProgramRuns>()), &families);
  builder.Begin("sluice_observers").Add(static_cast<double>(sources_.hub->subscribers()));
  builder.Begin("sluice_metrics_read_failures_total").Add(static_cast<double>(failed_reads_));

  return families;
}

std::string Metrics::Render() {
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, Collect());
  return out.str();
}

std::vector<otlp_metrics::ExportMetricsServiceRequest> Metrics::ToOtlp(const OtlpResource& resource,
                                                                       std::size_t max_points) {
  return MakeMetricRequests(Collect(), resource, ReadClocks().realtime_ns, max_points);
}

}  // namespace sluice::telemetry
