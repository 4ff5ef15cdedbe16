// The agent under the shipped unit file, as far as possible without systemd (tests/tools/as_unit.cc), and the rights
// that it gives up by itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include <nlohmann/json.hpp>

#include "tests/e2e/constants.h"
#include "tests/support/environment.h"
#include "tests/support/node_fixture.h"

namespace sluice::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::UnorderedElementsAreArray;

std::string UnitFile() {
  const char* source = std::getenv("SLUICE_SOURCE_DIR");
  return (source != nullptr ? std::string(source) : std::string(".")) + "/deploy/sluice.service";
}

std::vector<std::string> Words(const std::string& text) {
  std::istringstream in(text);
  return {std::istream_iterator<std::string>(in), {}};
}

std::string UnitSetting(const std::string& name) {
  std::ifstream file(UnitFile());
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(name + "=")) return line.substr(name.size() + 1);
  }
  return "";
}

// "CapEff" -> "0000004000000000"
std::string ProcField(const std::string& status_file, const std::string& name) {
  std::ifstream file(status_file);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(name + ":")) return Words(line.substr(name.size() + 1)).front();
  }
  return "";
}

class AsShipped : public testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
  }
  void Start(const std::vector<std::string>& before) {
    auto fixture = NodeFixture::Create({.pods = {"web", "db"}, .args = {}, .outside = false, .before = before});
    ASSERT_TRUE(fixture.ok()) << fixture.status();
    fixture_ = *std::move(fixture);
    auto servers =
        ProbeServers::Start({{.netns_fd = fixture_->netns_fd("db"), .port = kPort},
                             {.netns_fd = fixture_->netns_fd("db"), .protocol = policy::kUdp, .port = kPort}});
    ASSERT_TRUE(servers.ok()) << servers.status();
    servers_ = *std::move(servers);
  }
  std::vector<std::string> Threads() const {
    std::vector<std::string> files;
    for (const auto& task : fs::directory_iterator(fmt::format("/proc/{}/task", fixture_->agent().pid())))
      files.push_back(task.path().string() + "/status");
    return files;
  }
  nlohmann::json ReadStatus() const {
    const auto status = fixture_->agent().Sluice({"status", "-o", "json"});
    return status.ok() ? nlohmann::json::parse(status->out, nullptr, false) : nlohmann::json();
  }
  void ExpectEnforces() const {
    const Status applied = fixture_->agent().Apply(fixture_->WorkloadYaml("web", "{app: web}") +
                                                   fixture_->WorkloadYaml("db", "{app: db}") + kDbAtUdp1000);
    ASSERT_TRUE(applied.ok()) << applied;
    EXPECT_EQ(fixture_->Udp("web", "db", kPort, true), ProbeOutcome::kAllowed);
    EXPECT_EQ(fixture_->Tcp("web", "db", kPort, false), ProbeOutcome::kTimeout);
  }

  std::unique_ptr<NodeFixture> fixture_;
  std::unique_ptr<ProbeServers> servers_;
};

TEST_F(AsShipped, TheUnitFilesRightsAreEnoughForEverything) {
  Start({BinDirectory() + "/as_unit", UnitFile()});
  ExpectEnforces();
  const nlohmann::json status = ReadStatus();
  std::set<std::string> present;
  for (const auto& feature : status["features"]) {
    if (feature.value("present", false)) present.insert(feature["name"]);
  }
  EXPECT_THAT(present, testing::IsSupersetOf({"netlink_all_namespaces", "process_sensors"}))
      << status["features"].dump();
  EXPECT_EQ(std::stoull(ProcField(Threads().front(), "CapBnd"), nullptr, 16) >> CAP_SYS_ADMIN & 1, 0U);
  const std::string limits = fmt::format("/proc/{}/limits", fixture_->agent().pid());
  std::ifstream file(limits);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  EXPECT_THAT(text, HasSubstr("Max core file size        0"));
  std::string score;
  std::ifstream(fmt::format("/proc/{}/oom_score_adj", fixture_->agent().pid())) >> score;
  const std::uint64_t rights = std::stoull(ProcField("/proc/self/status", "CapEff"), nullptr, 16);
  if ((rights >> CAP_SYS_RESOURCE & 1) != 0) {  // else it may not be lowered
    EXPECT_EQ(score, UnitSetting("OOMScoreAdjust"));
  }
  // Pod changes, hook policies, a restart, quarantine, events: none of the agent's work is refused.
  const Status hooked = fixture_->agent().Apply(
      "{apiVersion: cilium.io/v1alpha1, kind: TracingPolicyNamespaced, metadata: {name: opens, namespace: shop}, "
      "spec: {kprobes: [{call: sys_openat}]}}");
  EXPECT_TRUE(hooked.ok()) << hooked;
  EXPECT_EQ(fixture_->agent().Sluice({"quarantine", "shop/web"})->exit_code, 0);
  EXPECT_EQ(fixture_->agent().Sluice({"quarantine", "--release", "shop/web"})->exit_code, 0);
  EXPECT_EQ(fixture_->agent().Sluice({"get", "flows"})->exit_code, 0);
  EXPECT_EQ(fixture_->agent().Sluice({"get", "processes"})->exit_code, 0);
  ASSERT_TRUE(fixture_->agent().Stop().ok());
  const Status restarted = fixture_->agent().Restart();
  ASSERT_TRUE(restarted.ok()) << restarted;
  EXPECT_EQ(fixture_->Tcp("web", "db", kPort, false), ProbeOutcome::kTimeout);
  EXPECT_EQ(fixture_->agent().Sluice({"status"})->exit_code, 0) << "the hook policy is in force";
  EXPECT_THAT(fixture_->agent().Log(), testing::Not(HasSubstr("not permitted")));
}

TEST_F(AsShipped, TheAgentGivesUpByItselfWhatItDoesNotNeed) {
  Start({});
  ExpectEnforces();
  const nlohmann::json status = ReadStatus();
  std::vector<std::string> rights;
  for (const auto& right : status["rights"]) {
    rights.push_back(right["name"]);
    EXPECT_NE(right.value("use", ""), "") << right.dump();
  }
  std::vector<std::string> all = rights;
  all.emplace_back("CAP_SETPCAP");  // to give up the capabilities in neither list
  for (const auto& right : status["helperRights"]) all.push_back(right["name"]);
  EXPECT_THAT(all, UnorderedElementsAreArray(Words(UnitSetting("CapabilityBoundingSet")))) << "one list, two places";
  EXPECT_EQ(status["confinement"].size(), 2U) << status["confinement"].dump();
  const std::string held = ProcField(Threads().front(), "CapEff");
  EXPECT_EQ(__builtin_popcountll(std::stoull(held, nullptr, 16)), static_cast<int>(rights.size()));
  EXPECT_EQ(std::stoull(held, nullptr, 16) >> CAP_SYS_ADMIN & 1, 0U) << "the helper's";
  for (const std::string& thread : Threads()) {
    SCOPED_TRACE(thread);
    EXPECT_EQ(ProcField(thread, "CapEff"), held);
    EXPECT_EQ(ProcField(thread, "CapPrm"), held);
    EXPECT_EQ(ProcField(thread, "CapBnd"), held);
    EXPECT_EQ(std::stoull(ProcField(thread, "CapInh"), nullptr, 16), 0U);
    EXPECT_EQ(std::stoull(ProcField(thread, "CapAmb"), nullptr, 16), 0U);
    EXPECT_EQ(ProcField(thread, "NoNewPrivs"), "1");
    EXPECT_EQ(ProcField(thread, "Seccomp"), "2");
  }
}

// An existing directory keeps its mode; one that the agent makes is accessible to its user only.
TEST_F(AsShipped, DirectoriesThatWereThereKeepTheirRights) {
  Start({});
  const std::string state = fixture_->agent().state_dir();
  struct stat facts {};
  ASSERT_EQ(stat(state.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0700U);
  ASSERT_TRUE(fixture_->agent().Stop().ok());
  ASSERT_EQ(chmod(state.c_str(), 0750), 0);
  ASSERT_EQ(chmod(fixture_->agent().directory().c_str(), 0755), 0);
  ASSERT_TRUE(fixture_->agent().Restart().ok());
  ASSERT_EQ(stat(state.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0750U);
  ASSERT_EQ(stat(fixture_->agent().directory().c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0755U);
  ASSERT_EQ(stat((state + "/state.db").c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 077, 0U);
}

// A cgroup that can limit the number of processes and threads in it; "" when none can be made.
std::string MakePidsGroup() {
  const std::string v1 = "/sys/fs/cgroup/pids", v2 = "/sys/fs/cgroup", name = fmt::format("/sluice-test-{}", getpid());
  if (mkdir((v1 + name).c_str(), 0755) == 0) return v1 + name;
  if (mkdir((v2 + name).c_str(), 0755) != 0) return {};
  if (access((v2 + name + "/pids.max").c_str(), W_OK) == 0) return v2 + name;
  rmdir((v2 + name).c_str());
  return {};
}

// No new thread or process can be made: the agent still ends in time, and its enforcement stays.
TEST_F(AsShipped, EndsInItsTimeAlsoWithoutThreads) {
  const std::string group = MakePidsGroup();
  if (group.empty()) GTEST_SKIP() << "no cgroup with the controller pids can be made (CONFIG_CGROUP_PIDS)";
  Start({});
  ExpectEnforces();
  std::ofstream(group + "/cgroup.procs") << fixture_->agent().pid();
  std::ofstream(group + "/pids.max") << 1;
  ASSERT_TRUE(fixture_->node().netns().Ip("addr add 10.1.0.77/32 dev lo\n").ok());  // triggers a rescan
  EXPECT_EQ(fixture_->Udp("web", "db", kPort, true), ProbeOutcome::kAllowed);
  EXPECT_EQ(fixture_->Tcp("web", "db", kPort, false), ProbeOutcome::kTimeout);
  EXPECT_EQ(fixture_->agent().Log().find("following the node's interfaces"), std::string::npos) << "it needs no thread";
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(fixture_->agent().Stop().ok());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(12));
  EXPECT_EQ(fixture_->Tcp("web", "db", kPort, false), ProbeOutcome::kTimeout);
  EXPECT_TRUE(Eventually([&] { return rmdir(group.c_str()) == 0; }));
  ASSERT_TRUE(fixture_->agent().Restart().ok());
  EXPECT_EQ(fixture_->Udp("web", "db", kPort, true), ProbeOutcome::kAllowed);
}

}  // namespace
}  // namespace sluice::test
