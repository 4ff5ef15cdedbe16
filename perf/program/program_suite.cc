#include "perf/program/program_suite.h"

#include <algorithm>
#include <thread>

#include "perf/cpu.h"
#include "perf/program/bed.h"
#include "perf/program/floors.h"
#include "perf/report.h"

namespace sluice::perf {
namespace {

constexpr std::uint32_t kHashFloors[] = {1, 1000, 100000};

std::vector<Case> Selected(const RunOptions& options) {
  std::vector<Case> cases = AllCases();
  std::erase_if(cases, [&](const Case& one) { return !IsSelected(options, one.Name()); });
  // Small, and yet every program, family and kind of traffic.
  if (options.brief && options.filters.empty()) std::erase_if(cases, [](const Case& one) { return one.flows != 1000; });
  return cases;
}

Measurement MeasurementOf(const Case& what, const Bed& bed) {
  Measurement one;
  one.row.name = what.Name();
  one.row.against.push_back(BareFloor(what.is_xdp()));
  if (what.is_new()) {
    Case answered = what;  // what the first packet costs beside the later ones
    answered.traffic = Traffic::kEstablished;
    answered.flows = 1;
    one.row.against.push_back(answered.Name());
  } else {
    one.row.against.push_back(HashFloor(what.is_xdp(), what.flows));
  }
  one.packets = Bed::Packets(what);
  one.measure = [&bed, what] { return bed.Measure(what); };
  return one;
}

double MedianOf(const std::vector<Measurement>& all, const std::string& name) {
  const auto found = std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.row.name == name; });
  return found == all.end() ? 0 : FiguresOf(found->row).median;
}

// What the wrapper adds to the program behind it.
void SubtractGenerator(const std::vector<Case>& cases, std::vector<Measurement>* all) {
  double share[2];
  for (const bool xdp : {false, true}) share[xdp] = MedianOf(*all, GeneratorRow(xdp)) - MedianOf(*all, BareFloor(xdp));
  for (Measurement& one : *all) {
    for (const Case& what : cases)
      if (what.flows > 1 && what.Name() == one.row.name) one.row.generator = share[what.is_xdp()];
    for (const bool xdp : {false, true})
      for (const std::uint32_t flows : kHashFloors)
        if (flows > 1 && one.row.name == HashFloor(xdp, flows)) one.row.generator = share[xdp];
  }
}

StatusOr<Report> RunOnThisThread(const RunOptions& options) {
  const std::vector<Case> cases = Selected(options);
  if (cases.empty()) return Report{};
  SL_ASSIGN_OR_RETURN(const int cpu, MeasuredCpu());
  SL_RETURN_IF_ERROR(StayOn(cpu));
  SL_ASSIGN_OR_RETURN(const Interfaces interfaces, MakeInterfaces());
  SL_ASSIGN_OR_RETURN(const Runner runner, Runner::Create());

  std::map<WorldSize, std::unique_ptr<Bed>> beds;
  std::vector<Measurement> all = Floors(runner, {std::begin(kHashFloors), std::end(kHashFloors)});
  for (const Case& what : cases) {
    std::unique_ptr<Bed>& bed = beds[what.world];
    if (bed == nullptr) {
      SL_ASSIGN_OR_RETURN(bed, Bed::Create(what.world, interfaces, runner));
    }
    all.push_back(MeasurementOf(what, *bed));
  }
  SL_RETURN_IF_ERROR(RunRounds(options.runs, &all));
  SubtractGenerator(cases, &all);

  Report report{.unit = "ns a packet"};
  for (Measurement& one : all) report.rows.push_back(std::move(one.row));
  return report;
}

}  // namespace

StatusOr<Report> RunProgramSuite(const RunOptions& options) {
  StatusOr<Report> report = InvalidError("not run");
  std::thread([&] { report = RunOnThisThread(options); }).join();  // its namespace and its CPU go with it
  return report;
}

}  // namespace sluice::perf
