#include "perf/rate/rate_suite.h"

#include <algorithm>
#include <thread>

#include "perf/cpu.h"
#include "perf/net/scenario.h"
#include "perf/network.h"
#include "perf/rate/dpdk.h"
#include "perf/rate/runner.h"
#include "perf/tools.h"

namespace sluice::perf {
namespace {

// The reason why the case cannot be measured here; empty: it can.
std::string MissingFor(const RateCase& what) {
  if ((what.two_cores || what.dpdk_sink) && !HasTwoCpus()) return fmt::format("{}: needs two CPUs", what.name);
  if (NeedsDpdk(what) && !HasDpdk()) return fmt::format("{}: built without DPDK (-DSLUICE_DPDK=ON)", what.name);
  if (what.tool.empty()) return {};
  if (!IsInstalled(what.tool)) return fmt::format("{}: {} is not installed", what.name, what.tool);
  if (what.tool == "ipset" && !IsInstalled("iptables-legacy"))
    return fmt::format("{}: iptables-legacy is not installed", what.name);
  return {};
}

Scenario ScenarioOf(const RateCase& what, std::unique_ptr<RateRunner>* runner) {
  Scenario scenario;
  scenario.rows = RowsOf(what);
  scenario.floor = what.floor;
  scenario.prepare = [what, runner]() -> Status {
    SL_ASSIGN_OR_RETURN(*runner, RateRunner::Create(what));
    return OkStatus();
  };
  scenario.measure = [runner] { return (*runner)->Measure(); };
  return scenario;
}

// The row that is computed from the case; empty: none.
std::string AsDropRow(const RateCase& what) {
  if (!what.name.starts_with(kSluiceRedirect)) return {};
  return kSluiceDrop + what.name.substr(std::string_view(kSluiceRedirect).size());
}

// No packet that Sluice allows ends at Sluice's own hook. Computes the rate if it did: the time of one packet with the
// redirect, minus a bare redirect, plus a bare drop.
void AddAsDrop(const std::vector<RateCase>& cases, Report* report) {
  const auto find = [&](const std::string& name) {
    return std::find_if(report->rows.begin(), report->rows.end(), [&](const Row& row) { return row.name == name; });
  };
  for (const RateCase& what : cases) {
    const auto whole = find(what.name);
    if (AsDropRow(what).empty() || whole == report->rows.end()) continue;
    Row row{.name = AsDropRow(what), .against = {kBareDrop}};
    for (std::size_t i = 0; i < whole->samples.size(); ++i) {
      const double redirect = find(kBareRedirect)->samples[i], drop = find(kBareDrop)->samples[i];
      row.samples.push_back(1 / (1 / whole->samples[i] - 1 / redirect + 1 / drop));
    }
    report->rows.insert(whole + 1, std::move(row));
  }
}

StatusOr<Report> RunOnThisThread(const RunOptions& options) {
  SL_ASSIGN_OR_RETURN(const int cpu, MeasuredCpu());
  SL_RETURN_IF_ERROR(StayOn(cpu));
  Report report{.unit = "thousand packets a second"};
  std::vector<RateCase> cases = AllRateCases(options.brief);
  for (RateCase& one : cases) {
    const std::vector<Row> rows = RowsOf(one);
    if (std::none_of(rows.begin() + 1, rows.end(), [&](const Row& row) { return IsSelected(options, row.name); }))
      one.events = Events::kNone;
  }
  std::vector<std::unique_ptr<RateRunner>> runners(cases.size());
  std::vector<Scenario> scenarios;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    std::string missing = MissingFor(cases[i]);
    if (missing.empty())
      scenarios.push_back(ScenarioOf(cases[i], &runners[i]));
    else if (IsSelected(options, cases[i].name))
      report.left_out.push_back(std::move(missing));
  }
  Select(options, &scenarios);
  QuietCheck quiet = QuietCheck::Start(options.quiet_check);
  SL_RETURN_IF_ERROR(RunScenarios(options.runs, &scenarios, &quiet));
  report.notes = quiet.notes();
  for (Scenario& one : scenarios)
    for (Row& row : one.rows) report.rows.push_back(std::move(row));
  AddAsDrop(cases, &report);
  return report;
}

}  // namespace

std::vector<std::string> RateRows(bool brief) {
  std::vector<std::string> rows;
  for (const RateCase& what : AllRateCases(brief)) {
    for (const Row& row : RowsOf(what)) rows.push_back(row.name);
    if (const std::string row = AsDropRow(what); !row.empty()) rows.push_back(row);
  }
  return rows;
}

StatusOr<Report> RunRateSuite(const RunOptions& options) {
  NameNamespaces();
  StatusOr<Report> report = InvalidError("not run");
  std::thread([&] { report = RunOnThisThread(options); }).join();  // its CPU affinity ends with it
  return report;
}

}  // namespace sluice::perf
