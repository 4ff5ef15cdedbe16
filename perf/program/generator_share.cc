#include "perf/program/generator_share.h"

#include <set>

#include "perf/program/floors.h"
#include "perf/report.h"

namespace sluice::perf {
namespace {

struct GeneratorShare {
  double nanoseconds = 0;
  double instructions = 0;
};

GeneratorShare ShareOf(bool xdp, const Report& report) {
  const Row* const rotate = FindRow(report, GeneratorRow(xdp));
  const Row* const bare = FindRow(report, BareFloor(xdp));
  if (rotate == nullptr || bare == nullptr) return {};
  const Figures none;
  return {FiguresOf(*rotate).median - FiguresOf(*bare).median,
          InstructionsOf(*rotate).value_or(none).median - InstructionsOf(*bare).value_or(none).median};
}

bool IsRotatingFloor(bool xdp, const std::string& name) {
  const std::string alone = HashFloor(xdp, 1);
  if (xdp && name.starts_with(kSlotFloors)) return true;
  return name != alone && name.starts_with(alone.substr(0, alone.size() - 1));
}

}  // namespace

void SubtractGenerator(const std::vector<Case>& cases, Report* report) {
  for (const bool xdp : {false, true}) {
    std::set<std::string> rotating;
    for (const Case& what : cases)
      if (what.flows > 1 && what.is_xdp() == xdp) rotating.insert(what.Name());
    const GeneratorShare share = ShareOf(xdp, *report);
    for (Row& row : report->rows) {
      if (!rotating.contains(row.name) && !IsRotatingFloor(xdp, row.name)) continue;
      row.generator = share.nanoseconds;
      row.instructions.generator = share.instructions;
    }
  }
}

}  // namespace sluice::perf
