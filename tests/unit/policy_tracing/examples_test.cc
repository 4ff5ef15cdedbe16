// Every file of deploy/examples/tracing-policies is understood, and compiles.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "policy/tracing/compile.h"
#include "tests/unit/policy_tracing/specs.h"

namespace sluice::policy::tracing {
namespace {

TEST(TracingExamples, Compile) {
  const char* const source = std::getenv("SLUICE_SOURCE_DIR");
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(source == nullptr ? "." : source) +
                                                               "/deploy/examples/tracing-policies")) {
    const std::string name = entry.path();
    std::ifstream file(name);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const ParsedText parsed = ParseText(name, text, {.more_kinds = KindParsers(Reading::kParsed)});
    EXPECT_TRUE(parsed.problems.empty()) << parsed.problems.front().ToString(name);
    ASSERT_EQ(parsed.resources.size(), 1U) << name;
    const Compilation compiled = Compile(parsed.resources[0].tracing);
    EXPECT_NE(compiled.policy, nullptr) << name << ": " << compiled.problems.front().what;
    ++files;
  }
  EXPECT_GE(files, 1);
}

}  // namespace
}  // namespace sluice::policy::tracing
