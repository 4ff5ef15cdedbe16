#include "base/printable.h"

#include <gtest/gtest.h>

#include <set>

namespace sluice {
namespace {

constexpr char kCsi8[] = "\xc2\x9b";               // U+009B, what ESC [ is in eight bits
constexpr char kOverride[] = "\xe2\x80\xae";       // U+202E
constexpr char kIsolate[] = "\xe2\x81\xa6";        // U+2066
constexpr char kTag[] = "\xf3\xa0\x80\xa0";        // U+E0020
constexpr char kLineSeparator[] = "\xe2\x80\xa8";  // U+2028

TEST(Printable, WhatATerminalObeysOrHidesIsEscaped) {
  EXPECT_EQ(Printable("\x1b[31mred\x07"), "\\x1b[31mred\\x07");
  EXPECT_EQ(Printable("a\nb\r\tc\x7f"), "a\\x0ab\\x0d\\x09c\\x7f");
  EXPECT_EQ(Printable(std::string_view("a\0b", 3)), "a\\x00b");
  EXPECT_EQ(Printable(kCsi8), "\\u009b");
  EXPECT_EQ(Printable(std::string("a") + kOverride + "b" + kIsolate), "a\\u202eb\\u2066");
  EXPECT_EQ(Printable(kLineSeparator), "\\u2028");
  EXPECT_EQ(Printable(kTag), "\\U000e0020");
  EXPECT_EQ(Printable("a\xef\xb8\x80\xef\xb8\x8f"), "a\\ufe00\\ufe0f");
  EXPECT_EQ(Printable("a\xf0\x9b\xb2\xa0"), "a\\U0001bca0");
  EXPECT_EQ(Printable("\xff\xc0\x80"), "\\xff\\xc0\\x80");
}

TEST(Printable, OtherTextStays) {
  const std::string text =
      "/opt/\xc3\xa4pp \xe6\x97\xa5\xe6\x9c\xac \xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d \xf0\x9f\x90\xb3 \"C:\\x\"";
  EXPECT_EQ(Printable(text), text);
  EXPECT_EQ(Printable(Printable("\x1b\\x1b")), Printable("\x1b\\x1b"));
}

TEST(Printable, LinesStayLines) { EXPECT_EQ(PrintableLines("a\nb\x1b\n"), "a\nb\\x1b\n"); }

TEST(Printable, DifferentWordsNeverLookAlike) {
  EXPECT_EQ(PrintableWord("/usr/bin/psql"), "/usr/bin/psql");
  EXPECT_EQ(PrintableWord("x y"), "\"x y\"");
  EXPECT_EQ(PrintableWord(""), "\"\"");
  EXPECT_EQ(PrintableWord("x y\" \"z w"), R"("x y\" \"z w")");
  EXPECT_EQ(PrintableWord("\\x1b"), R"("\\x1b")");
  EXPECT_EQ(PrintableWord("\x1b"), R"("\x1b")");
  // Each list of words gives one line; all lines differ.
  const std::vector<std::vector<std::string>> lists = {{"x y\" \"z w"},
                                                       {"x y", "z w"},
                                                       {"x", "y", "z", "w"},
                                                       {"\"x y\"", "\"z w\""},
                                                       {"x y", "\"z w"},
                                                       {"\\x20"},
                                                       {" "},
                                                       {""},
                                                       {"", ""},
                                                       {"\\"},
                                                       {"\\\\"},
                                                       {"\""},
                                                       {"\\\""},
                                                       {"\x1b"},
                                                       {"\\x1b"},
                                                       {"\"\\x1b\""},
                                                       {"a\nb"},
                                                       {"a", "b"},
                                                       {"a\\nb"},
                                                       {"\xc2\x85"},
                                                       {"\\u0085"}};
  std::set<std::string> lines;
  for (const auto& list : lists) {
    std::string line;
    for (const std::string& word : list) line += " " + PrintableWord(word);
    EXPECT_TRUE(lines.insert(line).second) << line;
  }
}

TEST(Printable, JsonMeansTheSame) {
  EXPECT_EQ(PrintableJson(std::string("{\"a\":\"") + kCsi8 + kOverride + "\xc3\xa4\"}"),
            "{\"a\":\"\\u009b\\u202e\xc3\xa4\"}");
  EXPECT_EQ(PrintableJson(kTag), "\\udb40\\udc20");
  EXPECT_EQ(PrintableJson("{\"a\":\"\\u001b\"}\n"), "{\"a\":\"\\u001b\"}\n");
}

}  // namespace
}  // namespace sluice
