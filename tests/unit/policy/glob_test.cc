#include "policy/network/glob.h"

#include <gtest/gtest.h>

#include <regex>
#include <string>
#include <vector>

namespace sluice::policy {
namespace {

struct Case {
  std::string pattern;
  std::vector<std::string> matches;
  std::vector<std::string> others;
};

TEST(Glob, Cases) {
  const std::vector<Case> cases = {
      {"/usr/bin/psql", {"/usr/bin/psql"}, {"", "/usr/bin/psq", "/usr/bin/psql2", "/x/usr/bin/psql", "/usr/bin/PSQL"}},
      {"/usr/bin/*", {"/usr/bin/psql", "/usr/bin/"}, {"/usr/bin", "/usr/bin/perl/x", "/usr/sbin/psql", "/usr/bin/a/"}},
      {"/usr/*bin/*d", {"/usr/bin/d", "/usr/sbin/sshd", "/usr/bin/dd"}, {"/usr/local/bin/d", "/usr/bin/sshd2"}},
      {"/opt/app/**", {"/opt/app/x", "/opt/app/x/y/z", "/opt/app/"}, {"/opt/app", "/opt/apps/x"}},
      {"/opt/**/run", {"/opt/a/run", "/opt/a/b/run", "/opt//run"}, {"/opt/run", "/opt/a/run/x"}},
      {"**/psql", {"/psql", "/usr/bin/psql"}, {"/usr/bin/xpsql", "psql"}},
      {"**.sh", {"/a.sh", "/opt/x/b.sh", ".sh"}, {"/a.shx", "/ash"}},
      {"/usr/bin/python?.??",
       {"/usr/bin/python3.11"},
       {"/usr/bin/python3.1", "/usr/bin/python3.1/", "/usr/bin/python"}},
      {"/a***b", {"/ab", "/a/x/b"}, {"/a/x/c"}},
      {"/[ab]\\*{c}", {"/[ab]\\x{c}", "/[ab]\\{c}"}, {"/a*c", "/ax{c}"}},
      {"/\xc3\xa4?", {"/\xc3\xa4x"}, {"/\xc3\xa4\xc3\xa4", "/\xc3\xa4"}},
      {std::string("/a*\xff"), {"/a\xff", "/ab\xff"}, {"/a"}},
      {"", {""}, {"/"}},
      // Directories that are links on a merged /usr.
      {"/bin/curl",
       {"/bin/curl", "/usr/bin/curl"},
       {"/usr/local/bin/curl", "/usr/sbin/curl", "/opt/bin/curl", "usr/bin/curl"}},
      {"/sbin/*", {"/sbin/init", "/usr/sbin/init"}, {"/usr/bin/init"}},
      {"/lib/systemd/**", {"/lib/systemd/systemd", "/usr/lib/systemd/a/b"}, {"/usr/lib64/systemd/x"}},
      {"/lib64/ld*", {"/lib64/ld.so", "/usr/lib64/ld.so"}, {"/usr/lib/ld.so"}},
      {"/lib32/x", {"/usr/lib32/x"}, {"/usr/libx32/x"}},
      {"/libexec/x", {"/libexec/x"}, {"/usr/libexec/x"}},
      {"/bin", {"/bin"}, {"/usr/bin"}},
      {"/bin*/x", {"/bin/x", "/bins/x"}, {"/usr/bin/x"}},
      {"/usr/bin/curl", {"/usr/bin/curl"}, {"/bin/curl", "/usr/usr/bin/curl"}},
  };
  for (const Case& c : cases) {
    for (const std::string& path : c.matches) EXPECT_TRUE(GlobMatches(c.pattern, path)) << c.pattern << " " << path;
    for (const std::string& path : c.others) EXPECT_FALSE(GlobMatches(c.pattern, path)) << c.pattern << " " << path;
  }
}

TEST(Glob, LongRunsTakeNoLongTime) {
  const std::string path = "/" + std::string(510, 'a');
  std::string pattern = "/";
  while (pattern.size() < 509) pattern += "*a";
  EXPECT_TRUE(GlobMatches(pattern, path));
  EXPECT_FALSE(GlobMatches(pattern + "b", path));
}

std::vector<std::string> AllTexts(const std::string& alphabet, std::size_t longest) {
  std::vector<std::string> texts = {""};
  for (std::size_t i = 0; i < texts.size(); i++) {
    if (texts[i].size() == longest) break;
    for (const char c : alphabet) texts.push_back(texts[i] + c);
  }
  return texts;
}

// The same pattern for another engine.
std::regex AsRegex(const std::string& pattern) {
  std::string text;
  for (std::size_t i = 0; i < pattern.size(); i++) {
    if (pattern[i] == '*' && i + 1 < pattern.size() && pattern[i + 1] == '*') {
      text += "[ab/]*";
      i++;
    } else {
      text += pattern[i] == '*' ? "[^/]*" : pattern[i] == '?' ? "[^/]" : std::string(1, pattern[i]);
    }
  }
  return std::regex(text);
}

TEST(Glob, AsARegularExpressionDoes) {
  const std::vector<std::string> paths = AllTexts("ab/", 5);
  for (const std::string& pattern : AllTexts("a/*?", 4)) {
    const std::regex regex = AsRegex(pattern);
    for (const std::string& path : paths) {
      ASSERT_EQ(GlobMatches(pattern, path), std::regex_match(path, regex)) << pattern << " " << path;
    }
  }
}

}  // namespace
}  // namespace sluice::policy
