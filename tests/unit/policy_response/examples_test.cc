// Every file of deploy/examples/responses, and the example of docs/responses.md, is understood.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "policy/response/parser.h"

namespace sluice::policy::response {
namespace {

std::string PathOf(const std::string& name) {
  const char* const source = std::getenv("SLUICE_SOURCE_DIR");
  return std::string(source == nullptr ? "." : source) + "/" + name;
}

std::string TextOf(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

void ExpectOneResponse(const std::string& name, const std::string& text) {
  const ParsedText parsed = ParseText(name, text, {.more_kinds = KindParsers()});
  ASSERT_TRUE(parsed.problems.empty()) << parsed.problems.front().ToString(name);
  ASSERT_EQ(parsed.resources.size(), 1U) << name;
  EXPECT_NE(parsed.resources.front().response, nullptr) << name;
}

TEST(ResponseExamples, FilesAreUnderstood) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(PathOf("deploy/examples/responses"))) {
    ExpectOneResponse(entry.path(), TextOf(entry.path()));
    ++files;
  }
  EXPECT_GE(files, 1);
}

TEST(ResponseExamples, ThePagesExampleIsUnderstood) {
  const std::string page = TextOf(PathOf("docs/responses.md"));
  const std::size_t begin = page.find("```yaml\n");
  ASSERT_NE(begin, std::string::npos);
  ExpectOneResponse("docs/responses.md", page.substr(begin + 8, page.find("```", begin + 8) - begin - 8));
}

// A list of the page is a table of what there is: each source and field of the format is in it.
TEST(ResponseExamples, ThePageNamesEverySource) {
  const std::string page = TextOf(PathOf("docs/responses.md"));
  for (const SourceInfo& source : kSources)
    EXPECT_NE(page.find("`" + std::string(source.name) + "`"), std::string::npos) << source.name;
}

}  // namespace
}  // namespace sluice::policy::response
