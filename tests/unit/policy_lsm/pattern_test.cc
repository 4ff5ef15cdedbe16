// Patterns of paths: what they match, and which are refused.
#include "policy/lsm/path_pattern.h"

#include <gtest/gtest.h>

namespace sluice::policy::lsm {
namespace {

struct PatternCase {
  std::string pattern;
  std::vector<std::string> matches;
  std::vector<std::string> others;
};

TEST(LsmPattern, MatchesWholePaths) {
  const std::vector<PatternCase> cases = {
      {"/usr/bin/apt*", {"/usr/bin/apt", "/usr/bin/apt-get"}, {"/usr/bin/ap", "/usr/bin/apt/get", "/bin/usr/bin/apt"}},
      {"/*/nc", {"/bin/nc"}, {"/nc", "/usr/bin/nc", "//nc"}},
      {"/**/nc", {"/bin/nc", "/usr/bin/nc"}, {"/nc", "/bin/ncat"}},
      {"/home/*/.ssh/**", {"/home/a/.ssh/id", "/home/a/.ssh/b/c"}, {"/home/a/.ssh/", "/home/a/b/.ssh/id"}},
      {"/tmp/*", {"/tmp/a"}, {"/tmp/", "/tmp/a/", "/tmp/a/b"}},
      {"/**/.git/", {"/srv/.git/"}, {"/srv/.git", "/srv/.git/config"}},
      {"/usr/lib/python?/a",
       {"/usr/lib/python3/a"},
       {"/usr/lib/python/a", "/usr/lib/python//a", "/usr/lib/python3.1/a"}},
      {"/a[0-9x]", {"/a0", "/ax"}, {"/a", "/ab", "/a00"}},
      {"/a[^0-9]", {"/ab", "/a/"}, {"/a5", "/a"}},
      {"/a[]-]", {"/a]", "/a-"}, {"/ab"}},
      {"/{bin,sbin}/{a,b*}", {"/bin/a", "/sbin/b", "/sbin/bc"}, {"/bin/c", "/lib/a", "/bin/ac"}},
      {"/{,usr/}bin/{l{s,n},cat}", {"/bin/ls", "/usr/bin/ln", "/usr/bin/cat"}, {"/usr/bin/l", "/usr//bin/ls"}},
      {"/a\\*b", {"/a*b"}, {"/axb"}},
      {"/a,b", {"/a,b"}, {"/a"}},
      {"**.log", {"/a.log", "/a/b.log"}, {"/a.logs"}},
      {"/a***b", {"/ab", "/a/b"}, {"/a"}},
  };
  for (const PatternCase& one : cases) {
    const auto pattern = PathPattern::Parse(one.pattern);
    ASSERT_TRUE(pattern.ok()) << one.pattern << ": " << pattern.status();
    EXPECT_TRUE(pattern->CanMatch()) << one.pattern;
    for (const std::string& path : one.matches) EXPECT_TRUE(pattern->Matches(path)) << one.pattern << " " << path;
    for (const std::string& path : one.others) EXPECT_FALSE(pattern->Matches(path)) << one.pattern << " " << path;
  }
}

TEST(LsmPattern, KnowsItsBeginning) {
  const auto bytes = [](std::string_view text) { return PathPattern::Parse(text)->literal_bytes(); };
  EXPECT_EQ(bytes("/etc/passwd"), 11U);
  EXPECT_EQ(bytes("/etc/*"), 5U);
  EXPECT_EQ(bytes("/etc\\*/a?"), 7U);
  EXPECT_EQ(bytes("/etc/{a,bc}?"), 6U);  // of the shorter one
  EXPECT_EQ(bytes("**"), 0U);
}

TEST(LsmPattern, SaysWhetherItCanMatch) {
  for (const char* text : {"dbus-daemon", "^/proc/*/maps$", "*.log", "?a", "[a-z]/b"}) {
    EXPECT_FALSE(PathPattern::Parse(text)->CanMatch()) << text;
  }
  for (const char* text : {"/a", "**", "{a,/b}", "[/]b", "*/a"})
    EXPECT_TRUE(PathPattern::Parse(text)->CanMatch()) << text;
}

TEST(LsmPattern, RefusesWhatIsNone) {
  const auto error = [](std::string_view text) {
    const auto pattern = PathPattern::Parse(text);
    return pattern.ok() ? std::string("no error") : Message(pattern.status());
  };
  EXPECT_EQ(error(""), "is empty, and would match nothing");
  EXPECT_EQ(error("/{a,b"), "\"{\" has no \"}\" after it");
  EXPECT_EQ(error("/a}"), "\"}\" has no \"{\" before it: write \"\\}\" for the character itself");
  EXPECT_EQ(error("/a\\}"), "no error");
  EXPECT_EQ(error("/[a"), "\"[\" has no \"]\" after it");
  EXPECT_EQ(error("/[]"), "\"[\" has no \"]\" after it");
  EXPECT_EQ(error("/[z-a]"), "the range \"z-a\" is reversed");
  EXPECT_EQ(error("/a\\"), "ends with \"\\\", which needs a character after it");
  EXPECT_EQ(error("/" + std::string(254, 'a')), "no error");
  EXPECT_EQ(error("/" + std::string(255, 'a')), "256 bytes: at most 255 are possible");
  const std::string eight = "{a,b,c,d,e,f,g,h}";
  EXPECT_EQ(error("/" + eight + eight), "no error");
  EXPECT_EQ(error("/" + eight + eight + "{a,b}"), "its braces stand for more than 64 patterns: write several rules");
  std::string runs;
  for (int i = 0; i < 16; ++i) runs += "/*";
  EXPECT_EQ(error(runs), "no error");
  EXPECT_EQ(error(runs + "/*"), "has more than 16 \"*\"");
}

}  // namespace
}  // namespace sluice::policy::lsm
