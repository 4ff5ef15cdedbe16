// Detection rules with the real agent: real programs in workloads, the kernel's sensors of system calls, and what comes
// of a hit.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "tests/support/environment.h"
#include "tests/support/node_fixture.h"

namespace sluice::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

class Rules : public testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
    std::string name = "/tmp/sluice-rules-XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    directory_ = name;
    for (const char* file : {"secret", "other"}) std::ofstream(File(file)) << file << "\n";
  }
  void TearDown() override {
    fixture_.reset();
    if (!directory_.empty()) fs::remove_all(directory_);
  }

  std::string File(const std::string& name) const { return directory_ + "/" + name; }
  std::string Rule(const std::string& name, const std::string& condition) const {
    return fmt::format(
        "- rule: {}\n  desc: d\n  condition: {}\n  output: \"%proc.name opened %fd.name | %proc.cmdline\"\n"
        "  priority: CRITICAL\n  tags: [T1555]\n",
        name, condition);
  }
  std::string Reads(const std::string& name) const {
    return fmt::format("evt.type in (open, openat, openat2) and fd.name = {}", File(name));
  }
  // In one step, as editors do.
  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(File(".new")) << text;
    fs::rename(File(".new"), File(name));
  }
  void Start(std::vector<std::string> args) {
    auto fixture = NodeFixture::Create({.pods = {"web", "db"}, .args = std::move(args), .outside = false});
    ASSERT_TRUE(fixture.ok()) << fixture.status();
    fixture_ = *std::move(fixture);
    const Status applied =
        agent().Apply(fixture_->WorkloadYaml("web", "{app: web}") + fixture_->WorkloadYaml("db", "{app: db}"));
    ASSERT_TRUE(applied.ok()) << applied;
  }
  AgentProcess& agent() { return fixture_->agent(); }
  ClientResult Sluice(const std::vector<std::string>& arguments) {
    const auto result = agent().Sluice(arguments);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *result : ClientResult();
  }
  void Run(const std::string& pod, const Arguments& command) {
    const Status ran =
        fixture_->node().netns(fixture_->node().pod(pod)).Run([&]() -> Status { return RunCommand(command).status(); });
    EXPECT_TRUE(ran.ok()) << ran;
  }
  std::vector<json> Detections(const std::vector<std::string>& filters = {}) {
    std::vector<std::string> arguments = {"observe", "--all", "--host", "--type", "detection", "-o", "json"};
    arguments.insert(arguments.end(), filters.begin(), filters.end());
    std::vector<json> found;
    std::istringstream lines(Sluice(arguments).out);
    for (std::string line; std::getline(lines, line);) found.push_back(json::parse(line));
    return found;
  }
  // 64-bit numbers of `status` are texts; what is not known is absent.
  static std::uint64_t Count(const json& object, const char* key) { return std::stoull(object.value(key, "0")); }
  json AgentStatus() { return json::parse(Sluice({"status", "-o", "json"}).out); }

  std::string directory_;
  std::unique_ptr<NodeFixture> fixture_;
};

TEST_F(Rules, AHitNamesRuleProcessAndWorkload) {
  Write("rules.yaml", Rule("Secret read", Reads("secret")));
  Start({"--rules", File("rules.yaml"), "--export-file", File("alerts"), "--export-format", "falco-json"});
  if (fixture_ == nullptr) return;
  Run("db", {"/bin/cat", File("other")});
  Run("web", {"/bin/cat", File("secret")});
  std::vector<json> found;
  ASSERT_TRUE(Eventually([&] { return !(found = Detections()).empty(); })) << agent().Log();
  ASSERT_EQ(found.size(), 1U) << json(found);
  const json& hit = found[0];
  EXPECT_EQ(hit["rule"], "Secret read");
  EXPECT_EQ(hit["priority"], "CRITICAL");
  EXPECT_EQ(hit["namespace"], "shop");
  EXPECT_EQ(hit["workload"], "web");
  EXPECT_EQ(hit["process"]["binary"], fs::canonical("/bin/cat").string());
  EXPECT_EQ(hit["process"]["arguments"][0], File("secret"));
  EXPECT_THAT(hit["process"]["execId"].get<std::string>(), HasSubstr(":"));
  EXPECT_EQ(hit["output"], fmt::format("cat opened {} | cat {}", File("secret"), File("secret")));
  EXPECT_EQ(Detections({"--workload", "shop/db"}).size(), 0U);

  const json falco = json::parse(Sluice({"observe", "--last", "1", "-o", "falco-json"}).out);
  EXPECT_EQ(falco["rule"], "Secret read");
  EXPECT_EQ(falco["priority"], "Critical");
  EXPECT_EQ(falco["output_fields"]["fd.name"], File("secret"));
  std::string line;
  ASSERT_TRUE(Eventually([&] {
    std::ifstream in(File("alerts"));
    return static_cast<bool>(std::getline(in, line));
  }));
  EXPECT_EQ(json::parse(line), falco);
  const json status = AgentStatus();
  EXPECT_EQ(status["detectionRules"]["inForce"], true);
  EXPECT_EQ(Count(status["detectionRules"]["rules"][0], "matches"), 1U);
}

TEST_F(Rules, FilesAreFollowedAndAWrongOneChangesNothing) {
  Write("rules.yaml", Rule("Secret read", Reads("secret")));
  Start({"--rules", File("rules.yaml")});
  if (fixture_ == nullptr) return;
  const auto in_force = [this] {
    const json rules = AgentStatus()["detectionRules"].value("rules", json::array());
    return rules.empty() ? "" : rules[0]["rule"].get<std::string>();
  };
  EXPECT_EQ(in_force(), "Secret read");
  Write("rules.yaml", Rule("Other read", Reads("other")));
  ASSERT_TRUE(Eventually([&] { return in_force() == "Other read"; })) << agent().Log();
  Run("web", {"/bin/cat", File("secret")});
  Run("web", {"/bin/cat", File("other")});
  ASSERT_TRUE(Eventually([&] { return !Detections().empty(); })) << agent().Log();
  EXPECT_EQ(Detections()[0]["rule"], "Other read");
  Write("rules.yaml", Rule("Broken", "proc.nam = x"));
  ASSERT_TRUE(agent().Signal(SIGHUP).ok());
  ASSERT_TRUE(Eventually([&] { return AgentStatus()["detectionRules"].contains("problem"); })) << agent().Log();
  EXPECT_THAT(AgentStatus()["detectionRules"]["problem"].get<std::string>(),
              HasSubstr(File("rules.yaml") + ":3:14: rule 'Broken'"));
  EXPECT_EQ(in_force(), "Other read");
  EXPECT_THAT(Sluice({"status"}).out, HasSubstr("the newest rules files are not in force"));
  // At a later start they are waited for: the node stays enforced on.
  ASSERT_TRUE(agent().Stop().ok());
  const auto restarted = agent().Restart();
  ASSERT_TRUE(restarted.ok()) << restarted;
  EXPECT_EQ(in_force(), "");
  Write("rules.yaml", Rule("Mended", Reads("other")));
  EXPECT_TRUE(Eventually([&] { return in_force() == "Mended"; })) << agent().Log();
}

TEST_F(Rules, AFirstStartRefusesWrongRules) {
  Start({});
  if (fixture_ == nullptr) return;
  Write("rules.yaml", Rule("Broken", "proc.nam = x"));
  const auto refused = fixture_->Run({BinDirectory() + "/sluiced", "--state-dir", File("state"), "--bpf-root",
                                      agent().bpf_root() + "-none", "--api", "unix://" + File("api"), "--metrics", "",
                                      "--rules", File("rules.yaml")});
  ASSERT_TRUE(refused.ok()) << refused.status();
  EXPECT_EQ(refused->exit_code, 2) << refused->output;
  EXPECT_THAT(refused->output, HasSubstr(File("rules.yaml") + ":3:14: rule 'Broken'"));
}

TEST_F(Rules, WhatIsRecordedIsReplayed) {
  Start({});
  if (fixture_ == nullptr) return;
  std::thread recorder([this] {
    const ClientResult recorded =
        Sluice({"record", "-o", File("events"), "--duration", "4s", "--workload", "shop/web"});
    EXPECT_EQ(recorded.exit_code, 0) << recorded.err;
  });
  const bool found = Eventually([&] {
    Run("web", {"/bin/cat", File("secret")});
    std::ifstream in(File("events"));
    std::stringstream text;
    text << in.rdbuf();
    return text.str().find(File("secret")) != std::string::npos;
  });
  recorder.join();
  EXPECT_TRUE(found) << agent().Log();
  Write("rules.yaml", Rule("Secret read", Reads("secret")));
  const ClientResult replayed = Sluice({"replay", "--events", File("events"), "--rules", File("rules.yaml")});
  EXPECT_EQ(replayed.exit_code, 0) << replayed.err;
  EXPECT_THAT(replayed.out, HasSubstr("\"rule\":\"Secret read\""));
}

TEST_F(Rules, ATraceeDetectorHits) {
  const std::string cat = fs::canonical("/bin/cat");
  Write("list.yaml", fmt::format("type: string_list\nname: TOOLS\nvalues: [{}]\n", cat));
  Write("detector.yaml",
        "type: detector\nid: t-1\nproduced_event: {name: tool_run, version: 1.0.0, tags: [execution]}\n"
        "requirements: {events: [{name: sched_process_exec}]}\n"
        "threat: {description: d, severity: high}\n"
        "conditions: ['getEventData(\"pathname\") in TOOLS']\n"
        "output: {fields: [{name: tool, expression: 'getEventData(\"pathname\")'}]}\n");
  Start({"--rules", directory_});
  if (fixture_ == nullptr) return;
  Run("db", {"/bin/true"});
  Run("web", {"/bin/cat", File("other")});
  std::vector<json> found;
  ASSERT_TRUE(Eventually([&] { return !(found = Detections({"--workload", "shop/web"})).empty(); })) << agent().Log();
  ASSERT_EQ(found.size(), 1U) << json(found);
  EXPECT_EQ(found[0]["rule"], "tool_run");
  EXPECT_EQ(found[0]["priority"], "ERROR");
  EXPECT_EQ(Detections({"--workload", "shop/db"}).size(), 0U);
  EXPECT_THAT(found[0]["output"].get<std::string>(), HasSubstr("tool_run | tool=" + cat));
}

// Each trigger is one hit, whatever reload it falls into.
TEST_F(Rules, ReloadsLoseNoHitAndDoubleNone) {
  constexpr std::uint64_t kReloads = 200;
  Write("rules.yaml", Rule("Secret read", Reads("secret")));
  Start({"--rules", File("rules.yaml"), "--rules-rate", "0"});
  if (fixture_ == nullptr) return;
  std::atomic<bool> over = false;
  std::uint64_t triggers = 0;
  std::thread loop([&] {
    while (!over) {
      std::ifstream in(File("secret"));
      EXPECT_TRUE(in.good());
      triggers++;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  const auto loads = [this] { return Count(AgentStatus()["detectionRules"], "loads"); };
  for (std::uint64_t i = 1; i <= kReloads; ++i) {
    const std::string more = i % 2 == 0 ? "" : Rule("More", "evt.type in (mkdir, mkdirat) and fd.name = /nowhere");
    Write("rules.yaml", Rule("Secret read", Reads("secret")) + more);
    // A signal that waits already is not sent twice: each reload is waited for.
    const bool reloaded = agent().Signal(SIGHUP).ok() && Eventually([&] { return loads() > i; });
    EXPECT_TRUE(reloaded) << agent().Log();
    if (!reloaded) break;
  }
  over = true;
  loop.join();
  const auto matches = [this] { return Count(AgentStatus()["detectionRules"]["rules"][0], "matches"); };
  Eventually([&] { return matches() >= triggers; });
  EXPECT_EQ(matches(), triggers) << agent().Log();
  EXPECT_EQ(Count(AgentStatus()["detectionRules"]["rules"][0], "missed"), 0U) << "and the sensors lost nothing";
}

// More hits than anybody wants to read: all are counted, few are reported, and another rule is not hidden.
TEST_F(Rules, AFloodIsCountedAndHidesNoOtherRule) {
  constexpr std::uint64_t kThreads = 2, kOpens = 100'000;
  Write("rules.yaml", Rule("Loud", Reads("other")) + Rule("Quiet", Reads("secret")));
  Start({"--rules", File("rules.yaml"), "--rules-rate", "100"});
  if (fixture_ == nullptr) return;
  std::vector<std::thread> threads;
  for (std::uint64_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([path = File("other")] {
      for (std::uint64_t n = 0; n < kOpens; ++n) close(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    });
  }
  for (std::thread& thread : threads) thread.join();
  Run("web", {"/bin/cat", File("secret")});
  EXPECT_TRUE(Eventually(
      [&] {
        const auto all = Detections({"--workload", "shop/web"});
        return std::any_of(all.begin(), all.end(), [](const json& hit) { return hit["rule"] == "Quiet"; });
      },
      std::chrono::seconds(30)))
      << agent().Log();
  json loud;
  const auto told = [&] {
    loud = AgentStatus()["detectionRules"]["rules"][0];
    return Count(loud, "matches") + Count(loud, "missed");
  };
  EXPECT_TRUE(Eventually([&] { return told() >= kThreads * kOpens; }, std::chrono::seconds(30))) << loud;
  EXPECT_GE(Count(loud, "matches"), 1U);
  EXPECT_LE(Count(loud, "matches"), kThreads * kOpens);
  EXPECT_GT(Count(loud, "lost"), 0U) << "hits beyond the rate";
  const std::vector<json> reported = Detections();
  EXPECT_LT(reported.size(), 10'000U);
}

}  // namespace
}  // namespace sluice::test
