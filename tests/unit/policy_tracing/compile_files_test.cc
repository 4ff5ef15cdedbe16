// People's files: each one compiles, or is refused by a sentence that names the field. SLUICE_CORPORA: see
// page_test.cc.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/unit/policy_tracing/compiled_text.h"

namespace sluice::policy::tracing {
namespace {

// What becomes of the TracingPolicies of one file: "compiles", or one line for each problem.
std::vector<std::string> CompileFile(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  std::vector<std::string> results;
  const auto error = ParseYaml(text.str(), [&](const YamlNode& root, int) {
    const YamlNode* kind = root.Find("kind");
    if (kind == nullptr || !kind->scalar.starts_with("TracingPolicy")) return;
    const Document document{.origin = path.native()};
    const auto policy = ParseTracingPolicy(Field(document, root), {.ns = "", .name = "p"});
    if (!policy.ok()) return;  // page_test.cc says why
    const Compilation compiled = Compile(*policy, OptionsOfTests());
    if (compiled.policy != nullptr) results.emplace_back("compiles");
    for (const Problem& problem : compiled.problems) results.push_back(problem.what);
  });
  if (error) results.clear();  // a template for another tool
  return results;
}

TEST(TracingFiles, CompileOrAreRefusedByName) {
  const char* const corpora = std::getenv("SLUICE_CORPORA");
  if (corpora == nullptr)
    GTEST_SKIP() << "SLUICE_CORPORA names no directory with tetragon/: people's files are not read";
  int compiled = 0, refused = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(std::filesystem::path(corpora) / "tetragon")) {
    if (!entry.is_regular_file() || entry.path().extension() != ".yaml") continue;
    const std::vector<std::string> results = CompileFile(entry.path());
    if (results.empty()) continue;
    const bool compiles = std::find(results.begin(), results.end(), "compiles") != results.end();
    ++(compiles ? compiled : refused);
    if (compiles) continue;
    for (const std::string& problem : results) {
      EXPECT_TRUE(problem.starts_with("spec.")) << entry.path() << ": " << problem;
      EXPECT_NE(problem.find("Sluice does not enforce"), std::string::npos) << entry.path() << ": " << problem;
    }
  }
  EXPECT_GE(compiled, 43);
  EXPECT_LE(refused, 18);
}

}  // namespace
}  // namespace sluice::policy::tracing
