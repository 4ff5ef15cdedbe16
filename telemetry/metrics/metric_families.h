// Numbers as Prometheus families. Pure; used by Metrics only.
#pragma once

#include <prometheus/metric_family.h>

#include <vector>

#include "kernel/datapath/path_reader.h"
#include "telemetry/flow/policy_verdicts.h"
#include "telemetry/flow/process_series.h"
#include "telemetry/metrics/otlp_numbers.h"
#include "telemetry/metrics/source_state.h"
#include "telemetry/metrics/workload_series.h"

namespace sluice::telemetry {

using Families = std::vector<prometheus::MetricFamily>;
using MetricLabels = std::vector<prometheus::ClientMetric::Label>;

// Families must be in MetricList, which has their types and HELP texts.
class FamilyBuilder {
 public:
  explicit FamilyBuilder(Families* out) : out_(out) {}
  FamilyBuilder& Begin(const std::string& name);
  FamilyBuilder& Add(double value, MetricLabels labels = {});  // to the last family

 private:
  Families* out_;
};

void AddPacketFamilies(const datapath::Counters& counters, Families* out);
void AddWorkloadFamilies(const std::vector<WorkloadSeries::Row>& rows, Families* out);
// `lost`: events beyond the workloads' shares, by endpoint number. Only workloads in `rows` get a series.
void AddLostEventFamily(const std::map<std::uint32_t, std::uint64_t>& lost,
                        const std::map<std::uint32_t, policy::ObjectName>& names,
                        const std::vector<WorkloadSeries::Row>& rows, Families* out);
void AddTrafficFamilies(const std::vector<ProcessSeries::Row>& rows, Families* out);  // of programs
void AddVerdictFamily(const std::vector<PolicyVerdicts::Row>& rows, Families* out);   // of policies
// Every counter of SL_COUNTERS but lost events.
void AddEventFamilies(const datapath::Counters& counters, Families* out);
void AddProgramFamilies(const std::vector<datapath::AttachedProgram>& attached,
                        const std::vector<datapath::ProgramRuns>& runs, Families* out);
void AddMapFamilies(const std::vector<datapath::MapUsage>& maps, Families* out);
void AddSourceFamilies(const std::vector<SourceState>& sources, Families* out);  // of Kubernetes
void AddWriteFamilies(const SourceWrites& writes, Families* out);                // likewise
void AddOtlpFamilies(const std::vector<OtlpNumbers>& signals, Families* out);

}  // namespace sluice::telemetry
