#include "kernel/bpf/preempt_counter.h"

#include <gtest/gtest.h>

#include <sstream>

namespace sluice::bpf {
namespace {

PreemptCounter Parse(const std::string& text) {
  std::istringstream symbols(text);
  return ParsePreemptCounter(symbols);
}

TEST(PreemptCounter, OfTheKernelsThatThereAre) {
  const std::string others = "ffffffff81000000 T _stext\nffffffffc0123000 t __preempt_count_x\t[module]\n";
  const PreemptCounter old =
      Parse(others + "000000000001fb20 A __preempt_count\nffffffff82a1c020 D __per_cpu_offset\n");
  EXPECT_EQ(old.per_cpu_offsets, 0xffffffff82a1c020U);
  EXPECT_EQ(old.counter, 0x1fb20U);
  const PreemptCounter hot = Parse(others + "0000000000035700 A pcpu_hot\nffffffff82a1c020 D __per_cpu_offset\n");
  EXPECT_EQ(hot.counter, 0x35700U);
}

TEST(PreemptCounter, IsUnknownWhereTheKernelDoesNotSay) {
  EXPECT_FALSE(Parse("").known());
  EXPECT_FALSE(Parse("ffffffff81000000 T _stext\nbad line\n\n").known());
  EXPECT_FALSE(Parse("000000000001fb20 A __preempt_count\n").known()) << "one of two is of no use";
  EXPECT_FALSE(Parse("ffffffff82a1c020 D __per_cpu_offset\n").known());
  EXPECT_FALSE(Parse("0000000000000000 A __preempt_count\n0000000000000000 D __per_cpu_offset\n").known()) << "hidden";
}

}  // namespace
}  // namespace sluice::bpf
