#include "perf/program/rounds.h"

#include <benchmark/benchmark.h>

#include <cmath>

#include "base/log.h"
#include "perf/orderly_end.h"

namespace sluice::perf {
namespace {

constexpr char kInstructionCounter[] = "instructions";

void Sample(const Measurement& one, Status* status, benchmark::State* state) {
  for (auto _ : *state) {
    if (status->ok()) *status = OrderlyEnd::Check();
    const StatusOr<Cost> cost = status->ok() ? one.measure() : StatusOr<Cost>(*status);
    if (!cost.ok()) {
      if (status->ok()) *status = Annotate(cost.status(), one.row.name);
      state->SkipWithError("see the status");
      return;
    }
    state->SetIterationTime(cost->nanoseconds * one.packets * 1e-9);
    if (cost->instructions) state->counters[kInstructionCounter] = *cost->instructions;
  }
}

// Google Benchmark reports in the order of registration.
class Collector : public benchmark::BenchmarkReporter {
 public:
  explicit Collector(std::vector<Measurement>* measurements) : measurements_(*measurements) {}
  void Rewind() { next_ = 0; }

  bool ReportContext(const Context& /*context*/) override { return true; }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      Measurement& one = measurements_.at(next_++);
      if (run.error_occurred) continue;
      const double picoseconds = std::round(run.real_accumulated_time * 1e12 / one.packets);  // not 26.000000000000004
      one.row.samples.push_back(picoseconds / 1000);
      if (const auto counted = run.counters.find(kInstructionCounter); counted != run.counters.end())
        one.row.instructions.samples.push_back(counted->second.value);
    }
  }

 private:
  std::vector<Measurement>& measurements_;
  std::size_t next_ = 0;
};

// How many samples a row has: a sample may come without instructions.
struct Taken {
  std::size_t samples = 0, instructions = 0;
};

std::vector<Taken> TakenSoFar(const std::vector<Measurement>& measurements) {
  std::vector<Taken> taken;
  for (const Measurement& one : measurements)
    taken.push_back({one.row.samples.size(), one.row.instructions.samples.size()});
  return taken;
}

void DropRound(const std::vector<Taken>& before, std::vector<Measurement>* measurements) {
  for (std::size_t i = 0; i < before.size(); ++i) {
    Row& row = (*measurements)[i].row;
    row.samples.resize(before[i].samples);
    row.instructions.samples.resize(before[i].instructions);
  }
}

}  // namespace

Status RunRounds(int rounds, std::vector<Measurement>* measurements, QuietCheck* quiet) {
  Status status;
  for (const Measurement& one : *measurements) {
    benchmark::RegisterBenchmark(one.row.name.c_str(),
                                 [&one, &status](benchmark::State& state) { Sample(one, &status, &state); })
        ->UseManualTime()
        ->Iterations(1);
  }
  Collector collector(measurements);
  for (int round = 0; round < rounds && status.ok(); ++round) {
    LogInfo("round {} of {}: {} rows", round + 1, rounds, measurements->size());
    collector.Rewind();
    const std::vector<Taken> before = TakenSoFar(*measurements);
    quiet->BeginRound();
    benchmark::RunSpecifiedBenchmarks(&collector);
    if (!status.ok() || !quiet->MustRepeat(round)) continue;
    DropRound(before, measurements);
    --round;
  }
  quiet->Finish();
  benchmark::ClearRegisteredBenchmarks();
  return status;
}

}  // namespace sluice::perf
