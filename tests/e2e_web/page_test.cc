// The web page in Chromium against a real agent with real traffic: web/test/browser.test.ts clicks, and this file looks
// at what the clicks did. Screenshots are kept in the build directory, below web/screenshots. SLUICE_UPDATE_DOCS=1 also
// writes the picture of the map in docs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "ctrl/web/pages.h"
#include "testbed/command.h"
#include "tests/support/environment.h"
#include "tests/support/node_fixture.h"

namespace sluice::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr const char* kAddress = "127.0.0.1:9470";
constexpr const char* kChromium = "/usr/bin/chromium";
constexpr std::uint16_t kPostgres = 5432;
const std::string kReadToken(32, 'r');
const std::string kQuarantineToken(32, 'q');

constexpr const char* kPolicies = R"(---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: data}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress:
  - from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}, podSelector: {matchLabels: {app: api}}}]
    ports: [{port: 5432}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: api, namespace: shop}
spec:
  podSelector: {matchLabels: {app: api}}
  ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 9000}]}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: debug, namespace: ops}
spec:
  podSelector: {matchLabels: {app: debug}}
  policyTypes: [Egress]
  egress: [{to: [{namespaceSelector: {}, podSelector: {matchLabels: {app: db}}}]}]
)";

// Reads a request and answers it.
constexpr const char* kServe = R"(#!/bin/sh
while read -r line && [ "${#line}" -gt 1 ]; do :; done
printf 'HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello'
)";

struct Pod {
  const char* name;
  const char* ns;
  std::uint16_t port;  // where it listens; 0: nowhere
};
constexpr Pod kPods[] = {{"front", "shop", 0},      {"web", "shop", 8080},   {"api", "shop", 9000},
                         {"db", "data", kPostgres}, {"cache", "data", 6379}, {"debug", "ops", 0}};
struct Call {
  const char* from;
  const char* to;
  std::uint16_t port;
  bool allowed;
};
constexpr Call kCalls[] = {{"front", "web", 8080, true},      {"web", "api", 9000, true},
                           {"api", "db", kPostgres, true},    {"api", "cache", 6379, true},
                           {"debug", "db", kPostgres, false}, {"web", "db", kPostgres, false},
                           {"debug", "cache", 6379, false}};

std::string SourceDirectory() {
  const char* const source = std::getenv("SLUICE_SOURCE_DIR");
  return source == nullptr ? "" : source;
}

std::string Modules() { return SourceDirectory() + "/web/node_modules"; }

// Empty: everything that the browser needs is here.
std::string MissingBrowser() {
  if (web::FindPage("/") == nullptr) return "the agent is built without the page: no esbuild (scripts/install-deps)";
  if (!fs::exists(kChromium)) return "no chromium (scripts/install-deps web)";
  if (!fs::exists(Modules() + "/playwright-core")) return "no web/node_modules (scripts/install-deps web)";
  return "";
}

class WebPage : public ::testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
    ASSERT_NE(SourceDirectory(), "") << "run by ctest, or set SLUICE_SOURCE_DIR";
    SL_SKIP_OR_FAIL_IF(MissingBrowser());
    std::string directory = "/tmp/sluice-web-XXXXXX";
    ASSERT_NE(mkdtemp(directory.data()), nullptr);
    directory_ = directory;
    fs::create_directories(Shots());
    std::ofstream(directory_ + "/read") << kReadToken;
    std::ofstream(directory_ + "/quarantine") << kQuarantineToken;
    std::ofstream(directory_ + "/serve") << kServe;
    fs::permissions(directory_ + "/serve", fs::perms(0755));
    std::vector<std::string> pods;
    for (const Pod& pod : kPods) pods.emplace_back(pod.name);
    auto fixture =
        NodeFixture::Create({.pods = pods,
                             .args = {"--node-name", "node-1", "--web", kAddress, "--web-read-token",
                                      directory_ + "/read", "--web-quarantine-token", directory_ + "/quarantine"}});
    ASSERT_TRUE(fixture.ok()) << fixture.status();
    fixture_ = *std::move(fixture);
    std::string yaml;
    for (const Pod& pod : kPods) {
      yaml += fmt::format(
          "---\napiVersion: sluice.dev/v1alpha1\nkind: Workload\nmetadata: {{name: {0}, namespace: {1}, labels: {{app: "
          "{0}}}}}\nspec: {{netns: {2}}}\n",
          pod.name, pod.ns, NetNs(pod.name));
    }
    const Status applied = fixture_->agent().Apply(yaml + kPolicies);
    ASSERT_TRUE(applied.ok()) << applied;
    for (const Pod& pod : kPods) {
      if (pod.port != 0) Listen(pod);
    }
    for (const Call& call : kCalls) EXPECT_EQ(Answers(call.from, call.to, call.port), call.allowed) << call.from;
  }
  void TearDown() override {
    servers_.clear();
    fixture_.reset();
    if (!directory_.empty()) fs::remove_all(directory_);
  }

  static std::string Shots() { return fs::path(BinDirectory()).parent_path() / "web/screenshots"; }
  std::string NetNs(const std::string& pod) const { return fixture_->node().pod(pod).netns_path; }

  void Listen(const Pod& pod) {
    auto server =
        ChildProcess::Start({"nsenter", "--net=" + NetNs(pod.name), "socat",
                             fmt::format("TCP-LISTEN:{},fork,reuseaddr", pod.port), "EXEC:" + directory_ + "/serve"});
    ASSERT_TRUE(server.ok()) << server.status();
    servers_.push_back(*std::move(server));
    const auto listens = [&] {
      const auto sockets = RunCommand({"nsenter", "--net=" + NetNs(pod.name), "ss", "-Hltn"});
      return sockets.ok() && sockets->output.find(fmt::format(":{} ", pod.port)) != std::string::npos;
    };
    ASSERT_TRUE(Eventually(listens)) << pod.name;
  }
  // By curl, so that the page has a program to name.
  bool Answers(const std::string& from, const std::string& to, std::uint16_t port) const {
    const auto answer =
        RunCommand({"nsenter", "--net=" + NetNs(from), "curl", "--silent", "--connect-timeout", "2", "--max-time", "5",
                    fmt::format("http://{}:{}/", fixture_->node().pod(to).ip4, port)});
    return answer.ok() && answer->output.find("hello") != std::string::npos;
  }

  // The output of a case of web/test/browser.test.ts.
  std::string Browse(const std::string& name) const {
    const auto result = fixture_->Run(
        {"/usr/bin/env", fmt::format("SLUICE_URL=http://{}/", kAddress), "SLUICE_READ_TOKEN=" + kReadToken,
         "SLUICE_QUARANTINE_TOKEN=" + kQuarantineToken, "SLUICE_SHOTS=" + Shots(), std::string("CHROMIUM=") + kChromium,
         "NODE_PATH=" + Modules(), "HOME=" + directory_, "node",
         fs::path(BinDirectory()).parent_path() / "web/browser.test.cjs", name},
        300);
    EXPECT_TRUE(result.ok()) << result.status();
    if (!result.ok()) return "";
    EXPECT_EQ(result->exit_code, 0) << result->output << "\nscreenshot: " << Shots() << "/failed-" << name << ".png\n"
                                    << fixture_->agent().Log();
    EXPECT_THAT(result->output, HasSubstr(name + ": passed"));
    return result->output;
  }

  std::string directory_;
  std::unique_ptr<NodeFixture> fixture_;
  std::vector<ChildProcess> servers_;
};

TEST_F(WebPage, SignsIn) { Browse("signIn"); }

TEST_F(WebPage, ShowsTheMap) {
  Browse("theMap");
  const char* const update = std::getenv("SLUICE_UPDATE_DOCS");
  if (update == nullptr || std::string(update) != "1" || HasFailure()) return;
  fs::copy_file(Shots() + "/map.png", SourceDirectory() + "/docs/web-map.png", fs::copy_options::overwrite_existing);
}

TEST_F(WebPage, WorksByKeyboard) { Browse("keyboard"); }

TEST_F(WebPage, GoesBackInTime) { Browse("history"); }

TEST_F(WebPage, SuggestsWhatWouldAllowADenial) {
  const std::string output = Browse("denials");
  const std::string mark = "--- suggestion\n";
  const std::size_t begin = output.find(mark);
  ASSERT_NE(begin, std::string::npos) << output;
  const std::string yaml = output.substr(begin + mark.size(), output.find("--- end", begin) - begin - mark.size());
  const auto suggested = fixture_->agent().Sluice(
      {"suggest", "--from", "ops/debug", "--to", "data/db", "--port", std::to_string(kPostgres)});
  ASSERT_TRUE(suggested.ok()) << suggested.status();
  EXPECT_EQ(suggested->exit_code, 0) << suggested->err;
  EXPECT_EQ(suggested->out, yaml) << "the command says the same";
  ASSERT_FALSE(Answers("debug", "db", kPostgres));
  const Status applied = fixture_->agent().Apply(yaml);
  ASSERT_TRUE(applied.ok()) << applied;
  EXPECT_TRUE(Answers("debug", "db", kPostgres));
  EXPECT_FALSE(Answers("web", "db", kPostgres)) << "nobody else";
  const auto again = fixture_->agent().Sluice(
      {"suggest", "--from", "ops/debug", "--to", "data/db", "--port", std::to_string(kPostgres)});
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->out, "");
  EXPECT_THAT(again->err, HasSubstr("it is allowed already"));
}

TEST_F(WebPage, PreviewsAPolicy) {
  const auto before = fixture_->Everything();
  Browse("preview");
  EXPECT_EQ(*fixture_->Everything(), *before) << "nothing was applied";
}

TEST_F(WebPage, QuarantinesAndReleases) {
  Browse("quarantine");
  EXPECT_FALSE(Answers("web", "api", 9000));
  Browse("release");
  EXPECT_TRUE(Answers("web", "api", 9000));
  const auto changes = fixture_->agent().Sluice({"observe", "--type", "change", "--last", "2", "-o", "json"});
  ASSERT_TRUE(changes.ok()) << changes.status();
  EXPECT_THAT(changes->out, HasSubstr("the web page's quarantine token, from 127.0.0.1:"));
}

TEST_F(WebPage, ListsProcessesEventsAndTheNode) { Browse("lists"); }

TEST_F(WebPage, StaysReadableAndFastAtScale) {
  const std::string output = Browse("scale");
  RecordProperty("frames", output);
}

TEST_F(WebPage, PaintsSoon) { Browse("firstPaint"); }

}  // namespace
}  // namespace sluice::test
