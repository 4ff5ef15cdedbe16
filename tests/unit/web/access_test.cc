#include "ctrl/web/access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace sluice::web {
namespace {

using ::testing::HasSubstr;

const std::string kReader(32, 'r');
const std::string kQuarantiner(40, 'q');

class WebAccess : public ::testing::Test {
 protected:
  WebAccess() {
    std::string name = "/tmp/sluice-web-XXXXXX";
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    directory_ = name;
    options_ = {.read_token = Write("read", kReader + "\n"), .quarantine_token = Write("quarantine", kQuarantiner)};
  }
  ~WebAccess() override { std::filesystem::remove_all(directory_); }

  std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(directory_ + "/" + name) << text;
    return directory_ + "/" + name;
  }
  static HttpRequest With(const std::string& authorization) {
    HttpRequest request{.peer = "127.0.0.1:4711"};
    if (!authorization.empty()) request.headers["authorization"] = authorization;
    return request;
  }
  Right RightOf(const std::string& authorization) const { return Access(options_).Identify(With(authorization)).right; }

  std::string directory_;
  AccessOptions options_;
};

TEST_F(WebAccess, TokensGiveTheirRights) {
  EXPECT_EQ(RightOf("Bearer " + kReader), Right::kRead);
  EXPECT_EQ(RightOf("Bearer " + kQuarantiner), Right::kQuarantine);
  for (const std::string& wrong :
       {std::string(), std::string("Bearer "), "Bearer " + kReader + "x", "Bearer " + kReader.substr(1), kReader,
        "Basic " + kReader, "bearer" + kReader, "Bearer  " + kReader, std::string("Bearer ") + std::string(32, 'R')}) {
    EXPECT_EQ(RightOf(wrong), Right::kNone) << wrong;
  }
  const Visitor visitor = Access(options_).Identify(With("Bearer " + kQuarantiner));
  EXPECT_EQ(visitor.name, "the web page's quarantine token, from 127.0.0.1:4711");
}

TEST_F(WebAccess, ATokenCanBeReplacedAndTakenAway) {
  const std::string other(32, 'o');
  Write("read", other);
  EXPECT_EQ(RightOf("Bearer " + kReader), Right::kNone);
  EXPECT_EQ(RightOf("Bearer " + other), Right::kRead);
  std::filesystem::remove(directory_ + "/read");
  EXPECT_EQ(RightOf("Bearer " + other), Right::kNone) << "no file, no token";
  Write("read", "short");
  EXPECT_EQ(RightOf("Bearer short"), Right::kNone);
}

TEST_F(WebAccess, CertificatesGiveTheRightsOfTheirNames) {
  options_.quarantine_names = {"ops", "sec.example"};
  const auto right_of = [&](const std::vector<std::string>& names) {
    HttpRequest request = With("");
    request.certificate_names = names;
    return Access(options_).Identify(request).right;
  };
  EXPECT_EQ(right_of({"ops"}), Right::kQuarantine);
  EXPECT_EQ(right_of({"carl", "sec.example"}), Right::kQuarantine);
  EXPECT_EQ(right_of({"carl"}), Right::kRead);
  EXPECT_EQ(right_of({""}), Right::kRead) << "a certificate without a name";
  EXPECT_EQ(right_of({}), Right::kNone);
  options_.quarantine_names = {""};
  EXPECT_EQ(right_of({""}), Right::kRead);
  HttpRequest both = With("Bearer wrong");
  both.certificate_names = {"ops"};
  EXPECT_EQ(Access(options_).Identify(both).right, Right::kNone) << "a wrong token is not replaced by a certificate";
}

TEST_F(WebAccess, BadTokenFilesAreNamed) {
  EXPECT_THAT(Message(ReadToken(directory_ + "/none").status()), HasSubstr("/none: cannot be opened: No such file"));
  EXPECT_THAT(Message(ReadToken(Write("a", "")).status()), HasSubstr("/a: a token has 32 to 512 characters"));
  EXPECT_THAT(Message(ReadToken(Write("b", std::string(31, 'x'))).status()), HasSubstr("this one has 31"));
  EXPECT_FALSE(ReadToken(Write("c", std::string(513, 'x'))).ok());
  EXPECT_THAT(Message(ReadToken(Write("d", std::string(20, 'x') + " " + std::string(20, 'x'))).status()),
              HasSubstr("no spaces"));
  EXPECT_FALSE(ReadToken(Write("e", std::string(32, '\xe4'))).ok());
  EXPECT_TRUE(Access::Check(options_).ok());
  options_.quarantine_token = options_.read_token;
  EXPECT_THAT(Message(Access::Check(options_)), HasSubstr("both have the same token"));
}

TEST(WebElsewhere, OnlyOurOwnPageAsks) {
  const auto from = [](const std::map<std::string, std::string>& headers, bool tls = false) {
    return IsFromElsewhere({.headers = headers, .tls = tls});
  };
  EXPECT_FALSE(from({{"sluice-page", "1"}}));
  EXPECT_FALSE(from({{"sluice-page", "1"}, {"sec-fetch-site", "same-origin"}}));
  EXPECT_FALSE(from({{"sluice-page", "1"}, {"origin", "http://127.0.0.1:1"}, {"host", "127.0.0.1:1"}}));
  EXPECT_FALSE(from({{"sluice-page", "1"}, {"origin", "https://node:1"}, {"host", "node:1"}}, true));
  EXPECT_TRUE(from({})) << "a form, a picture, or a script of another site";
  EXPECT_TRUE(from({{"sluice-page", "0"}}));
  EXPECT_TRUE(from({{"sluice-page", "1"}, {"sec-fetch-site", "cross-site"}}));
  EXPECT_TRUE(from({{"sluice-page", "1"}, {"sec-fetch-site", "same-site"}}));
  EXPECT_TRUE(from({{"sluice-page", "1"}, {"origin", "http://evil.example"}, {"host", "127.0.0.1:1"}}));
  EXPECT_TRUE(from({{"sluice-page", "1"}, {"origin", "http://node:1"}, {"host", "node:1"}}, true)) << "not by TLS";
  EXPECT_TRUE(from({{"sluice-page", "1"}, {"origin", "null"}, {"host", "node:1"}}));
}

}  // namespace
}  // namespace sluice::web
