// Links in the pages lead to an existing file and heading, and tests named in the pages exist.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <re2/re2.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace sluice {
namespace {

namespace fs = std::filesystem;

fs::path Source() {
  const char* const source = std::getenv("SLUICE_SOURCE_DIR");
  return source == nullptr ? "." : source;
}

std::string Read(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// Files of the source tree, without build directories and other tools' directories.
std::vector<fs::path> FilesThatEnd(const std::string& end) {
  std::vector<fs::path> files;
  for (auto it = fs::recursive_directory_iterator(Source()); it != fs::recursive_directory_iterator(); ++it) {
    const std::string name = it->path().filename();
    if (it->is_directory() && (name.starts_with("build") || name == ".git" || name == "node_modules"))
      it.disable_recursion_pending();
    if (it->is_regular_file() && name.ends_with(end)) files.push_back(it->path());
  }
  return files;
}

// The anchor of a heading, as viewers generate it.
std::string Anchor(std::string heading) {
  RE2::GlobalReplace(&heading, R"(\[([^\]]*)\]\([^)]*\))", R"(\1)");
  std::string anchor;
  for (const char c : heading) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || c == '-' || c == '_') anchor += static_cast<char>(std::tolower(byte));
    if (c == ' ') anchor += '-';
  }
  return anchor;
}

std::set<std::string> Anchors(const std::string& page) {
  std::set<std::string> anchors;
  std::istringstream lines(page);
  bool code = false;
  for (std::string line, heading; std::getline(lines, line);) {
    if (line.starts_with("```")) code = !code;
    if (!code && RE2::FullMatch(line, "#+ (.*)", &heading)) anchors.insert(Anchor(heading));
  }
  return anchors;
}

TEST(DocsLinks, LeadSomewhere) {
  const auto pages = FilesThatEnd(".md");
  EXPECT_GT(pages.size(), 20U);
  for (const fs::path& page : pages) {
    const std::string text = Read(page);
    re2::StringPiece rest(text);
    for (std::string link; RE2::FindAndConsume(&rest, R"(\]\(([^)\s]+)\))", &link);) {
      if (link.starts_with("http")) continue;
      const auto hash = link.find('#');
      const fs::path target = hash == 0 ? page : page.parent_path() / link.substr(0, hash);
      EXPECT_TRUE(fs::exists(target)) << page << " links to " << link;
      if (hash == std::string::npos || target.extension() != ".md") continue;
      EXPECT_TRUE(Anchors(Read(target)).contains(link.substr(hash + 1))) << page << " links to " << link;
    }
  }
}

TEST(DocsTests, Exist) {
  std::set<std::string> tests, suites;
  for (const fs::path& file : FilesThatEnd("_test.cc")) {
    const std::string text = Read(file);
    re2::StringPiece rest(text);
    for (std::string suite, name; RE2::FindAndConsume(&rest, R"(\nTEST(?:_F|_P)?\((\w+), (\w+)\))", &suite, &name);) {
      tests.insert(fmt::format("{}.{}", suite, name));
      suites.insert(suite);
    }
  }
  std::size_t found = 0;
  for (const fs::path& page : FilesThatEnd(".md")) {
    std::string text = Read(page);
    RE2::GlobalReplace(&text, R"(\*\*)", "");   // bold
    RE2::GlobalReplace(&text, R"(\\\*)", "*");  // in tables
    re2::StringPiece rest(text);
    // In code: Suite.Name, Suite.Begin*, Suite.*
    for (std::string suite, name, star;
         RE2::FindAndConsume(&rest, R"([` *'=:]([A-Z]\w+)\.([A-Z]\w+)?(\*?))", &suite, &name, &star);) {
      if (name.empty() && star.empty()) continue;
      ++found;
      const std::string full = fmt::format("{}.{}", suite, name);
      const auto first = tests.lower_bound(full);
      const bool exists = name.empty()   ? suites.contains(suite)
                          : star.empty() ? tests.contains(full)
                                         : first != tests.end() && first->starts_with(full);
      EXPECT_TRUE(exists) << page << " names the test " << full << star;
    }
  }
  EXPECT_GT(found, 50U);
}

}  // namespace
}  // namespace sluice
