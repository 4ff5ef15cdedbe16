// Checks program sizes against the limits in budget.txt, so that growth is a decision.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iostream>

#include "kernel/bpf/testing/program_size.h"
#include "tests/support/program_fixture.h"

namespace sluice::test {
namespace {

TEST(Budget, ProgramsStayBelowTheirCeilings) {
  auto fixture = ProgramFixture::Create({.interfaces = 1});
  ASSERT_TRUE(fixture.ok()) << fixture.status();
  const char* source = std::getenv("SLUICE_SOURCE_DIR");
  ASSERT_NE(source, nullptr) << "run by ctest, or set SLUICE_SOURCE_DIR";
  std::ifstream budget(std::string(source) + "/tests/bpf/budget.txt");
  std::string program;
  unsigned instructions = 0, verified = 0;
  int checked = 0;
  while (budget >> program) {
    if (program.starts_with('#')) {
      std::getline(budget, program);
      continue;
    }
    ASSERT_TRUE(budget >> instructions >> verified) << program;
    const auto size = bpf::ReadProgramSize((*fixture)->datapath().object().program_fd(program));
    ASSERT_TRUE(size.ok()) << size.status();
    std::cout << program << ": " << size->instructions << " instructions (ceiling " << instructions << "), "
              << size->verified << " verified (ceiling " << verified << ")\n";
    EXPECT_LE(size->instructions, instructions) << program;
    EXPECT_LE(size->verified, verified) << program;
    EXPECT_GT(size->verified, 0u) << program;
    ++checked;
  }
  EXPECT_EQ(checked, 3);
}

}  // namespace
}  // namespace sluice::test
