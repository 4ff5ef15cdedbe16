// Every file of deploy/examples/kubearmor-policies is understood, and compiles.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "policy/lsm/compile.h"
#include "policy/lsm/parser.h"
#include "policy/lsm/peer_policies.h"

namespace sluice::policy::lsm {
namespace {

TEST(LsmExamples, Compile) {
  const char* const source = std::getenv("SLUICE_SOURCE_DIR");
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(source == nullptr ? "." : source) +
                                                               "/deploy/examples/kubearmor-policies")) {
    const std::string name = entry.path();
    std::ifstream file(name);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const ParsedText parsed = ParseText(name, text, {.more_kinds = KindParsers()});
    ASSERT_TRUE(parsed.problems.empty()) << parsed.problems.front().ToString(name);
    EXPECT_TRUE(parsed.warnings.empty()) << parsed.warnings.front().ToString(name);
    ASSERT_EQ(parsed.resources.size(), 1U) << name;
    const auto compiled = Compile({{.key = "shop/web", .policies = {parsed.resources[0].lsm}, .postures = {}}}, {});
    EXPECT_TRUE(compiled.ok()) << name << ": " << compiled.status();
    EXPECT_TRUE(PeerPoliciesOf(*parsed.resources[0].lsm).ok()) << name;
    ++files;
  }
  EXPECT_GE(files, 1);
}

}  // namespace
}  // namespace sluice::policy::lsm
