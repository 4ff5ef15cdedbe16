#include "perf/tcp/tcp_suite.h"

#include <algorithm>

#include "perf/net/scenario.h"
#include "perf/network.h"
#include "perf/tcp/path.h"
#include "perf/tools.h"

namespace sluice::perf {
namespace {

constexpr const char* kMeasured[] = {"stream Mbit/s", "request/response a second", "request/response p50 us",
                                     "request/response p99 us", "connect/close a second"};

std::string RowName(const std::string& path, const char* measured) { return fmt::format("{}/{}", path, measured); }

Scenario ScenarioOf(const TcpPath& path, std::unique_ptr<TcpPair>* pair) {
  Scenario scenario;
  for (const char* measured : kMeasured) {
    Row row{.name = RowName(path.name, measured)};
    for (const std::string& other : path.against) row.against.push_back(RowName(other, measured));
    scenario.rows.push_back(std::move(row));
  }
  scenario.floor = path.against.empty();
  scenario.prepare = [path, pair]() -> Status {
    SL_ASSIGN_OR_RETURN(*pair, TcpPair::Create(path));
    return OkStatus();
  };
  scenario.measure = [pair]() -> StatusOr<std::vector<double>> {
    SL_ASSIGN_OR_RETURN(const TcpFigures figures, (*pair)->Measure());
    const RequestFigures& requests = figures.requests;
    return std::vector<double>{figures.stream_mbits, requests.per_second, requests.p50_us, requests.p99_us,
                               figures.connections};
  };
  return scenario;
}

}  // namespace

std::vector<std::string> TcpRows(bool brief) {
  std::vector<std::string> rows;
  for (const TcpPath& path : AllTcpPaths(brief))
    for (const char* measured : kMeasured) rows.push_back(RowName(path.name, measured));
  return rows;
}

StatusOr<Report> RunTcpSuite(const RunOptions& options) {
  NameNamespaces();
  Report report{.unit = "see each name"};
  const std::vector<TcpPath> paths = AllTcpPaths(options.brief);
  std::vector<std::unique_ptr<TcpPair>> pairs(paths.size());
  std::vector<Scenario> scenarios;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    Scenario scenario = ScenarioOf(paths[i], &pairs[i]);
    const bool selected = std::any_of(scenario.rows.begin(), scenario.rows.end(),
                                      [&](const Row& row) { return IsSelected(options, row.name); });
    if (paths[i].nft.empty() || IsInstalled("nft"))
      scenarios.push_back(std::move(scenario));
    else if (selected)
      report.left_out.push_back(fmt::format("{}: nft is not installed", paths[i].name));
  }
  Select(options, &scenarios);
  QuietCheck quiet = QuietCheck::Start(options.quiet_check);
  SL_RETURN_IF_ERROR(RunScenarios(options.runs, &scenarios, &quiet));
  report.notes = quiet.notes();
  // Ordered by quantity, so that compared rows are adjacent.
  for (std::size_t i = 0; i < std::size(kMeasured); ++i)
    for (Scenario& one : scenarios) report.rows.push_back(std::move(one.rows[i]));
  return report;
}

}  // namespace sluice::perf
