#include "telemetry/process/redaction.h"

#include <gtest/gtest.h>

#include <ctime>

namespace sluice::telemetry {
namespace {

using Words = std::vector<std::string>;

// The whole command line after redaction.
Words Redact(const Words& words, const Redaction::Options& options = {}) {
  const auto redaction = Redaction::Make(options);
  EXPECT_TRUE(redaction.ok()) << redaction.status();
  std::string argument0 = words.front();
  Words arguments(words.begin() + 1, words.end());
  (*redaction)->Apply(&argument0, &arguments);
  arguments.insert(arguments.begin(), argument0);
  return arguments;
}

TEST(Redaction, WhatCommonlyIsASecretIsTakenOut) {
  const struct {
    Words words, expected;
  } cases[] = {
      {{"x", "--password=hunter2"}, {"x", "--password=*****"}},
      {{"x", "--password=two words"}, {"x", "--password=*****"}},
      {{"x", "--password", "hunter2", "--port", "1"}, {"x", "--password", "*****", "--port", "1"}},
      {{"x", "--password", "two words", "y"}, {"x", "--password", "*****", "y"}},
      {{"x", "--db-passwd", "a", "--api-key", "b"}, {"x", "--db-passwd", "*****", "--api-key", "*****"}},
      {{"env", "PGPASSWORD=a", "AWS_SECRET_ACCESS_KEY=b", "psql"},
       {"env", "PGPASSWORD=*****", "AWS_SECRET_ACCESS_KEY=*****", "psql"}},
      {{"sh", "-c", "PGPASSWORD=a psql -h db"}, {"sh", "-c", "PGPASSWORD=***** psql -h db"}},
      {{"sh", "-c", "x --token abc y"}, {"sh", "-c", "x --token ***** y"}},
      {{"curl", "-H", "Authorization: Bearer abc.def"}, {"curl", "-H", "Authorization: Bearer *****"}},
      {{"curl", "-H", "X-Auth-Token: abc"}, {"curl", "-H", "X-Auth-Token: *****"}},
      {{"curl", "-u", "joe:secret", "https://joe:secret@h/p?access_token=t&x=1"},
       {"curl", "-u", "joe:*****", "https://joe:*****@h/p?access_token=*****&x=1"}},
      {{"curl", "-d", R"({"password": "abc", "user": "joe"})"},
       {"curl", "-d", R"({"password": "*****", "user": "joe"})"}},
      {{"mysql", "-u", "root", "-phunter2", "db"}, {"mysql", "-u", "root", "-p*****", "db"}},
      {{"sshpass", "-p", "secret", "ssh", "h"}, {"sshpass", "-p", "*****", "ssh", "h"}},
      {{"x", "eyJhbGciOi.eyJzdWIi.c2lnbmF0"}, {"x", "*****"}},
      {{"x", "AKIAIOSFODNN7EXAMPLE"}, {"x", "*****"}},
      {{"x", "--private-key=-----BEGIN PRIVATE KEY-----\nMIIE\nabc=\n-----END PRIVATE KEY-----\n"},
       {"x", "--private-key=*****"}},
      {{"x", "--private-key", "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc=\n-----END RSA PRIVATE KEY-----\n", "y"},
       {"x", "--private-key", "-----BEGIN RSA PRIVATE KEY-----*****-----END RSA PRIVATE KEY-----\n", "y"}},
      {{"x", "-----BEGIN PRIVATE KEY-----\nMIIE", "y"}, {"x", "-----BEGIN PRIVATE KEY-----*****", "y"}},
      {{"x", "--password", "one\ntwo", "y"}, {"x", "--password", "*****", "y"}},
      {{"env", "DB_PASSWORD=ab,cd", "A_TOKEN=two words", "B_TOKEN=it's; \"so\"", "psql"},
       {"env", "DB_PASSWORD=*****", "A_TOKEN=*****", "B_TOKEN=*****", "psql"}},
      {{"sh", "-c", "DB_PASSWORD=ab,cd psql"}, {"sh", "-c", "DB_PASSWORD=***** psql"}},
      {{"bash", "-lc", R"(x --password="a b" --token 'c d' --secret "e \" f" g)"},
       {"bash", "-lc", R"(x --password="*****" --token '*****' --secret "*****" g)"}},
      {{"curl", "-d", R"({"password": "a, \"b\" c", "user": "joe"})"},
       {"curl", "-d", R"({"password": "*****", "user": "joe"})"}},
      {{"sh", "-c", R"(curl -d "{\"token\": \"a,b c\", \"user\": 1}")"},
       {"sh", "-c", R"(curl -d "{\"token\": \"*****\", \"user\": 1}")"}},
      {{"curl", "-H", "Authorization: ApiKey abc def"}, {"curl", "-H", "Authorization: *****"}},
      {{"curl", "-u", "joe:two words"}, {"curl", "-u", "joe:*****"}},
      {{"mysql", "-e", "select 1", "-ptwo words"}, {"mysql", "-e", "select 1", "-p*****"}},
      {{"sshpass", "-p", "two words", "ssh"}, {"sshpass", "-p", "*****", "ssh"}},
      {{"/opt/x --token=abc"}, {"/opt/x --token=*****"}},  // a title that a process wrote over its arguments
  };
  for (const auto& one : cases) EXPECT_EQ(Redact(one.words), one.expected);
}

TEST(Redaction, OtherArgumentsStay) {
  for (const Words& words : {Words{"kubectl", "get", "secrets", "-n", "shop"},
                             {"docker", "run", "-u", "1000:1000", "-v", "/run/secrets/token:/t:ro", "image"},
                             {"psql", "-h", "db", "-p", "5432"},
                             {"git", "clone", "ssh://git@host/token/repo"},
                             {"cat", "/etc/passwd"},
                             {"x", "--password-file", "/etc/p", "--tokenize", "a"},
                             {"x", "--password", "--port", "1"},
                             {"", ""},
                             {"x"}}) {
    EXPECT_EQ(Redact(words), words);
  }
}

TEST(Redaction, OwnPatternsSeeOneSpaceBetweenArguments) {
  const auto own = [](const std::string& pattern) {
    return Redaction::Options{.patterns = {pattern}, .built_in = false};
  };
  EXPECT_EQ(Redact({"x", "--pin", "1234", "12"}, own(R"(--pin[= ](\d+))")), (Words{"x", "--pin", "*****", "12"}));
  EXPECT_EQ(Redact({"x", "a1b2c"}, own(R"(\d)")), (Words{"x", "a*****b*****c"}));
  EXPECT_EQ(Redact({"x", "ab", "cd"}, own("b c")), (Words{"x", "a*****", "*****d"})) << "over a border";
  EXPECT_EQ(Redact({"x", "ab", "", "cd"}, own("b.*d")), (Words{"x", "a*****", "", "*****"}));
  EXPECT_EQ(Redact({"x", "k=v,k=w"}, own("k=(.)")), (Words{"x", "k=*****,k=*****"}));
  EXPECT_EQ(Redact({"x", "aaaa"}, {.patterns = {"aa", "a"}, .built_in = false}), (Words{"x", "*****"}));
  EXPECT_EQ(Redact({"x", "--password=abc"}, own("y")), (Words{"x", "--password=abc"}));
  EXPECT_EQ(Redact({"x", "\xff=s"}, own("=(.)")), (Words{"x", "\xff=*****"})) << "arguments are bytes";
}

TEST(Redaction, PatternsThatAreNoneAreNamed) {
  for (const char* const pattern : {"(", "a**", "", "x*", "(?=a)"}) {
    const auto made = Redaction::Make({.patterns = {pattern}, .built_in = true});
    EXPECT_EQ(made.status().code(), absl::StatusCode::kInvalidArgument) << pattern;
    EXPECT_NE(Message(made.status()).find(pattern), std::string::npos);
  }
}

TEST(Redaction, LongCommandLinesTakeLittleTime) {
  const std::string long_text(100000, '-');
  const std::clock_t begin = std::clock();
  Redact({"x", long_text, "password" + long_text, "--a" + long_text + "=b"});
  EXPECT_LT((std::clock() - begin) / CLOCKS_PER_SEC, 2) << "seconds of CPU time";
}

}  // namespace
}  // namespace sluice::telemetry
