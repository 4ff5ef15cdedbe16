#include "perf/exec/control_cost.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "ctrl/base/fd.h"
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

// For as long as the descriptor is open.
StatusOr<Fd> Attach(const char* program, int program_fd) {
  Fd link(bpf_raw_tracepoint_open(nullptr, program_fd));
  if (!link.valid()) return ErrnoError(errno, "attach {} to sched_process_exec", program);
  return link;
}

// CPU time of one life, nanoseconds; after some that make all of the block's lives alike.
StatusOr<double> RunBlock(const Spawner& spawner, int lives) {
  SL_RETURN_IF_ERROR(OrderlyEnd::Check());
  SL_RETURN_IF_ERROR(spawner.Run(lives / 5).status());
  SL_ASSIGN_OR_RETURN(const Spawner::Spent spent, spawner.Run(lives));
  return spent.cpu_seconds / lives * 1e9;
}

StatusOr<double> MeasurePair(const Spawner& spawner, const char* program, int program_fd, bool with_first, int lives) {
  double with = 0, without = 0;
  for (const bool is_with : {with_first, !with_first}) {
    Fd link;
    if (is_with) {
      SL_ASSIGN_OR_RETURN(link, Attach(program, program_fd));
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
  const int program_fd = programs.program_fd(program);
  std::vector<double> more;
  for (int pair = 0; pair < pairs; ++pair) {
    SL_ASSIGN_OR_RETURN(more.emplace_back(), MeasurePair(spawner, program, program_fd, pair % 2 == 0, lives));
  }
  {
    SL_ASSIGN_OR_RETURN(const Fd counting, CountRuns());
    SL_ASSIGN_OR_RETURN(const Fd link, Attach(program, program_fd));
    SL_RETURN_IF_ERROR(spawner.Run(lives).status());
  }
  SL_ASSIGN_OR_RETURN(const bpf::ProgramRuns runs, bpf::ReadProgramRuns(program_fd));
  if (runs.count < static_cast<std::uint64_t>(lives))
    return MakeError(absl::StatusCode::kInternal, "{} ran {} times in {} lives", program, runs.count, lives);
  std::sort(more.begin(), more.end());
  const std::size_t middle = more.size() / 2;
  return ControlCost{.own_ns = static_cast<double>(runs.nanoseconds) / static_cast<double>(runs.count),
                     .more_ns = more.size() % 2 == 1 ? more[middle] : (more[middle - 1] + more[middle]) / 2};
}

}  // namespace sluice::perf
