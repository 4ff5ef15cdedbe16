#include "perf/hooks/hooks_suite.h"

#include <thread>

#include "base/log.h"
#include "kernel/bpf/admin_calls.h"
#include "perf/cpu.h"
#include "perf/hooks/call_cost.h"
#include "perf/hooks/event_cost.h"
#include "perf/hooks/file_mix.h"
#include "perf/hooks/memory_cost.h"
#include "perf/scratch.h"
#include "perf/tools.h"

namespace sluice::perf {
namespace {

struct Sizes {
  CallCostSizes calls;
  FileMixSizes files;
  EventSizes events;
};

Sizes SizesOf(const RunOptions& options) {
  if (options.brief)
    return {.calls = {.rounds = 1, .calls = 2000},
            .files = {.rounds = 1, .files = 100, .passes = 1, .compilations = 1, .compiled_files = 20},
            .events = {.rounds = 1, .starts = 50, .reads = 50, .floods = 1, .calls = 8000}};
  return {.calls = {.rounds = options.runs * 6, .calls = 100000},
          .files = {.rounds = options.runs * 4,
                    .files = 2000,
                    .passes = 5,
                    .compilations = options.runs * 4,
                    .compiled_files = 300},
          .events = {.rounds = options.runs, .starts = 1000, .reads = 1000, .floods = options.runs, .calls = 2000000}};
}

StatusOr<Report> RunOnThisThread(const RunOptions& options) {
  const Sizes sizes = SizesOf(options);
  Rows rows;
  std::vector<std::string> left_out;
  if (IsAnySelected(options, MemoryRows())) SL_RETURN_IF_ERROR(MeasureHookMemory(&rows));
  SL_ASSIGN_OR_RETURN(const Scratch scratch, Scratch::Create());
  SL_ASSIGN_OR_RETURN(const EmptyProgram empty, EmptyProgram::Load());
  SL_ASSIGN_OR_RETURN(const auto world, HookWorld::Load());
  LogInfo("hooks: system calls are seen by {}",
          world->calls_by_tracepoint() ? "the raw tracepoint of all of them" : "kprobes");
  SL_ASSIGN_OR_RETURN(const int measured, MeasuredCpu());
  SL_RETURN_IF_ERROR(StayOn(measured));
  const std::string directory = scratch.directory();
  if (IsAnySelected(options, CallRows()))
    SL_RETURN_IF_ERROR(MeasureCallCost(sizes.calls, directory, empty, world.get(), &rows));
  if (IsAnySelected(options, FunctionRows())) {
    if (bpf::HasKprobes()) {
      SL_RETURN_IF_ERROR(MeasureFunctionCost(sizes.calls, directory, empty, world.get(), &rows));
    } else {
      left_out.emplace_back("function: this kernel has no kprobes (CONFIG_KPROBES and CONFIG_KPROBE_EVENTS)");
    }
  }
  if (IsAnySelected(options, FileRows()))
    SL_RETURN_IF_ERROR(MeasureFileMix(sizes.files, directory, empty, world.get(), &rows));
  if (IsAnySelected(options, CompilerRows())) {
    if (IsInstalled("cc")) {
      SL_RETURN_IF_ERROR(MeasureCompilerMix(sizes.files, directory, empty, world.get(), &rows));
    } else {
      left_out.emplace_back("compiler: cc is not installed");
    }
  }
  const bool events = IsAnySelected(options, EventRows()), flood = IsAnySelected(options, FloodRows());
  if ((events || flood) && !HasTwoCpus()) {
    for (const char* const part : {"event", "flood"})
      left_out.push_back(fmt::format("{}: needs two CPUs, one for the reader", part));
  } else {
    if (events) {
      SL_ASSIGN_OR_RETURN(const Spawner spawner, Spawner::OfShortest());
      SL_RETURN_IF_ERROR(MeasureEventCost(sizes.events, spawner, world.get(), &rows));
    }
    if (flood) SL_RETURN_IF_ERROR(MeasureEventFlood(sizes.events, world.get(), &rows));
  }
  return Report{.unit = "ns a call", .rows = std::move(rows).Take(options), .left_out = std::move(left_out)};
}

}  // namespace

std::vector<std::string> HooksRows(bool /*brief*/) {
  std::vector<std::string> rows = CallRows();
  for (const auto& more : {FunctionRows(), FileRows(), CompilerRows(), EventRows(), FloodRows(), MemoryRows()})
    rows.insert(rows.end(), more.begin(), more.end());
  return rows;
}

StatusOr<Report> RunHooksSuite(const RunOptions& options) {
  StatusOr<Report> report = InvalidError("not run");
  std::thread([&] { report = RunOnThisThread(options); }).join();  // its CPU affinity ends with it
  return report;
}

}  // namespace sluice::perf
