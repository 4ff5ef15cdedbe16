#include "perf/report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace sluice::perf {
namespace {

// The ratio of this row's median to that of each row it is compared with, if measured.
std::vector<std::pair<std::string, double>> RatiosOf(const Row& row, const Report& report) {
  std::vector<std::pair<std::string, double>> ratios;
  for (const std::string& name : row.against) {
    const Row* other = FindRow(report, name);
    if (other == nullptr) continue;
    if (const double unit = FiguresOf(*other).median; unit > 0) ratios.emplace_back(name, FiguresOf(row).median / unit);
  }
  return ratios;
}

Figures FiguresOf(std::vector<double> samples, double generator) {
  if (samples.empty()) return {};
  std::sort(samples.begin(), samples.end());
  const std::size_t half = samples.size() / 2;
  const double median = samples.size() % 2 == 1 ? samples[half] : (samples[half - 1] + samples[half]) / 2;
  return {median - generator, samples.front() - generator, samples.back() - generator};
}

// A column; empty in a report without instructions.
std::string InstructionsColumn(const Report& report, const std::string& text) {
  const bool any = std::any_of(report.rows.begin(), report.rows.end(),
                               [](const Row& row) { return InstructionsOf(row).has_value(); });
  return any ? fmt::format(" {:>12}", text) : "";
}

}  // namespace

const Row* FindRow(const Report& report, const std::string& name) {
  const auto found =
      std::find_if(report.rows.begin(), report.rows.end(), [&](const Row& row) { return row.name == name; });
  return found == report.rows.end() ? nullptr : &*found;
}

Figures FiguresOf(const Row& row) { return FiguresOf(row.samples, row.generator); }

std::optional<Figures> InstructionsOf(const Row& row) {
  if (row.instructions.samples.empty()) return std::nullopt;
  return FiguresOf(row.instructions.samples, row.instructions.generator);
}

void PrintMachine(const Machine& machine, std::ostream& out) {
  const auto known = [](const std::string& text) { return text.empty() ? "unknown" : text.c_str(); };
  out << fmt::format("kernel {}, {} x {} ({}), revision {}\n", known(machine.kernel), machine.cpus, known(machine.cpu),
                     known(machine.family), known(machine.revision));
}

void PrintTable(const Suite& suite, const Report& report, std::ostream& out) {
  std::size_t width = 4;
  for (const Row& row : report.rows) width = std::max(width, row.name.size());
  out << fmt::format("{}: {} ({})\n", suite.name, suite.description, report.unit);
  out << fmt::format("{:<{}} {:>9} {:>9} {:>9} {:>4}{}  ratios\n", "name", width, "median", "min", "max", "runs",
                     InstructionsColumn(report, "instructions"));
  for (const Row& row : report.rows) {
    const Figures figures = FiguresOf(row);
    const auto counted = InstructionsOf(row);
    out << fmt::format("{:<{}} {:>9.1f} {:>9.1f} {:>9.1f} {:>4}{} ", row.name, width, figures.median, figures.min,
                       figures.max, row.samples.size(),
                       InstructionsColumn(report, counted ? fmt::format("{:.1f}", counted->median) : "-"));
    if (!row.unit.empty()) out << ' ' << row.unit;
    for (const auto& [name, ratio] : RatiosOf(row, report)) out << fmt::format(" {:.2f} x {}", ratio, name);
    out << '\n';
  }
  for (const std::string& peer : report.left_out) out << "left out: " << peer << '\n';
  for (const std::string& note : report.notes) out << "note: " << note << '\n';
}

nlohmann::json ToJson(const Suite& suite, const Report& report) {
  nlohmann::json rows = nlohmann::json::array();
  for (const Row& row : report.rows) {
    const Figures figures = FiguresOf(row);
    nlohmann::json ratios = nlohmann::json::object();
    for (const auto& [name, ratio] : RatiosOf(row, report)) ratios[name] = ratio;
    rows.push_back({{"name", row.name},
                    {"unit", row.unit.empty() ? report.unit : row.unit},
                    {"samples", row.samples},
                    {"generator", row.generator},
                    {"median", figures.median},
                    {"min", figures.min},
                    {"max", figures.max},
                    {"against", row.against},
                    {"ratios", std::move(ratios)}});
    if (const auto counted = InstructionsOf(row))
      rows.back()["instructions"] = {{"samples", row.instructions.samples},
                                     {"generator", row.instructions.generator},
                                     {"median", counted->median},
                                     {"min", counted->min},
                                     {"max", counted->max}};
  }
  return {{"suite", suite.name},
          {"unit", report.unit},
          {"rows", std::move(rows)},
          {"leftOut", report.left_out},
          {"notes", report.notes}};
}

nlohmann::json ToJson(const Machine& machine) {
  nlohmann::json json = {{"cpus", machine.cpus}};
  if (!machine.kernel.empty()) json["kernel"] = machine.kernel;
  if (!machine.cpu.empty()) json["cpu"] = machine.cpu;
  if (!machine.family.empty()) json["family"] = machine.family;
  if (!machine.revision.empty()) json["revision"] = machine.revision;
  return json;
}

}  // namespace sluice::perf
