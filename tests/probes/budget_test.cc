// Checks sizes of the sensors' programs against the limits in budget.txt.
#include <cstdlib>
#include <fstream>
#include <iostream>

#include "kernel/bpf/testing/program_size.h"
#include "tests/probes/sensor_test.h"

namespace sluice::test {
namespace {

class ProbeBudget : public testing::TestWithParam<bpf::ProcessBackEnd> {};

TEST_P(ProbeBudget, ProgramsStayBelowTheirCeilings) {
  SL_REQUIRE_BPF();
  if (const std::string missing = MissingForBackEnd(GetParam()); !missing.empty()) GTEST_SKIP() << missing;
  const auto probes = bpf::ProcessProbes::Start({.back_end = GetParam()}, [](const void*, std::size_t) {});
  ASSERT_TRUE(probes.ok()) << probes.status();
  const char* source = std::getenv("SLUICE_SOURCE_DIR");
  ASSERT_NE(source, nullptr) << "run by ctest, or set SLUICE_SOURCE_DIR";
  std::ifstream budget(std::string(source) + "/tests/probes/budget.txt");
  std::string program;
  unsigned instructions = 0, verified = 0;
  int checked = 0;
  std::getline(budget, program);
  while (budget >> program >> instructions >> verified) {
    const int fd = (*probes)->program_fd(program);
    if (fd < 0) continue;  // belongs to the other back end
    const auto size = bpf::ReadProgramSize(fd);
    ASSERT_TRUE(size.ok()) << size.status();
    std::cout << program << ": " << size->instructions << " instructions (ceiling " << instructions << "), "
              << size->verified << " verified (ceiling " << verified << ")\n";
    EXPECT_LE(size->instructions, instructions) << program;
    EXPECT_LE(size->verified, verified) << program;
    ++checked;
  }
  EXPECT_EQ(checked, 4);
}

SL_FOR_EACH_BACK_END(ProbeBudget);

}  // namespace
}  // namespace sluice::test
