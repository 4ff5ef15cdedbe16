// Responses with the real agent and real programs: hits of a hook policy that only posts, and denied connections.
#include <absl/time/time.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/e2e/constants.h"
#include "tests/support/environment.h"
#include "tests/support/node_fixture.h"
#include "tests/support/open_policy.h"
#include "tests/support/run_in_pod.h"

namespace sluice::test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr std::uint16_t kDatabasePort = 80;

class ResponseE2e : public testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
    directory_ = testing::TempDir() + "sluice-responses-" + std::to_string(getpid());
    fs::create_directories(directory_);
    for (const char* name : {"secret", "public"}) std::ofstream(File(name)) << name << "\n";
    auto fixture = NodeFixture::Create({.pods = {"web", "db", "scan"}, .args = {}, .outside = false});
    ASSERT_TRUE(fixture.ok()) << fixture.status();
    fixture_ = *std::move(fixture);
    const Status applied =
        agent().Apply(fixture_->WorkloadYaml("web", "{app: web}") + fixture_->WorkloadYaml("db", "{app: db}") +
                      fixture_->WorkloadYaml("scan", "{app: scan}") + Watch());
    ASSERT_TRUE(applied.ok()) << applied << agent().Log();
  }
  ~ResponseE2e() override { fs::remove_all(directory_); }

  AgentProcess& agent() { return fixture_->agent(); }
  std::string File(const std::string& name) const { return directory_ + "/" + name; }

  // A hook policy that reports who opens the file `secret`, and does nothing else.
  std::string Watch() const { return OpenPolicyYaml(File("secret"), {.metadata = "{name: watch}", .tags = "[files]"}); }
  static std::string Response(const std::string& actions, const std::string& more = "",
                              const std::string& match = "{sources: [Hook], policies: [watch]}") {
    return fmt::format(
        "---\n{{apiVersion: sluice.dev/v1alpha1, kind: Response, metadata: {{name: answer}}, spec: {{match: [{}], do: "
        "{{{}}}{}}}}}\n",
        match, actions, more);
  }
  void Apply(const std::string& yaml) {
    const Status applied = agent().Apply(yaml);
    ASSERT_TRUE(applied.ok()) << applied;
  }
  ClientResult Sluice(const std::vector<std::string>& arguments, const std::string& input = "") {
    const auto result = agent().Sluice(arguments, input);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *result : ClientResult();
  }
  int Run(const std::string& pod, const Arguments& command) { return ExitCodeIn(*fixture_, pod, command); }
  int Open(const std::string& pod) { return Run(pod, {"/bin/cat", File("secret")}); }
  // A shell opens the file, and then waits.
  std::string OpenAndWait(const std::string& seconds = "20") const {
    return fmt::format("exec 3<{}; sleep {} >/dev/null 2>&1", File("secret"), seconds);
  }

  // The records of answers so far, oldest first.
  std::vector<json> Records() {
    std::vector<json> records;
    std::istringstream lines(Sluice({"observe", "--all", "--type", "response", "-o", "json"}).out);
    for (std::string line; std::getline(lines, line);) records.push_back(json::parse(line));
    return records;
  }
  // The newest record with this action and outcome, once there is one.
  json Record(const std::string& action, const std::string& outcome = "DONE") {
    json found;
    Eventually([&] {
      for (const json& record : Records()) {
        if (record.value("action", "") == action && record.value("outcome", "") == outcome) found = record;
      }
      return !found.is_null();
    });
    EXPECT_FALSE(found.is_null()) << action << " " << outcome << "\n" << agent().Log();
    return found.is_null() ? json::object() : found;
  }
  // "quarantined", "enforced".
  std::string StateOf(const std::string& pod) {
    return Sluice({"get", "workloads", pod, "-n", "shop"}).out.find("quarantined") == std::string::npos ? "enforced"
                                                                                                        : "quarantined";
  }
  bool IsCutOff(const std::string& pod) {
    return Eventually([&] { return StateOf(pod) == "quarantined"; });
  }
  // Living processes with `word` among their arguments.
  static std::vector<pid_t> With(const std::string& word) {
    std::vector<pid_t> running;
    for (const auto& entry : fs::directory_iterator("/proc")) {
      std::string text;
      std::getline(std::ifstream(entry.path() / "cmdline"), text);
      if (text.find(word) != std::string::npos) running.push_back(std::stoi(entry.path().filename()));
    }
    return running;
  }
  static int Running(const std::string& word) { return static_cast<int>(With(word).size()); }

  std::string directory_;
  std::unique_ptr<NodeFixture> fixture_;
};

TEST_F(ResponseE2e, ADeniedConnectionCutsTheOneWhoTriedOff) {
  const auto servers = ProbeServers::Start({{.netns_fd = fixture_->netns_fd("db"), .port = kDatabasePort},
                                            {.netns_fd = fixture_->netns_fd("scan"), .port = kDatabasePort}});
  ASSERT_TRUE(servers.ok()) << servers.status();
  Apply(kDbFromWeb + Response("quarantine: {}", "", "{sources: [Denial], policies: [shop/db]}"));
  EXPECT_EQ(fixture_->Tcp("web", "db", kDatabasePort, true), ProbeOutcome::kAllowed);
  EXPECT_EQ(fixture_->Tcp("web", "scan", kDatabasePort, true), ProbeOutcome::kAllowed);
  EXPECT_EQ(fixture_->Tcp("scan", "db", kDatabasePort, false), ProbeOutcome::kTimeout);
  ASSERT_TRUE(IsCutOff("scan")) << agent().Log();
  EXPECT_EQ(fixture_->Tcp("web", "scan", kDatabasePort, false), ProbeOutcome::kTimeout);
  EXPECT_EQ(fixture_->Tcp("web", "db", kDatabasePort, true), ProbeOutcome::kAllowed);
  EXPECT_EQ(StateOf("web"), "enforced");
  EXPECT_EQ(StateOf("db"), "enforced") << "the one that is protected";
  const json record = Record("QUARANTINE");
  EXPECT_EQ(record["workload"], "scan") << record;
  EXPECT_EQ(record["response"], "answer");
  EXPECT_EQ(record["cause"]["source"], "Denial");
  EXPECT_EQ(record["cause"]["policies"][0]["name"], "db");
  EXPECT_THAT(record["cause"].value("flowId", ""), Not(""));
  std::printf("a denied packet to the record of its quarantine: %s\n", record.value("delay", "?").c_str());
  EXPECT_THAT(Sluice({"get", "responses"}).out, AllOf(HasSubstr("answer"), HasSubstr("active"), HasSubstr("Denial")));
  EXPECT_THAT(Sluice({"describe", "response", "answer"}).out, HasSubstr("quarantine"));
  EXPECT_THAT(Sluice({"observe", "--all", "--type", "response"}).out, HasSubstr("RESPONSE shop/scan"));
}

TEST_F(ResponseE2e, ADeniedConnectionLeavesItsPackets) {
  const auto servers = ProbeServers::Start({{.netns_fd = fixture_->netns_fd("db"), .port = kDatabasePort}});
  ASSERT_TRUE(servers.ok()) << servers.status();
  Apply(kDbFromWeb + Response("capture: {}", "", "{sources: [Denial], policies: [shop/db]}"));
  EXPECT_EQ(fixture_->Tcp("scan", "db", kDatabasePort, false), ProbeOutcome::kTimeout);
  const std::string file = Record("CAPTURE").value("captureFile", "");
  EXPECT_THAT(file, AllOf(HasSubstr("/shop_scan_"), HasSubstr("_response.pcapng")));
  ASSERT_TRUE(Eventually([&] { return fs::exists(file); })) << file << agent().Log();
  const std::string written{std::istreambuf_iterator<char>(std::ifstream(file).rdbuf()), {}};
  EXPECT_THAT(written, HasSubstr("Response answer: ")) << "why, in the file";
}

TEST_F(ResponseE2e, AHookHitEndsTheWholeTree) {
  const std::string mark = "31536" + std::to_string(getpid());
  Apply(Response("kill: {target: Tree}"));
  const std::string script =
      fmt::format("sleep {0} & (sleep {0} & sleep {0} & wait) & sleep 0.3; exec 3<{1}; wait", mark, File("secret"));
  EXPECT_EQ(Run("web", {"/bin/sh", "-c", script}), kKilled) << agent().Log();
  EXPECT_EQ(Running(mark), 0);
  const json record = Record("KILL");
  EXPECT_EQ(record["killed"].size(), 5U) << record;
  EXPECT_EQ(record["killed"][0]["pid"], record["process"]["pid"]) << "the root first";
  EXPECT_EQ(record["cause"]["policies"][0]["name"], "watch");
  EXPECT_THAT(record["cause"]["tags"].dump(), HasSubstr("files"));
  std::printf("a hook hit to the end of a tree of five processes: %s\n", record.value("delay", "?").c_str());
}

TEST_F(ResponseE2e, KillAloneLeavesTheChildren) {
  const std::string mark = "31537" + std::to_string(getpid());
  Apply(Response("kill: {}"));
  EXPECT_EQ(Run("web", {"/bin/sh", "-c", fmt::format("sleep {} >/dev/null 2>&1 & {}", mark, OpenAndWait())}), kKilled);
  EXPECT_EQ(Running(mark), 1);
  for (const pid_t child : With(mark)) kill(child, SIGKILL);
}

TEST_F(ResponseE2e, AProcessOfAnotherUserIsKilledToo) {
  Apply(Response("kill: {}"));
  fs::permissions(directory_, fs::perms::all);
  EXPECT_EQ(Run("web", {"/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/bin/sh", "-c",
                        OpenAndWait()}),
            kKilled)
      << agent().Log();
}

TEST_F(ResponseE2e, ADryRunOnlyTells) {
  Apply(Response("quarantine: {}, kill: {target: Tree}", ", dryRun: true"));
  EXPECT_EQ(Run("web", {"/bin/sh", "-c", OpenAndWait("0.5")}), 0);
  Record("QUARANTINE", "DRY_RUN");
  Record("KILL", "DRY_RUN");
  EXPECT_EQ(StateOf("web"), "enforced");
  EXPECT_THAT(Sluice({"get", "responses"}).out, HasSubstr("dry-run"));
}

TEST_F(ResponseE2e, NeverAndTheNodeAreLeftAlone) {
  Apply(Response("quarantine: {}, kill: {}", ", never: [{selector: {matchLabels: {app: db}}}]"));
  EXPECT_EQ(Run("db", {"/bin/sh", "-c", OpenAndWait("0.5")}), 0);
  EXPECT_EQ(Run("", {"/bin/sh", "-c", OpenAndWait("0.5")}), 0);
  EXPECT_EQ(Run("web", {"/bin/sh", "-c", OpenAndWait()}), kKilled);
  EXPECT_TRUE(IsCutOff("web"));
  EXPECT_EQ(StateOf("db"), "enforced");
  Record("", "SPARED");
}

TEST_F(ResponseE2e, LimitsAreKeptForEachWorkload) {
  Apply(Response("kill: {}", ", rateLimit: {perWorkload: 2, total: 100, seconds: 3600}"));
  std::vector<int> codes;
  for (int i = 0; i < 3; ++i) codes.push_back(Run("web", {"/bin/sh", "-c", OpenAndWait("2")}));
  EXPECT_THAT(codes, ElementsAre(kKilled, kKilled, 0));
  EXPECT_EQ(Run("db", {"/bin/sh", "-c", OpenAndWait()}), kKilled);
  Record("", "LIMITED");
  const auto metrics = fixture_->Run({"curl", "-sS", "http://" + agent().metrics_address() + "/metrics"});
  ASSERT_TRUE(metrics.ok()) << metrics.status();
  EXPECT_THAT(metrics->output,
              AllOf(HasSubstr("sluice_response_actions_total{response=\"answer\",action=\"KILL\",outcome=\"DONE\"} 3"),
                    HasSubstr("sluice_response_left_out_total{response=\"answer\",reason=\"rateLimit\"} 1")));
}

TEST_F(ResponseE2e, ARestartKeepsResponsesAndQuarantines) {
  Apply(Response("quarantine: {}"));
  Open("web");
  ASSERT_TRUE(IsCutOff("web")) << agent().Log();
  for (const bool kill : {true, false}) {
    const Status ended = kill ? agent().Kill() : agent().Stop();
    ASSERT_TRUE(ended.ok()) << ended;
    ASSERT_TRUE(agent().Restart().ok()) << agent().Log();
    EXPECT_EQ(StateOf("web"), "quarantined");
    const std::string pod = kill ? "db" : "scan";
    EXPECT_EQ(StateOf(pod), "enforced");
    Open(pod);
    EXPECT_TRUE(IsCutOff(pod)) << agent().Log();
  }
  ASSERT_EQ(Sluice({"quarantine", "shop/web", "--release"}).exit_code, 0);
  ASSERT_EQ(Sluice({"delete", "response", "answer"}).exit_code, 0);
  Open("web");
  // Events are answered in their order: db's comes later.
  ASSERT_EQ(Sluice({"quarantine", "shop/db", "--release"}).exit_code, 0);
  Apply(Response("quarantine: {}", ", workloads: [{names: [shop/db]}]"));
  Open("db");
  ASSERT_TRUE(IsCutOff("db")) << agent().Log();
  EXPECT_EQ(StateOf("web"), "enforced");
}

// A shell that opens the file as fast as it can, in one pod; one hit in another.
TEST_F(ResponseE2e, AFloodOfHitsDoesNotHoldUpAnotherPod) {
  Apply(Response("kill: {}", ", workloads: [{names: [shop/db]}]"));
  StatusOr<ChildProcess> flood = Status(absl::StatusCode::kInternal, "not started");
  ASSERT_TRUE(fixture_->node()
                  .netns(fixture_->node().pod("web"))
                  .Run([&] {
                    flood = ChildProcess::Start(
                        {"/bin/sh", "-c", fmt::format("echo begun; while :; do : <{}; done", File("secret"))});
                    return flood.status();
                  })
                  .ok());
  ASSERT_TRUE(flood->WaitForOutput("begun").ok());
  ASSERT_TRUE(Eventually([&] {
    const std::string hits = Sluice({"observe", "--last", "500", "--type", "hook", "--workload", "shop/web"}).out;
    return std::count(hits.begin(), hits.end(), '\n') == 500;
  }));
  EXPECT_EQ(Run("db", {"/bin/sh", "-c", OpenAndWait()}), kKilled) << agent().Log();
  std::printf("under a flood of another pod's hits, a hit to its kill: %s\n",
              Record("KILL").value("delay", "?").c_str());
  EXPECT_EQ(StateOf("db"), "enforced");
}

TEST_F(ResponseE2e, WhatAProgramRanAndWroteIsKept) {
  Apply(Response("collect: {}, kill: {}"));
  fs::copy_file("/bin/sh", File("evil"));
  const std::string script =
      fmt::format("exec </dev/null 4>{0}; echo loot >&4; rm {1} {0}; {2}", File("loot"), File("evil"), OpenAndWait());
  EXPECT_EQ(Run("web", {File("evil"), "-c", script}), kKilled) << agent().Log();
  const json record = Record("COLLECT");
  const auto sum = RunCommand({"/usr/bin/sha256sum", "/bin/sh"});
  ASSERT_TRUE(sum.ok()) << sum.status();
  ASSERT_EQ(record["files"].size(), 2U) << record;
  EXPECT_EQ(record["files"][0]["kind"], "EXECUTABLE");
  EXPECT_EQ(record["files"][0]["path"], File("evil") + " (deleted)");
  EXPECT_EQ(record["files"][0]["sha256"], sum->output.substr(0, 64));
  EXPECT_EQ(record["files"][1]["kind"], "WRITTEN");
  std::string text;
  std::getline(std::ifstream(agent().state_dir() + "/forensics/" + record["files"][1].value("sha256", "?")), text);
  EXPECT_EQ(text, "loot");
}

TEST_F(ResponseE2e, AWrongOneIsRefusedAndNamed) {
  Apply(Response("quarantine: {}"));
  const auto refused = Sluice({"apply", "-f", "-"}, Response("restart: {}"));
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("Response answer: spec.do.restart: unknown field"));
  const auto checked = Sluice({"check", "-f", "-"}, Response("kill: {target: All}"));
  EXPECT_EQ(checked.exit_code, 1);
  EXPECT_THAT(checked.out + checked.err, HasSubstr("spec.do.kill.target: unknown target \"All\""));
  const auto diff = Sluice({"diff", "-f", "-"}, Response("kill: {}"));
  EXPECT_THAT(diff.out, AllOf(HasSubstr("-"), HasSubstr("quarantine"), HasSubstr("kill")));
  Open("web");
  EXPECT_TRUE(IsCutOff("web")) << "the one before is in force";
}

}  // namespace
}  // namespace sluice::test
