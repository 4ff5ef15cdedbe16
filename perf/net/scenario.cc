#include "perf/net/scenario.h"

#include <algorithm>
#include <set>

#include "base/log.h"
#include "perf/orderly_end.h"

namespace sluice::perf {

void Select(const RunOptions& options, std::vector<Scenario>* scenarios) {
  std::set<std::string> units;  // rows that selected ones are compared with
  const auto wanted = [&](const Scenario& one) {
    return std::any_of(one.rows.begin(), one.rows.end(), [&](const Row& row) { return IsSelected(options, row.name); });
  };
  for (const Scenario& one : *scenarios)
    if (wanted(one))
      for (const Row& row : one.rows) units.insert(row.against.begin(), row.against.end());
  const auto unit = [&](const Row& row) { return units.contains(row.name); };
  std::erase_if(*scenarios, [&](const Scenario& one) {
    return !wanted(one) && !(one.floor && std::any_of(one.rows.begin(), one.rows.end(), unit));
  });
}

namespace {

Status TakeRound(std::vector<Scenario>* scenarios) {
  for (Scenario& one : *scenarios) {
    SL_RETURN_IF_ERROR(OrderlyEnd::Check());
    const StatusOr<std::vector<double>> samples = one.measure();
    if (!samples.ok()) return Annotate(samples.status(), one.rows.front().name);
    for (std::size_t i = 0; i < one.rows.size(); ++i) one.rows[i].samples.push_back(samples->at(i));
  }
  return OkStatus();
}

void DropRound(std::vector<Scenario>* scenarios) {
  for (Scenario& one : *scenarios)
    for (Row& row : one.rows) row.samples.pop_back();
}

}  // namespace

Status RunScenarios(int rounds, std::vector<Scenario>* scenarios, QuietCheck* quiet) {
  LogInfo("preparing {} measurements", scenarios->size());
  for (const Scenario& one : *scenarios) {
    SL_RETURN_IF_ERROR(OrderlyEnd::Check());
    SL_RETURN_IF_ERROR(Annotate(one.prepare(), one.rows.front().name));
  }
  for (int round = 0; round < rounds; ++round) {
    LogInfo("round {} of {}: {} measurements", round + 1, rounds, scenarios->size());
    quiet->BeginRound();
    SL_RETURN_IF_ERROR(TakeRound(scenarios));
    if (!quiet->MustRepeat(round)) continue;
    DropRound(scenarios);
    --round;
  }
  quiet->Finish();
  return OkStatus();
}

}  // namespace sluice::perf
