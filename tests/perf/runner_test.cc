// Test runs of the suite `program` with a counter, here a software counter that works on any machine.
#include "perf/program/runner.h"

#include <gtest/gtest.h>
#include <linux/perf_event.h>

#include "perf/program/frame.h"
#include "tests/support/environment.h"

namespace sluice::perf {
namespace {

ProgramRun BareRun(const Runner& runner) {
  ProgramRun run;
  run.program_fd = runner.floor_fd("xdp_bare");
  run.xdp = true;
  run.input.frame = MakeFrame({.source = policy::Address::Parse("10.1.0.1").value(),
                               .destination = policy::Address::Parse("10.0.0.2").value()});
  run.input.repeat = 200000;
  return run;
}

TEST(BenchRunner, ACounterCountsTheTestRun) {
  SL_REQUIRE_BPF();
  auto clock = EventCounter::Open(
      {.name = "nanoseconds of the thread", .type = PERF_TYPE_SOFTWARE, .config = PERF_COUNT_SW_TASK_CLOCK});
  ASSERT_TRUE(clock.ok()) << clock.status();
  const auto runner = Runner::Create({.instructions = &*clock});
  ASSERT_TRUE(runner.ok()) << runner.status();
  const auto output = runner->Run(BareRun(*runner));
  ASSERT_TRUE(output.ok()) << output.status();
  EXPECT_GT(output->cost.nanoseconds, 0);
  ASSERT_TRUE(output->cost.instructions.has_value());
  // For one packet, not for all; every program takes more than a nanosecond.
  EXPECT_GT(*output->cost.instructions, 1);
  EXPECT_LT(*output->cost.instructions, 200000);
}

TEST(BenchRunner, WithoutACounterThereIsNoFigure) {
  SL_REQUIRE_BPF();
  const auto runner = Runner::Create();
  ASSERT_TRUE(runner.ok()) << runner.status();
  const auto output = runner->Run(BareRun(*runner));
  ASSERT_TRUE(output.ok()) << output.status();
  EXPECT_GT(output->cost.nanoseconds, 0);
  EXPECT_FALSE(output->cost.instructions.has_value());
}

}  // namespace
}  // namespace sluice::perf
