// What is wrong with a text before it is a resource.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>

#include "policy/resource/yaml.h"
#include "tests/unit/policy/documents.h"

namespace sluice::policy {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

TEST(ParserErrorTest, WrongYamlNamesTheLine) {
  EXPECT_THAT(ErrorOf("apiVersion: v1\nkind: [\n"), StartsWith("f.yaml:3: "));
  EXPECT_THAT(ErrorOf("a: b\n  c: d\n"), StartsWith("f.yaml:2: "));
  EXPECT_THAT(ErrorOf("a: b\n]\n"), StartsWith("f.yaml:2: "));
  EXPECT_THAT(ErrorOf("a: *nothing\n"), StartsWith("f.yaml:1: "));
}

TEST(ParserErrorTest, WhatYamlCppReadsForEverIsRefused) {
  EXPECT_THAT(ErrorOf("--- ,[0,\"]\n"), StartsWith("f.yaml:1: "));
  EXPECT_FALSE(YamlToJson("--- ,\n").ok());
}

TEST(ParserErrorTest, TextAfterTheEndOfADocument) {
  EXPECT_THAT(ErrorOf("{apiVersion: v1, kind: Namespace, metadata: {name: a}}\n{b: c}\n"), StartsWith("f.yaml:2: "));
  EXPECT_THAT(ErrorOf("'a'\n: b\n: c\n"), StartsWith("f.yaml:"));
}

TEST(ParserErrorTest, BytesThatHideText) {
  EXPECT_EQ(ErrorOf("a: b\n\x04\n"), "f.yaml:2: control character 0x04: write it as an escape in double quotes");
  EXPECT_THAT(ErrorOf(std::string("a: b\n\0c", 7)), StartsWith("f.yaml:2: control character 0x00"));
  EXPECT_THAT(ErrorOf("a: b\rc: d\n"), StartsWith("f.yaml:1: control character 0x0d"));
  for (const char* bad :
       {"\xff\xfe", "\x80", "\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82"}) {
    EXPECT_THAT(ErrorOf(std::string("a: b\nc: '") + bad + "'\n"),
                AllOf(StartsWith("f.yaml:2: "), HasSubstr("not UTF-8")));
  }
}

TEST(ParserErrorTest, DuplicateKeys) {
  EXPECT_EQ(ErrorOf("apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  labels: {}\n  name: b\n"),
            "f.yaml:6: duplicate key \"name\": it is already on line 4");
  EXPECT_THAT(ErrorOf("{a: 1, \"a\": 2}"), HasSubstr("duplicate key \"a\""));
}

TEST(ParserErrorTest, Keys) {
  EXPECT_THAT(ErrorOf("? [a]\n: b\n"), HasSubstr("a key must be a string"));
  EXPECT_THAT(ErrorOf("~: b\n"), HasSubstr("a key must be a string"));
  EXPECT_THAT(ErrorOf("\"a\\0b\": b\n"), HasSubstr("control character"));
  EXPECT_THAT(ErrorOf(std::string(kMaxYamlKeyBytes + 1, 'k') + ": b\n"), HasSubstr("a key of 501 bytes"));
  EXPECT_THAT(ErrorOf("a: {<<: text}\n"), HasSubstr("merges a map"));
}

TEST(ParserErrorTest, TagsAreRefused) {
  EXPECT_THAT(ErrorOf("a: !!binary aGk=\n"), AllOf(StartsWith("f.yaml:1: "), HasSubstr("unsupported tag")));
  EXPECT_THAT(ErrorOf("a: !mine {b: c}\n"), HasSubstr("unsupported tag"));
}

TEST(ParserErrorTest, TooLargeText) {
  const std::string error = ErrorOf(std::string(kMaxResourceBytes + 1, '\n'));
  EXPECT_THAT(error, AllOf(StartsWith("f.yaml: 33554433 bytes"), HasSubstr("at most 33554432")));
  EXPECT_THAT(Parse(std::string(kMaxResourceBytes, '\n')), IsEmpty());
}

TEST(ParserErrorTest, AliasBomb) {
  std::string text =
      "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    text += fmt::format("  a{}: &a{} [", i, i);
    for (int k = 0; k < 10; ++k) text += fmt::format("{}*a{}", k == 0 ? "" : ", ", i - 1);
    text += "]\n";
  }
  EXPECT_THAT(ErrorOf(text), AllOf(StartsWith("f.yaml:"), HasSubstr("too large")));
}

TEST(ParserErrorTest, AliasBombOfText) {
  std::string text = "a: &a \"" + std::string(1U << 20U, 'x') + "\"\nb: [";
  for (int i = 0; i < 200; ++i) text += "*a, ";
  EXPECT_THAT(ErrorOf(text + "]\n"), HasSubstr("too large"));
}

TEST(ParserErrorTest, MergeBomb) {
  std::string text = "a: &a {";
  for (int i = 0; i < 10000; ++i) text += fmt::format("k{}: v, ", i);
  text += "}\nb: {<<: [";
  for (int i = 0; i < 1000; ++i) text += "*a, ";
  EXPECT_THAT(ErrorOf(text + "]}\n"), HasSubstr("too large"));
}

// What yaml-cpp would read for seconds, and hold in hundreds of megabytes, is refused before it sees it.
TEST(ParserErrorTest, ManyBracketsAreRefusedAtOnce) {
  const auto seconds = [](const std::string& text, const std::string& expected) {
    const std::clock_t begin = std::clock();
    EXPECT_THAT(ErrorOf(text), HasSubstr(expected));
    return static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;  // of this process's CPU time
  };
  constexpr std::size_t kBytes = 9'000'000;
  // Measured by a text that is read and has half as many values as may be.
  std::string read = "[";
  while (read.size() < kMaxYamlNodes) read += "1,";
  const double longest = 5 * seconds(read + "1]", "f.yaml:1: ");
  const std::string too_large = "brackets, braces and commas in one document";
  const std::pair<std::string, std::string> kCases[] = {{"{", too_large},
                                                        {"[", "nested more than 40 deep"},
                                                        {"{a: ", too_large},
                                                        {"1,", "more than 4000000 values"},
                                                        {"{\"a\":1},", too_large}};
  for (const auto& [part, expected] : kCases) {
    std::string text = part == "1," || part.ends_with("},") ? "[" : "";
    while (text.size() < kBytes) text += part;
    EXPECT_LT(seconds(text, expected), longest) << part;
  }
  // Starts of documents inside of what is open do not begin anew.
  std::string text;
  while (text.size() < kBytes) text += std::string(1000, '{') + "\n---\n";
  EXPECT_LT(seconds(text, "nested more than 40 deep"), longest);
  EXPECT_THAT(ErrorOf("a: [\n---\nb]\n"), StartsWith("f.yaml:"));
}

TEST(ParserTest, ManyFlowDocumentsAreNotOneLargeOne) {
  constexpr std::size_t kDocuments = 25, kOfEach = kMaxYamlFlowIndicators / 20;  // they also count in comments
  std::string text;
  for (std::size_t i = 0; i < kDocuments; ++i) {
    text += fmt::format("---\n# {}\n{{apiVersion: v1, kind: Namespace, metadata: {{name: n{}}}}}\n",
                        std::string(kOfEach, ','), i);
  }
  EXPECT_EQ(Parse(text).size(), kDocuments);
}

TEST(ParserTest, LinesAreCountedOverDocuments) {
  EXPECT_THAT(ErrorOf("# one\n---\n# three\n--- # four\nkind: Nothing\n"), StartsWith("f.yaml:5:"));
  EXPECT_THAT(ErrorOf("---\r\na: |\r\n --- in it\r\n---\r\n{a: 1, a: 2}\r\n"), StartsWith("f.yaml:"));
  EXPECT_THAT(ErrorOf("a: 1\n---x\n"), StartsWith("f.yaml:"));
}

TEST(ParserErrorTest, AliasToItself) {
  EXPECT_THAT(ErrorOf("a: &a [*a]\n"), HasSubstr("an alias inside its own value"));
  EXPECT_THAT(ErrorOf("a: &a {<<: *a}\n"), HasSubstr("an alias inside its own value"));
}

TEST(ParserErrorTest, DeepNesting) {
  for (const char* open : {"[", "{a: ", "- "}) {
    std::string text;
    for (int i = 0; i < 100000; ++i) text += open;
    EXPECT_THAT(ErrorOf(text), AllOf(StartsWith("f.yaml:1: "), HasSubstr("nested more than 40 deep"))) << open;
  }
}

TEST(ParserErrorTest, OneBadDocumentFailsTheCall) {
  EXPECT_THAT(ErrorOf(Policy("  {}\n") + "---\nkind: Pod\n"), At(7, "document 2: apiVersion: missing"));
}

TEST(ParserErrorTest, MessagesArePrintableAndShort) {
  const std::string error = ErrorOf(Labelled("a: \"\\e[31m\\n" + std::string(100000, 'x') + "\""));
  EXPECT_LT(error.size(), 1100U);
  EXPECT_THAT(error, AllOf(testing::Not(HasSubstr("\x1b")), testing::Not(HasSubstr("\n"))));
}

}  // namespace
}  // namespace sluice::policy
