#include "perf/exec/exec_suite.h"

#include <algorithm>
#include <thread>

#include "ctrl/base/log.h"
#include "perf/cpu.h"
#include "perf/exec/kernel_time.h"
#include "perf/exec/watch.h"
#include "perf/orderly_end.h"
#include "perf/rows.h"

namespace sluice::perf {
namespace {

constexpr Sensing kModes[] = {Sensing::kOff, Sensing::kOn, Sensing::kSlowReader, Sensing::kSlowFollower};
constexpr char kPercent[] = "% over off";

struct Sizes {
  int rounds;
  int lives;  // of one block
  int kernel_lives;
};

Sizes SizesOf(const RunOptions& options) {
  if (options.brief) return {1, 50, 50};
  return {options.runs * 12, 300, 1000};  // single blocks scatter by a tenth: many short ones, compared in pairs
}

std::vector<std::string> PairRows() {
  std::vector<std::string> rows;
  for (const Sensing sensing : kModes) {
    for (const char* const what : {"rate", "cpu", "lost", "follower-dropped", "overhead"}) {
      const bool without_sensors = what == std::string_view("rate") || what == std::string_view("cpu");
      if (sensing != Sensing::kOff || without_sensors) rows.push_back(fmt::format("{}/{}", what, ToString(sensing)));
    }
  }
  return rows;
}
std::vector<std::string> FloodRows() { return {"flood/rate/off", "flood/rate/on", "flood/lost/on"}; }
std::vector<std::string> KernelRows() {
  return {"kernel-time/exec", "kernel-time/fork", "kernel-time/exit", "kernel-time/all"};
}

// One block; with sensors, `outcome` says what became of its events. Several threads: only `seconds`.
StatusOr<Spawner::Spent> RunBlock(Sensing sensing, const Spawner& spawner, int lives, int threads,
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
  // Until the kernel has freed what the block before left, and everything is in the caches.
  const int warm = lives;
  SL_RETURN_IF_ERROR(spawner.Run(warm).status());
  Spawner::Spent spent;
  if (threads == 1) {
    SL_ASSIGN_OR_RETURN(spent, spawner.Run(lives));
  } else {
    SL_ASSIGN_OR_RETURN(spent.seconds, spawner.RunOnThreads(threads, lives));
  }
  if (watch == nullptr) return spent;
  const auto expected = static_cast<std::uint64_t>(warm + threads * lives);
  *outcome = watch->Await(expected);
  if (outcome->delivered + outcome->lost < expected || outcome->delivered > expected)
    return MakeError(absl::StatusCode::kInternal, "sensors {}: {} exec events of {} execs, {} lost", ToString(sensing),
                     outcome->delivered, expected, outcome->lost);
  return spent;
}

Status MeasurePairs(const Sizes& sizes, const Spawner& spawner, Rows* rows) {
  for (int round = 0; round < sizes.rounds; ++round) {
    LogInfo("exec: round {} of {}", round + 1, sizes.rounds);
    double cpu[std::size(kModes)];
    // Each mode is as often the first as the others: the machine may speed up or slow down during a round.
    for (std::size_t i = 0; i < std::size(kModes); ++i) {
      const std::size_t mode = (i + round) % std::size(kModes);
      Watch::Outcome outcome;
      SL_ASSIGN_OR_RETURN(const Spawner::Spent spent, RunBlock(kModes[mode], spawner, sizes.lives, 1, &outcome));
      const std::string name = ToString(kModes[mode]);
      rows->Add("rate/" + name, "", sizes.lives / spent.seconds, {"rate/off"});
      cpu[mode] = spent.cpu_seconds / sizes.lives * 1e6;
      rows->Add("cpu/" + name, "us a life", cpu[mode], {"cpu/off"});
      if (kModes[mode] == Sensing::kOff) continue;
      rows->Add("lost/" + name, "events", static_cast<double>(outcome.lost));
      rows->Add("follower-dropped/" + name, "events", static_cast<double>(outcome.dropped));
    }
    for (std::size_t mode = 1; mode < std::size(kModes); ++mode)
      rows->Add(fmt::format("overhead/{}", ToString(kModes[mode])), kPercent, (cpu[mode] / cpu[0] - 1) * 100);
  }
  return OkStatus();
}

// All CPUs start programs as fast as they can.
Status MeasureFlood(const Sizes& sizes, const Spawner& spawner, int runs, Rows* rows) {
  const int threads = std::max(2, static_cast<int>(std::thread::hardware_concurrency()));
  for (int run = 0; run < runs; ++run) {
    for (const Sensing sensing : {Sensing::kOff, Sensing::kOn}) {
      Watch::Outcome outcome;
      SL_ASSIGN_OR_RETURN(const Spawner::Spent spent,
                          RunBlock(sensing, spawner, sizes.kernel_lives, threads, &outcome));
      rows->Add(fmt::format("flood/rate/{}", ToString(sensing)), "", threads * sizes.kernel_lives / spent.seconds,
                {"flood/rate/off"});
      if (sensing == Sensing::kOn) rows->Add("flood/lost/on", "events", static_cast<double>(outcome.lost));
    }
  }
  return OkStatus();
}

Status MeasureKernel(const Sizes& sizes, const Spawner& spawner, int runs, Rows* rows) {
  for (int run = 0; run < runs; ++run) {
    SL_RETURN_IF_ERROR(OrderlyEnd::Check());
    SL_ASSIGN_OR_RETURN(const KernelTime time, MeasureKernelTime(spawner, sizes.kernel_lives));
    for (const auto& [event, nanoseconds] : time.each) rows->Add("kernel-time/" + event, "ns an event", nanoseconds);
    rows->Add("kernel-time/all", "ns an event", time.mean);
  }
  return OkStatus();
}

StatusOr<Report> RunOnThisThread(const RunOptions& options) {
  const Sizes sizes = SizesOf(options);
  SL_ASSIGN_OR_RETURN(const Spawner spawner, Spawner::Create());
  Rows rows;
  if (IsAnySelected(options, PairRows())) SL_RETURN_IF_ERROR(MeasurePairs(sizes, spawner, &rows));
  if (IsAnySelected(options, FloodRows())) SL_RETURN_IF_ERROR(MeasureFlood(sizes, spawner, options.runs, &rows));
  if (IsAnySelected(options, KernelRows())) SL_RETURN_IF_ERROR(MeasureKernel(sizes, spawner, options.runs, &rows));
  return Report{.unit = "lives a second",
                .rows = std::move(rows).Take(options),
                .left_out = {"Tetragon, Falco: not in Debian, and their BPF objects not here"}};
}

}  // namespace

std::vector<std::string> ExecRows(bool /*brief*/) {
  std::vector<std::string> rows = PairRows();
  for (const auto& more : {FloodRows(), KernelRows()}) rows.insert(rows.end(), more.begin(), more.end());
  return rows;
}

StatusOr<Report> RunExecSuite(const RunOptions& options) {
  StatusOr<Report> report = InvalidError("not run");
  std::thread([&] { report = RunOnThisThread(options); }).join();  // its CPU goes with it
  return report;
}

}  // namespace sluice::perf
