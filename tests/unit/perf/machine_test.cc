// The description of the machine.
#include "perf/machine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::perf {
namespace {

TEST(BenchMachine, WhatDoesNotFitIsSaidWithBothFigures) {
  EXPECT_EQ(MissingMemory(1), "");
  EXPECT_THAT(MissingMemory(1e15),
              testing::MatchesRegex("may need 1000000\\.0 GB, and [0-9]+\\.[0-9] GB of memory are free"));
}

}  // namespace
}  // namespace sluice::perf
