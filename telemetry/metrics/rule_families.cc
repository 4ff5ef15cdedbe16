#include "telemetry/metrics/rule_families.h"

#include <algorithm>
#include <filesystem>
#include <string>

namespace sluice::telemetry {
namespace {

std::vector<RuleNumbers> RuleRows(const std::vector<RuleNumbers>& rules) {
  const std::size_t own = std::min(rules.size(), kMaxRuleSeries);
  std::vector<RuleNumbers> rows(rules.begin(), rules.begin() + static_cast<std::ptrdiff_t>(own));
  if (own == rules.size()) return rows;
  RuleNumbers other{.rule = "other", .source = "syscall"};
  for (std::size_t i = own; i < rules.size(); ++i) {
    other.matches += rules[i].matches;
    other.lost += rules[i].lost;
    other.missed += rules[i].missed;
  }
  rows.push_back(other);
  return rows;
}

// "tag_T1555": what a label's name may not have becomes "_", as Falco does.
std::string TagLabel(const std::string& tag) {
  std::string label = "tag_";
  for (const char c : tag) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    label += plain ? c : '_';
  }
  return label;
}

// Falco's labels: the priority is its number, and each tag is a label.
MetricLabels FalcoLabels(const RuleNumbers& row) {
  MetricLabels labels = {
      {"priority", std::to_string(static_cast<int>(row.priority))}, {"rule_name", row.rule}, {"source", row.source}};
  for (const std::string& tag : row.tags) {
    const std::string name = TagLabel(tag);
    const bool is_new = std::none_of(labels.begin(), labels.end(), [&](const auto& one) { return one.name == name; });
    if (is_new) labels.push_back({name, "true"});
  }
  return labels;
}

void AddByRule(const char* name, std::uint64_t RuleNumbers::*count, const std::vector<RuleNumbers>& rows,
               FamilyBuilder* builder) {
  builder->Begin(name);
  for (const RuleNumbers& row : rows) builder->Add(static_cast<double>(row.*count), {{"rule", row.rule}});
}

void AddByOutput(const char* name, std::uint64_t DetectionOutputNumbers::*count,
                 const std::vector<DetectionOutputNumbers>& outputs, FamilyBuilder* builder) {
  builder->Begin(name);
  for (const DetectionOutputNumbers& output : outputs)
    builder->Add(static_cast<double>(output.*count), {{"output", output.name}});
}

// What Falco's own metrics endpoint says, as far as it is the same thing here. Its time of the last load is in
// nanoseconds, which `promtool check metrics` refuses: sluice_rules_loaded_timestamp_seconds is that.
void AddFalcoFamilies(const DetectionNumbers& numbers, const std::vector<RuleNumbers>& rows, FamilyBuilder* builder) {
  builder->Begin("falcosecurity_falco_rules_matches_total");
  for (const RuleNumbers& row : rows) builder->Add(static_cast<double>(row.matches), FalcoLabels(row));
  builder->Begin("falcosecurity_falco_sha256_rules_files_info");
  for (const DetectionNumbers::File& file : numbers.files) {
    builder->Add(1, {{"file_name", std::filesystem::path(file.path).filename()}, {"sha256", file.sha256}});
  }
  std::uint64_t dropped = 0;
  for (const DetectionOutputNumbers& output : numbers.outputs) dropped += output.lost;
  builder->Begin("falcosecurity_falco_outputs_queue_num_drops_total").Add(static_cast<double>(dropped));
  builder->Begin("falcosecurity_scap_n_evts_total").Add(static_cast<double>(numbers.events));
  builder->Begin("falcosecurity_scap_n_drops_total").Add(static_cast<double>(numbers.events_lost));
}

}  // namespace

void AddRuleFamilies(const DetectionNumbers& numbers, Families* out) {
  FamilyBuilder builder(out);
  builder.Begin("sluice_rules").Add(static_cast<double>(numbers.rules.size()));
  builder.Begin("sluice_rules_refused").Add(numbers.problem.empty() ? 0 : 1);
  builder.Begin("sluice_rules_loads_total")
      .Add(static_cast<double>(numbers.loads), {{"result", "loaded"}})
      .Add(static_cast<double>(numbers.refusals), {{"result", "refused"}});
  builder.Begin("sluice_rules_loaded_timestamp_seconds").Add(static_cast<double>(numbers.loaded_ns) / 1e9);
  builder.Begin("sluice_rule_events_total").Add(static_cast<double>(numbers.events));
  const std::vector<RuleNumbers> rows = RuleRows(numbers.rules);
  AddByRule("sluice_rule_matches_total", &RuleNumbers::matches, rows, &builder);
  AddByRule("sluice_rule_detections_lost_total", &RuleNumbers::lost, rows, &builder);
  AddByRule("sluice_rule_events_missed_total", &RuleNumbers::missed, rows, &builder);
  AddByOutput("sluice_rule_output_sent_total", &DetectionOutputNumbers::sent, numbers.outputs, &builder);
  AddByOutput("sluice_rule_output_lost_total", &DetectionOutputNumbers::lost, numbers.outputs, &builder);
  AddByOutput("sluice_rule_output_failures_total", &DetectionOutputNumbers::failures, numbers.outputs, &builder);
  AddByOutput("sluice_rule_output_queued", &DetectionOutputNumbers::queued, numbers.outputs, &builder);
  AddFalcoFamilies(numbers, rows, &builder);
}

}  // namespace sluice::telemetry
