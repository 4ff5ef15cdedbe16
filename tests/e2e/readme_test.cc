// README's "Every day": runs each command against a real agent, and compares the output with README, except for numbers
// and column widths. SLUICE_UPDATE_DOCS=1 writes the output into README.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include "testbed/command.h"
#include "tests/support/environment.h"
#include "tests/support/node_fixture.h"

namespace sluice::test {
namespace {

constexpr std::uint16_t kPostgres = 5432;
constexpr const char* kBegin = "### Every day\n";
constexpr const char* kFence = "```\n";

constexpr const char* kPolicy = R"(---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress:
    - from: [{podSelector: {matchLabels: {app: web}}}]
      ports: [{port: 5432}]
)";

std::string Normal(const std::string& text) {
  const std::string numbers = std::regex_replace(text, std::regex("[0-9]+"), "0");
  return std::regex_replace(numbers, std::regex("[ -]{2,}"), " ");
}

struct Step {
  std::string command;  // without "$ "
  std::string output;
};

class Readme : public testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
    const char* const source = std::getenv("SLUICE_SOURCE_DIR");
    ASSERT_NE(source, nullptr) << "run by ctest, or set SLUICE_SOURCE_DIR";
    path_ = std::string(source) + "/README.md";
    std::ostringstream text;
    text << std::ifstream(path_).rdbuf();
    text_ = text.str();
    begin_ = text_.find(kFence, text_.find(kBegin)) + std::string(kFence).size();
    end_ = text_.find(kFence, begin_);
    ASSERT_LT(end_, text_.size());

    auto fixture = NodeFixture::Create({.pods = {"web", "db", "debug"}, .args = {"--node-name", "node-1"}});
    ASSERT_TRUE(fixture.ok()) << fixture.status();
    fixture_ = *std::move(fixture);
    auto servers = ProbeServers::Start({{.netns_fd = fixture_->netns_fd("db"), .port = kPostgres}});
    ASSERT_TRUE(servers.ok()) << servers.status();
    servers_ = *std::move(servers);
    const Status applied = fixture_->agent().Apply(fixture_->WorkloadYaml("web", "{app: web}") +
                                                   fixture_->WorkloadYaml("db", "{app: db}") +
                                                   fixture_->WorkloadYaml("debug", "{app: debug}") + kPolicy);
    ASSERT_TRUE(applied.ok()) << applied;
    ASSERT_EQ(fixture_->Tcp("web", "db", kPostgres, true), ProbeOutcome::kAllowed);
    ASSERT_EQ(fixture_->Tcp("debug", "db", kPostgres, false), ProbeOutcome::kTimeout);
    std::string stricter = kPolicy;
    stricter.replace(stricter.find("5432"), 4, "5433");
    std::ofstream(fixture_->agent().directory() + "/db.yaml") << stricter;
  }

  std::vector<Step> Steps() const {
    std::vector<Step> steps;
    std::istringstream lines(text_.substr(begin_, end_ - begin_));
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("$ ")) {
        steps.push_back({line.substr(2), ""});
      } else if (!steps.empty()) {
        steps.back().output += line + "\n";
      }
    }
    return steps;
  }

  std::string Run(const std::string& command) const {
    const AgentProcess& agent = fixture_->agent();
    const auto result = fixture_->Run({"/usr/bin/env", "SLUICE_SERVER=" + agent.api_address(),
                                       "PATH=" + BinDirectory() + ":/usr/bin:/bin", "/bin/sh", "-c",
                                       "cd " + agent.directory() + " && " + command + " 2>&1"});
    EXPECT_TRUE(result.ok()) << result.status();
    const std::string output = result.ok() ? result->output : "";
    return std::regex_replace(output, std::regex("/[^ ]*/e2e"), "/usr/bin/nc");  // the program of this test's probes
  }

  std::string path_, text_;
  std::size_t begin_ = 0, end_ = 0;
  std::unique_ptr<NodeFixture> fixture_;
  std::unique_ptr<ProbeServers> servers_;
};

TEST_F(Readme, EverydayCommandsPrintWhatItShows) {
  const std::vector<Step> steps = Steps();
  ASSERT_GE(steps.size(), 8U);
  std::string block;
  for (const Step& step : steps) {
    std::string output = Run(step.command);
    block += "$ " + step.command + "\n" + output + (step.output.ends_with("\n\n") ? "\n" : "");
    if (std::getenv("SLUICE_UPDATE_DOCS") != nullptr) continue;
    if (step.output.ends_with("\n\n")) output += "\n";
    EXPECT_EQ(Normal(output), Normal(step.output)) << step.command;
  }
  if (std::getenv("SLUICE_UPDATE_DOCS") != nullptr) {
    std::ofstream(path_) << text_.substr(0, begin_) << block << text_.substr(end_);
  }
}

}  // namespace
}  // namespace sluice::test
