#include "perf/goal_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "perf/goals.h"
#include "perf/report.h"

namespace sluice::perf {
namespace {

const Row* Find(const Reports& reports, const RowName& name) {
  if (name.suite == nullptr) return nullptr;
  for (const auto& [suite, report] : reports)
    if (suite == name.suite) return FindRow(report, name.row);
  return nullptr;
}

struct Reached {
  std::optional<double> figure;
  std::string missing;  // why there is no figure
  bool met = false;
  std::string why;  // the reason when it is not met
};

// The reason's figure in this run; empty: its rows were not measured.
std::string InRun(const Reason& why, double unit, const Reports& reports) {
  const Row* const row = Find(reports, why.row);
  if (row == nullptr) return {};
  double figure = FiguresOf(*row).median;
  if (why.longer.suite != nullptr) {
    const Row* const longer = Find(reports, why.longer);
    const Row* const than = Find(reports, why.than);
    if (longer == nullptr || than == nullptr || figure <= 0) return {};
    constexpr double kNanoseconds = 1e6;  // between two packets, at 1,000 packets a second
    figure = kNanoseconds / (kNanoseconds / figure + FiguresOf(*longer).median - FiguresOf(*than).median);
  }
  return "; in this run " + fmt::format(fmt::runtime(why.in_run), figure / unit);
}

std::string Range(const Row& row) {
  const Figures figures = FiguresOf(row);
  const int decimals = figures.max < 100 ? 2 : 0;
  return fmt::format("{:.{}f} to {:.{}f}", figures.min, decimals, figures.max, decimals);
}

Reached Evaluate(const Goal& goal, const Reports& reports) {
  const Row* const row = Find(reports, goal.figure);
  const Row* const unit = Find(reports, goal.unit);
  if (row != nullptr && unit == nullptr && goal.unit_needs != nullptr)
    return {.missing = fmt::format("no row {}: {}", goal.unit.row, goal.unit_needs)};
  const Row* const more = Find(reports, goal.more);
  const Row* const less = Find(reports, goal.less);
  for (const auto& [name, found] : {std::pair(&goal.figure, row), std::pair(&goal.unit, unit),
                                    std::pair(&goal.more, more), std::pair(&goal.less, less)})
    if (name->suite != nullptr && found == nullptr)
      return {.missing = fmt::format("no row {} of suite {}", name->row, name->suite)};
  double divisor = unit != nullptr ? FiguresOf(*unit).median : 1;
  if (more != nullptr) divisor += FiguresOf(*more).median;
  if (less != nullptr) divisor -= FiguresOf(*less).median;
  if (divisor <= 0) return {.missing = fmt::format("{} is not above 0", goal.unit.row)};
  const Figures figures = FiguresOf(*row);
  const double figure = (goal.goal == 0 ? figures.max : figures.median) / divisor;  // 0: in every sample
  if (goal.is == Goal::Is::kAtMost ? figure <= goal.goal : figure >= goal.goal) return {.figure = figure, .met = true};
  std::string why = goal.why.text + InRun(goal.why, divisor, reports) + "; samples " + Range(*row);
  if (unit != nullptr) why += fmt::format(", divided by {}", Range(*unit));
  return {.figure = figure, .why = std::move(why)};
}

std::string GoalText(const Goal& goal) {
  return fmt::format("{} {:g}", goal.is == Goal::Is::kAtMost ? "<=" : ">=", goal.goal);
}

}  // namespace

void PrintGoals(std::span<const Goal> goals, const Reports& reports, std::ostream& out) {
  std::size_t width = 0;
  for (const Goal& goal : goals) width = std::max(width, std::string_view(goal.what).size());
  out << fmt::format("goals\n{:<{}} {:>10} {:>10}\n", "name", width, "figure", "goal");
  for (const Goal& goal : goals) {
    const Reached reached = Evaluate(goal, reports);
    const std::string figure = reached.figure ? fmt::format("{:.2f}", *reached.figure) : "-";
    const std::string result = reached.figure ? (reached.met ? "met" : "MISSED") : "not measured: " + reached.missing;
    out << fmt::format("{:<{}} {:>10} {:>10}  {}\n", goal.what, width, figure, GoalText(goal), result);
    if (!reached.why.empty()) out << "    why: " << reached.why << '\n';
  }
}

nlohmann::json GoalsToJson(std::span<const Goal> goals, const Reports& reports) {
  nlohmann::json json = nlohmann::json::array();
  for (const Goal& goal : goals) {
    const Reached reached = Evaluate(goal, reports);
    nlohmann::json one = {{"name", goal.what}, {"goal", GoalText(goal)}};
    if (reached.figure) {
      one["figure"] = *reached.figure;
      one["met"] = reached.met;
      if (!reached.met) one["why"] = reached.why;
    } else {
      one["notMeasured"] = reached.missing;
    }
    json.push_back(std::move(one));
  }
  return json;
}

}  // namespace sluice::perf
