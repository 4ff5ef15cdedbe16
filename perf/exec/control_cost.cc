#include "perf/exec/control_cost.h"

#include <algorithm>
#include <vector>

#include "kernel/bpf/object.h"
#include "kernel/bpf/testing/program_set.h"
#include "perf/cpu.h"
#include "perf/embedded_object.h"
#include "perf/exec/kernel_time.h"
#include "perf/orderly_end.h"
#include "perf/report.h"

PERF_EMBEDDED_OBJECT(exec)  // perf/bpf/exec.bpf.c

namespace sluice::perf {
namespace {

// CPU time of one instance, nanoseconds. Warms up first, because attaching or detaching makes the next instances
// slower.
StatusOr<double> RunBlock(const Spawner& spawner, int instances) {
  SL_RETURN_IF_ERROR(OrderlyEnd::Check());
  SL_RETURN_IF_ERROR(spawner.Run(std::max(1, instances / 2)).status());
  SL_ASSIGN_OR_RETURN(const Spawner::Spent spent, spawner.Run(instances));
  return spent.cpu_seconds / instances * 1e9;
}

StatusOr<double> MeasurePair(const Spawner& spawner, const bpf::ProgramSet& programs, const char* program,
                             bool with_first, int instances) {
  double with = 0, without = 0;
  for (const bool is_with : {with_first, !with_first}) {
    Fd link;
    if (is_with) {
      SL_ASSIGN_OR_RETURN(link, programs.AttachTracepoint(program));
    }
    SL_ASSIGN_OR_RETURN((is_with ? with : without), RunBlock(spawner, instances));
  }
  return with - without;
}

}  // namespace

StatusOr<ControlCost> MeasureControlCost(Control control, const Spawner& spawner, int pairs, int instances) {
  const char* const program = control == Control::kReading ? "exec_read" : "exec_compute";
  SL_ASSIGN_OR_RETURN(const int measured, MeasuredCpu());
  SL_RETURN_IF_ERROR(StayOn(measured));
  SL_ASSIGN_OR_RETURN(const bpf::ProgramSet programs, bpf::ProgramSet::Load("perf_exec", perf_exec_object()));
  std::vector<double> more;
  for (int pair = 0; pair < pairs; ++pair) {
    SL_ASSIGN_OR_RETURN(more.emplace_back(), MeasurePair(spawner, programs, program, pair % 2 == 0, instances));
  }
  {
    SL_ASSIGN_OR_RETURN(const Fd counting, CountRuns());
    SL_ASSIGN_OR_RETURN(const Fd link, programs.AttachTracepoint(program));
    SL_RETURN_IF_ERROR(spawner.Run(instances).status());
  }
  SL_ASSIGN_OR_RETURN(const bpf::ProgramRuns runs, bpf::ReadProgramRuns(programs.program_fd(program)));
  if (runs.count < static_cast<std::uint64_t>(instances))
    return MakeError(absl::StatusCode::kInternal, "{} ran {} times in {} instances", program, runs.count, instances);
  return ControlCost{.own_ns = static_cast<double>(runs.nanoseconds) / static_cast<double>(runs.count),
                     .more_ns = FiguresOf({.samples = std::move(more)}).median};
}

}  // namespace sluice::perf
