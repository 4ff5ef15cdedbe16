#include "telemetry/metrics/response_families.h"

namespace sluice::telemetry {
namespace {

std::vector<ResponseNumbers::Response> ResponseRows(const std::vector<ResponseNumbers::Response>& responses) {
  if (responses.size() <= kMaxResponseSeries) return responses;
  std::vector<ResponseNumbers::Response> rows(responses.begin(), responses.begin() + kMaxResponseSeries);
  ResponseNumbers::Response other = responses[kMaxResponseSeries];
  other.name = "other";
  for (std::size_t i = kMaxResponseSeries + 1; i < responses.size(); ++i) {
    other.spared += responses[i].spared;
    other.limited += responses[i].limited;
    for (std::size_t j = 0; j < other.answers.size(); ++j) other.answers[j].count += responses[i].answers[j].count;
  }
  rows.push_back(std::move(other));
  return rows;
}

}  // namespace

void AddResponseFamilies(const ResponseNumbers& numbers, Families* out) {
  FamilyBuilder builder(out);
  const std::vector<ResponseNumbers::Response> rows = ResponseRows(numbers.responses);
  builder.Begin("sluice_response_actions_total");
  for (const auto& row : rows) {
    for (const auto& answers : row.answers) {
      builder.Add(static_cast<double>(answers.count),
                  {{"response", row.name}, {"action", answers.action}, {"outcome", answers.outcome}});
    }
  }
  builder.Begin("sluice_response_left_out_total");
  for (const auto& row : rows) {
    for (const auto& [reason, count] : {std::pair{"never", row.spared}, {"rateLimit", row.limited}})
      builder.Add(static_cast<double>(count), {{"response", row.name}, {"reason", reason}});
  }
  builder.Begin("sluice_response_events_lost_total").Add(static_cast<double>(numbers.events_lost));
  builder.Begin("sluice_forensic_bytes").Add(static_cast<double>(numbers.forensic_bytes));
  builder.Begin("sluice_forensic_files").Add(static_cast<double>(numbers.forensic_files));
  builder.Begin("sluice_forensic_files_removed_total").Add(static_cast<double>(numbers.forensic_removed));
}

}  // namespace sluice::telemetry
