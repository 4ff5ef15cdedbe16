#include "perf/exec/control_cost.h"

#include <algorithm>
#include <vector>

#include "ctrl/bpf/object.h"
#include "ctrl/bpf/program_set.h"
#include "perf/cpu.h"
#include "perf/exec/kernel_time.h"
#include "perf/orderly_end.h"

// The object file of perf/bpf/exec.bpf.c, as bytes of this program.
__asm__(
    ".section .rodata\n"
    ".balign 8\n"
    "perf_exec_elf: .incbin \"" SLUICE_PERF_OBJECT
    "\"\n"
    "perf_exec_elf_end:\n"
    ".previous\n");
extern "C" const char perf_exec_elf[], perf_exec_elf_end[];

namespace sluice::perf {
namespace {

// CPU time of one life, nanoseconds; after some that the attaching, or its end, has still made longer.
StatusOr<double> RunBlock(const Spawner& spawner, int lives) {
  SL_RETURN_IF_ERROR(OrderlyEnd::Check());
  SL_RETURN_IF_ERROR(spawner.Run(std::max(1, lives / 2)).status());
  SL_ASSIGN_OR_RETURN(const Spawner::Spent spent, spawner.Run(lives));
  return spent.cpu_seconds / lives * 1e9;
}

StatusOr<double> MeasurePair(const Spawner& spawner, const bpf::ProgramSet& programs, const char* program,
                             bool with_first, int lives) {
  double with = 0, without = 0;
  for (const bool is_with : {with_first, !with_first}) {
    Fd link;
    if (is_with) {
      SL_ASSIGN_OR_RETURN(link, programs.AttachTracepoint(program));
    }
    SL_ASSIGN_OR_RETURN((is_with ? with : without), RunBlock(spawner, lives));
  }
  return with - without;
}

}  // namespace

StatusOr<ControlCost> MeasureControlCost(Control control, const Spawner& spawner, int pairs, int lives) {
  const char* const program = control == Control::kReading ? "exec_read" : "exec_compute";
  SL_ASSIGN_OR_RETURN(const int measured, MeasuredCpu());
  SL_RETURN_IF_ERROR(StayOn(measured));
  SL_ASSIGN_OR_RETURN(
      const bpf::ProgramSet programs,
      bpf::ProgramSet::Load(
          "perf_exec", std::string_view(perf_exec_elf, static_cast<std::size_t>(perf_exec_elf_end - perf_exec_elf))));
  std::vector<double> more;
  for (int pair = 0; pair < pairs; ++pair) {
    SL_ASSIGN_OR_RETURN(more.emplace_back(), MeasurePair(spawner, programs, program, pair % 2 == 0, lives));
  }
  {
    SL_ASSIGN_OR_RETURN(const Fd counting, CountRuns());
    SL_ASSIGN_OR_RETURN(const Fd link, programs.AttachTracepoint(program));
    SL_RETURN_IF_ERROR(spawner.Run(lives).status());
  }
  SL_ASSIGN_OR_RETURN(const bpf::ProgramRuns runs, bpf::ReadProgramRuns(programs.program_fd(program)));
  if (runs.count < static_cast<std::uint64_t>(lives))
    return MakeError(absl::StatusCode::kInternal, "{} ran {} times in {} lives", program, runs.count, lives);
  std::sort(more.begin(), more.end());
  const std::size_t middle = more.size() / 2;
  return ControlCost{.own_ns = static_cast<double>(runs.nanoseconds) / static_cast<double>(runs.count),
                     .more_ns = more.size() % 2 == 1 ? more[middle] : (more[middle - 1] + more[middle]) / 2};
}

}  // namespace sluice::perf
