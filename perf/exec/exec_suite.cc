#include "perf/exec/exec_suite.h"

#include <algorithm>
#include <thread>

#include "base/log.h"
#include "perf/cpu.h"
#include "perf/exec/control_cost.h"
#include "perf/exec/kernel_time.h"
#include "perf/exec/watch.h"
#include "perf/orderly_end.h"
#include "perf/rows.h"

namespace sluice::perf {
namespace {

constexpr char kPercent[] = "% over off";

// Process instances that run with and without sensors, and the prefix of their rows.
struct Pairs {
  std::string prefix;
  std::vector<Sensing> modes;  // the first is kOff
};
const Pairs kShortest = {"", {Sensing::kOff, Sensing::kOn, Sensing::kSlowReader, Sensing::kSlowFollower}};
const Pairs kOrdinary = {"true/", {Sensing::kOff, Sensing::kOn}};

struct Sizes {
  int rounds;
  int instances;  // of one block
  int kernel_instances;
};

Sizes SizesOf(const RunOptions& options) {
  if (options.brief) return {1, 50, 50};
  return {options.runs * 12, 300, 1000};  // single blocks vary by 10 %, so many short ones are compared in pairs
}

std::vector<std::string> RowsOf(const Pairs& pairs) {
  std::vector<std::string> rows;
  for (const Sensing sensing : pairs.modes) {
    for (const char* const what : {"rate", "cpu", "lost", "follower-dropped", "overhead"}) {
      const bool without_sensors = what == std::string_view("rate") || what == std::string_view("cpu");
      if (sensing != Sensing::kOff || without_sensors)
        rows.push_back(fmt::format("{}{}/{}", pairs.prefix, what, ToString(sensing)));
    }
  }
  return rows;
}
std::vector<std::string> FloodRows() { return {"flood/rate/off", "flood/rate/on", "flood/lost/on"}; }
std::vector<std::string> KernelRows() {
  return {"kernel-time/exec", "kernel-time/fork", "kernel-time/exit", "kernel-time/all"};
}

std::string ControlRow(Control control, const char* what) {
  return fmt::format("control/{}/{}", control == Control::kReading ? "reading" : "computing", what);
}
std::vector<std::string> ControlRows(Control control) {
  return {ControlRow(control, "own-time"), ControlRow(control, "cost"), ControlRow(control, "cost-of-own-time")};
}

// Runs one block; with sensors, `outcome` counts its events. With several threads only `seconds` is set.
StatusOr<Spawner::Spent> RunBlock(Sensing sensing, const Spawner& spawner, int instances, int threads,
                                  Watch::Outcome* outcome) {
  SL_RETURN_IF_ERROR(OrderlyEnd::Check());
  SL_ASSIGN_OR_RETURN(const int measured, MeasuredCpu());
  SL_ASSIGN_OR_RETURN(const int other, OtherCpu());
  SL_RETURN_IF_ERROR(StayOn(other));
  std::unique_ptr<Watch> watch;
  if (sensing != Sensing::kOff) {
    SL_ASSIGN_OR_RETURN(watch, Watch::Start(sensing, spawner.path()));
  }
  SL_RETURN_IF_ERROR(StayOn(measured));
  // Until the kernel has freed the previous block's memory and the caches are warm.
  const int warm = instances;
  SL_RETURN_IF_ERROR(spawner.Run(warm).status());
  Spawner::Spent spent;
  if (threads == 1) {
    SL_ASSIGN_OR_RETURN(spent, spawner.Run(instances));
  } else {
    SL_ASSIGN_OR_RETURN(spent.seconds, spawner.RunOnThreads(threads, instances));
  }
  if (watch == nullptr) return spent;
  const auto expected = static_cast<std::uint64_t>(warm + threads * instances);
  *outcome = watch->Await(expected);
  if (outcome->delivered + outcome->lost < expected || outcome->delivered > expected)
    return MakeError(absl::StatusCode::kInternal, "sensors {}: {} exec events of {} execs, {} lost", ToString(sensing),
                     outcome->delivered, expected, outcome->lost);
  return spent;
}

Status MeasurePairs(const Sizes& sizes, const Spawner& spawner, const Pairs& pairs, Rows* rows) {
  const std::size_t count = pairs.modes.size();
  const auto name = [&](const char* what, std::size_t mode) {
    return fmt::format("{}{}/{}", pairs.prefix, what, ToString(pairs.modes[mode]));
  };
  for (int round = 0; round < sizes.rounds; ++round) {
    LogInfo("exec: {}, round {} of {}", spawner.path(), round + 1, sizes.rounds);
    std::vector<double> cpu(count);
    // Each mode comes first equally often, because the machine's speed may change during a round.
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t mode = (i + round) % count;
      Watch::Outcome outcome;
      SL_ASSIGN_OR_RETURN(const Spawner::Spent spent,
                          RunBlock(pairs.modes[mode], spawner, sizes.instances, 1, &outcome));
      rows->Add(name("rate", mode), "", sizes.instances / spent.seconds, {name("rate", 0)});
      cpu[mode] = spent.cpu_seconds / sizes.instances * 1e6;
      rows->Add(name("cpu", mode), "us an instance", cpu[mode], {name("cpu", 0)});
      if (mode == 0) continue;
      rows->Add(name("lost", mode), "events", static_cast<double>(outcome.lost));
      rows->Add(name("follower-dropped", mode), "events", static_cast<double>(outcome.dropped));
    }
    for (std::size_t mode = 1; mode < count; ++mode)
      rows->Add(name("overhead", mode), kPercent, (cpu[mode] / cpu[0] - 1) * 100);
  }
  return OkStatus();
}

// All CPUs start programs at the highest rate.
Status MeasureFlood(const Sizes& sizes, const Spawner& spawner, int runs, Rows* rows) {
  const int threads = std::max(2, static_cast<int>(std::thread::hardware_concurrency()));
  for (int run = 0; run < runs; ++run) {
    for (const Sensing sensing : {Sensing::kOff, Sensing::kOn}) {
      Watch::Outcome outcome;
      SL_ASSIGN_OR_RETURN(const Spawner::Spent spent,
                          RunBlock(sensing, spawner, sizes.kernel_instances, threads, &outcome));
      rows->Add(fmt::format("flood/rate/{}", ToString(sensing)), "", threads * sizes.kernel_instances / spent.seconds,
                {"flood/rate/off"});
      if (sensing == Sensing::kOn) rows->Add("flood/lost/on", "events", static_cast<double>(outcome.lost));
    }
  }
  return OkStatus();
}

Status MeasureKernel(const Sizes& sizes, const Spawner& spawner, int runs, Rows* rows) {
  for (int run = 0; run < runs; ++run) {
    SL_RETURN_IF_ERROR(OrderlyEnd::Check());
    SL_ASSIGN_OR_RETURN(const KernelTime time, MeasureKernelTime(spawner, sizes.kernel_instances));
    for (const auto& [event, nanoseconds] : time.each) rows->Add("kernel-time/" + event, "ns an event", nanoseconds);
    rows->Add("kernel-time/all", "ns an event", time.mean);
  }
  return OkStatus();
}

Status MeasureControl(Control control, const Sizes& sizes, const Spawner& spawner, int runs, Rows* rows) {
  for (int run = 0; run < runs; ++run) {
    // Their cost is a hundredth of an instance: many short pairs are more precise than few long ones.
    SL_ASSIGN_OR_RETURN(const ControlCost cost,
                        MeasureControlCost(control, spawner, sizes.rounds / runs * 4, sizes.instances / 3));
    rows->Add(ControlRow(control, "own-time"), "ns an exec", cost.own_ns);
    rows->Add(ControlRow(control, "cost"), "ns an instance", cost.more_ns);
    rows->Add(ControlRow(control, "cost-of-own-time"), "x own time", cost.more_ns / cost.own_ns);
  }
  return OkStatus();
}

StatusOr<Report> RunOnThisThread(const RunOptions& options) {
  const Sizes sizes = SizesOf(options);
  SL_ASSIGN_OR_RETURN(const Spawner shortest, Spawner::OfShortest());
  SL_ASSIGN_OR_RETURN(const Spawner ordinary, Spawner::OfOrdinary());
  Rows rows;
  for (const auto& [spawner, pairs] : {std::pair(&ordinary, &kOrdinary), std::pair(&shortest, &kShortest)})
    if (IsAnySelected(options, RowsOf(*pairs))) SL_RETURN_IF_ERROR(MeasurePairs(sizes, *spawner, *pairs, &rows));
  if (IsAnySelected(options, FloodRows())) SL_RETURN_IF_ERROR(MeasureFlood(sizes, shortest, options.runs, &rows));
  if (IsAnySelected(options, KernelRows())) SL_RETURN_IF_ERROR(MeasureKernel(sizes, shortest, options.runs, &rows));
  for (const Control control : {Control::kReading, Control::kComputing})
    if (IsAnySelected(options, ControlRows(control)))
      SL_RETURN_IF_ERROR(MeasureControl(control, sizes, ordinary, options.runs, &rows));
  return Report{.unit = "instances a second",
                .rows = std::move(rows).Take(options),
                .left_out = {"Tetragon, Falco: not in Debian, and their BPF objects are not here"}};
}

}  // namespace

std::vector<std::string> ExecRows(bool /*brief*/) {
  std::vector<std::string> rows = RowsOf(kOrdinary);
  for (const auto& more :
       {RowsOf(kShortest), FloodRows(), KernelRows(), ControlRows(Control::kReading), ControlRows(Control::kComputing)})
    rows.insert(rows.end(), more.begin(), more.end());
  return rows;
}

StatusOr<Report> RunExecSuite(const RunOptions& options) {
  StatusOr<Report> report = InvalidError("not run");
  std::thread([&] { report = RunOnThisThread(options); }).join();  // its CPU affinity ends with it
  return report;
}

}  // namespace sluice::perf
