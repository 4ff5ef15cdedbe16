// sluice-bench SUITE [--json FILE] [--runs N] [--filter TEXT]... [--short] [--goals] [--quiet-check] [--list]
// Exit codes: 0 measured and every verdict right, 1 failed, 2 usage.
#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "perf/goal_report.h"
#include "perf/orderly_end.h"
#include "perf/report.h"
#include "perf/suite.h"

namespace sluice::perf {
namespace {

constexpr int kRunsForGoals = 3;

struct Options {
  std::string suite;
  std::string json;
  bool list = false;
  bool goals = false;
  RunOptions run;

  std::span<const Goal> goals_shown() const { return goals ? PacketGoals() : Goals(); }
};

std::string SuiteList() {
  std::string list;
  for (const Suite& suite : Suites()) list += fmt::format("  {:<10} {}\n", suite.name, suite.description);
  return list + fmt::format("  {:<10} every suite above\n", "all");
}

// Returns -1 to continue, else the exit code.
int ParseOptions(int argc, char** argv, Options* options) {
  CLI::App app{"sluice-bench: measures packet path and agent beside floors and peers, in one run on one machine"};
  app.footer("Suites:\n" + SuiteList());
  app.option_defaults()->always_capture_default();
  app.add_option("suite", options->suite, "what to measure")->required();
  app.add_option("--json", options->json, "file for every sample, the kernel, the CPU and the revision");
  const CLI::Option* const runs =
      app.add_option("--runs", options->run.runs,
                     "samples of each row; each run takes one sample of every row. With --goals 3, if not given")
          ->check(CLI::Range(1, 1000));
  app.add_option("--filter", options->run.filters,
                 "only rows with this text in their name, and their floors; repeatable");
  app.add_flag("--short", options->run.brief, "the smallest sizes: checks results, not speed");
  app.add_flag("--goals", options->goals,
               "only what the goals of the packet path under attack need: the main table, in ten minutes")
      ->excludes("--short");
  app.add_flag("--quiet-check", options->run.quiet_check,
               "a fixed loop before and after each round; rounds that were disturbed are repeated, and that is said");
  app.add_option("--cilium-object", options->run.cilium_object,
                 "object of scripts/build-cilium-objects; without it, the suite program leaves that peer out");
  app.add_flag("--list", options->list, "only list the names of the rows");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error, std::cout, std::cerr) == 0 ? 0 : 2;
  }
  if (options->goals && runs->count() == 0) options->run.runs = kRunsForGoals;
  return -1;
}

std::vector<const Suite*> Named(const std::string& name) {
  std::vector<const Suite*> named;
  for (const Suite& suite : Suites())
    if (name == suite.name || name == "all") named.push_back(&suite);
  return named;
}

RunOptions OptionsFor(const Suite& suite, const Options& options) {
  RunOptions run = options.run;
  if (options.goals) run.rows = RowsOf(PacketGoals(), suite.name);
  return run;
}

std::vector<std::string> SelectedRows(const Suite& suite, const Options& options) {
  const RunOptions run = OptionsFor(suite, options);
  if (options.goals && run.rows.empty()) return {};  // an empty list would mean all
  std::vector<std::string> rows = suite.rows(run.brief);
  std::erase_if(rows, [&](const std::string& row) { return !IsSelected(run, row); });
  return rows;
}

// When one suite fails, the figures of the others are kept.
Status RunSuites(const std::vector<const Suite*>& suites, const Options& options) {
  std::ofstream file;  // opened first, so that a wrong path is found before the measurements
  if (!options.json.empty()) file.open(options.json);
  if (!file) return ErrnoError(errno, "write {}", options.json);
  const Machine machine = ThisMachine();
  PrintMachine(machine, std::cout);
  const OrderlyEnd end;
  std::vector<const char*> failed;
  Reports reports;
  nlohmann::json results = nlohmann::json::array();
  for (const Suite* suite : suites) {
    StatusOr<Report> report = suite->run(OptionsFor(*suite, options));
    if (!report.ok()) {
      LogError("suite {}: {}", suite->name, Message(report.status()));
      failed.push_back(suite->name);
      if (absl::IsCancelled(report.status())) break;
      continue;
    }
    PrintTable(*suite, *report, std::cout);
    std::cout << std::endl;  // flushes, because the next suite takes minutes
    results.push_back(ToJson(*suite, *report));
    reports.emplace_back(suite->name, *std::move(report));
  }
  if (!options.run.brief) PrintGoals(options.goals_shown(), reports, std::cout);
  if (!options.json.empty()) {
    nlohmann::json whole = {
        {"machine", ToJson(machine)}, {"runs", options.run.runs}, {"short", options.run.brief}, {"suites", results}};
    if (!options.run.brief) whole["goals"] = GoalsToJson(options.goals_shown(), reports);
    file << whole.dump(2) << '\n';
    file.close();
    if (!file) return ErrnoError(errno, "write {}", options.json);
  }
  if (failed.empty()) return OkStatus();
  return MakeError(absl::StatusCode::kInternal, "not measured, see above: {}", fmt::join(failed, ", "));
}

int Run(int argc, char** argv) {
  Options options;
  if (const int code = ParseOptions(argc, argv, &options); code >= 0) return code;
  InitLogging(false);
  std::vector<const Suite*> suites = Named(options.suite);
  if (suites.empty()) {
    std::cerr << "sluice-bench: unknown suite " << options.suite << ". Suites:\n" << SuiteList();
    return 2;
  }
  std::erase_if(suites, [&](const Suite* suite) { return SelectedRows(*suite, options).empty(); });
  if (suites.empty()) {
    if (options.run.filters.empty())
      LogError("no goal of --goals has a row in suite {}", options.suite);
    else
      LogError("no row has \"{}\" in its name", fmt::join(options.run.filters, "\" or \""));
    return 1;
  }
  if (options.list) {
    for (const Suite* suite : suites)
      for (const std::string& row : SelectedRows(*suite, options)) std::cout << suite->name << ": " << row << '\n';
    return 0;
  }
  const Status status = RunSuites(suites, options);
  if (!status.ok()) LogError("{}", Message(status));
  return status.ok() ? 0 : 1;
}

}  // namespace
}  // namespace sluice::perf

int main(int argc, char** argv) { return sluice::perf::Run(argc, argv); }
