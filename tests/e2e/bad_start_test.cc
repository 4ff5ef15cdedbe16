// Starts that must fail: one clear error, the right exit code, and no change to a running agent or to an earlier one's
// state.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tests/e2e/constants.h"
#include "tests/support/environment.h"
#include "tests/support/node_fixture.h"

namespace sluice::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class BadStart : public testing::Test {
 protected:
  static void TearDownTestSuite() { Discard(); }
  // Call it after a test that changed the first agent or its state: the next test gets a new one.
  static void Discard() {
    servers_.reset();
    fixture_.reset();
  }

  void TearDown() override {
    if (HasFailure()) Discard();
  }

  void SetUp() override {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
    if (fixture_ == nullptr) {
      auto fixture = NodeFixture::Create({.pods = {"web", "db"}, .args = {}, .outside = false});
      ASSERT_TRUE(fixture.ok()) << fixture.status();
      auto servers = ProbeServers::Start({{.netns_fd = (*fixture)->netns_fd("db"), .port = kPort}});
      ASSERT_TRUE(servers.ok()) << servers.status();
      ASSERT_TRUE((*fixture)
                      ->agent()
                      .Apply((*fixture)->WorkloadYaml("web", "{}") + (*fixture)->WorkloadYaml("db", "{}") + kDenyAll)
                      .ok());
      fixture_ = *std::move(fixture);
      servers_ = *std::move(servers);
    }
    other_ = fixture_->agent().directory() + "/" + testing::UnitTest::GetInstance()->current_test_info()->name();
  }

  // Directories and addresses of a separate agent; those named in `shared` are the first agent's.
  Arguments Places(const std::string& shared = "") const {
    const AgentProcess& first = fixture_->agent();
    const auto place = [&](const std::string& option, const std::string& of_first, const std::string& own) {
      return option == shared ? of_first : own;
    };
    return {"--state-dir", place("--state-dir", first.state_dir(), other_ + "/state"),
            "--bpf-root",  place("--bpf-root", first.bpf_root(), OtherRoot()),
            "--api",       place("--api", first.api_address(), "unix://" + other_ + "/api.sock"),
            "--metrics",   place("--metrics", first.metrics_address(), "127.0.0.1:9465")};
  }

  CommandResult Start(Arguments arguments, const Arguments& before = {}) const {
    arguments.insert(arguments.begin(), BinDirectory() + "/sluiced");
    arguments.insert(arguments.begin(), before.begin(), before.end());
    const auto result = fixture_->Run(arguments, 20);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *result : CommandResult{};
  }

  static Arguments And(Arguments first, const Arguments& second) {
    first.insert(first.end(), second.begin(), second.end());
    return first;
  }

  static void ExpectError(const CommandResult& result, int exit_code, const std::vector<std::string>& needles) {
    EXPECT_EQ(result.exit_code, exit_code) << result.output;
    for (const std::string& needle : needles) EXPECT_THAT(result.output, HasSubstr(needle));
  }

  // Expects one line, apart from warnings.
  static void ExpectOneError(const CommandResult& result, int exit_code, const std::vector<std::string>& needles) {
    ExpectError(result, exit_code, needles);
    std::size_t errors = 0;
    for (std::size_t at = 0; (at = result.output.find(" error ", at)) != std::string::npos; ++at) errors++;
    EXPECT_EQ(errors, 1U) << result.output;
  }

  void ExpectStillEnforced() const {
    EXPECT_EQ(fixture_->Tcp("web", "db", kPort, false), ProbeOutcome::kTimeout);
    for (const TestPod& pod : fixture_->node().pods()) EXPECT_EQ(TcPrograms(fixture_->node(), pod.host_ifindex), 2);
  }

  std::string OtherRoot() const { return fixture_->agent().bpf_root() + "-other"; }

  // No start of the test was to leave anything in the kernel.
  void CleanUpOther() const {
    EXPECT_FALSE(fs::exists(OtherRoot()));
    Start(And(Places(), {"--uninstall"}));
  }

  static inline std::unique_ptr<NodeFixture> fixture_;  // with the first agent; no test may change it
  static inline std::unique_ptr<ProbeServers> servers_;
  std::string other_;
};

TEST_F(BadStart, SecondAgentOfOnePlaceIsRefusedAndDisturbsNobody) {
  const auto before = fixture_->Everything();
  ASSERT_TRUE(before.ok()) << before.status();
  const AgentProcess& first = fixture_->agent();
  const std::pair<std::string, std::string> cases[] = {
      {"--state-dir", first.state_dir()},
      {"--bpf-root", first.bpf_root()},
      {"--api", first.api_address().substr(std::string("unix://").size())},
      {"--metrics", first.metrics_address()}};
  for (const auto& [option, place] : cases) {
    SCOPED_TRACE(option);
    ExpectOneError(Start(Places(option)), 1, {place, "another"});
    const auto after = fixture_->Everything();
    ASSERT_TRUE(after.ok()) << after.status();
    EXPECT_EQ(*after, *before);
    ExpectStillEnforced();
  }
  CleanUpOther();
}

// A second agent with the same workloads must not attach to them before it finds that it cannot start.
TEST_F(BadStart, SecondAgentThatCannotStayLeavesThePodsAlone) {
  fs::create_directories(other_ + "/resources");
  std::ofstream(other_ + "/resources/all.yaml")
      << fixture_->WorkloadYaml("web", "{}") << fixture_->WorkloadYaml("db", "{}");
  for (const char* option : {"--api", "--metrics"}) {
    SCOPED_TRACE(option);
    ExpectOneError(Start(And(Places(option), {"--resources", other_ + "/resources"})), 1, {"another"});
    ExpectStillEnforced();
  }
  CleanUpOther();
}

TEST_F(BadStart, StateOfANewerVersionIsLeftAloneAndWhatIsPinnedStays) {
  ASSERT_TRUE(fixture_->agent().Stop().ok());
  const std::string path = fixture_->agent().state_dir() + "/state.db";
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(db, "PRAGMA user_version = 99", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(db);
  const auto bytes = [&] {
    std::ifstream file(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  const std::string before = bytes();
  const Status started = fixture_->agent().RestartHolding();
  ASSERT_TRUE(started.ok()) << started;
  ExpectStillEnforced();
  const auto refused = fixture_->agent().Sluice({"apply", "-f", "-"}, kDenyAll);
  EXPECT_NE(refused->exit_code, 0);
  EXPECT_THAT(refused->err, AllOf(HasSubstr(path), HasSubstr("newer version"), HasSubstr("99")));
  ASSERT_TRUE(fixture_->agent().Stop().ok());
  EXPECT_EQ(bytes(), before);
  ExpectStillEnforced();
  Discard();
}

TEST_F(BadStart, MissingRightIsNamed) {
  const Arguments without{"setpriv", "--bounding-set", "-bpf,-net_admin,-sys_admin,-perfmon"};
  ExpectOneError(Start(Places(), without), 1, {"CAP_BPF", "CAP_NET_ADMIN"});
  ExpectStillEnforced();
  CleanUpOther();
}

// Also when the programs were loaded and their maps pinned, as where the uplink is missing.
TEST_F(BadStart, OnlyDirectoriesThatItMadeAreRemoved) {
  const std::string parent = OtherRoot(), root = parent + "/made/root";
  const Arguments without{"setpriv", "--bounding-set", "-bpf,-net_admin,-sys_admin,-perfmon"};
  ASSERT_TRUE(fs::create_directory(parent));
  Arguments arguments = Places();
  arguments[3] = root;
  ExpectOneError(Start(arguments, without), 1, {"CAP_BPF"});
  EXPECT_TRUE(fs::is_empty(parent));
  ExpectOneError(Start(And(arguments, {"--uplink", "nope0"})), 1, {"nope0"});
  EXPECT_TRUE(fs::is_empty(parent));
  ASSERT_TRUE(fs::create_directories(root));
  ExpectOneError(Start(And(arguments, {"--uplink", "nope0"})), 1, {"nope0"});
  EXPECT_TRUE(fs::exists(root) && fs::is_empty(root)) << "it was there before";
  fs::remove_all(parent);
}

TEST_F(BadStart, ConfigurationErrorsAreUsageErrors) {
  const std::string config = fixture_->agent().directory() + "/sluice.toml";
  const auto with_config = [&](const std::string& text) {
    std::ofstream(config) << text;
    return Start({"--config", config});
  };
  ExpectError(with_config("state-dir = \"/tmp/x\"\nhistroy = 5\n"), 2, {config, "histroy"});
  ExpectError(with_config("history = many\n"), 2, {config, "history", "many"});
  ExpectError(Start({"--config", "/tmp/no-such.toml"}), 2, {"/tmp/no-such.toml"});
  ExpectError(Start({"--no-such-option"}), 2, {"--no-such-option"});
  ExpectError(Start({"--history", "many"}), 2, {"--history", "many"});
  ExpectError(Start(And(Places(), {"--metrics", "nonsense"})), 2, {"--metrics"});
  Arguments bad_metrics = Places();
  bad_metrics.back() = "nonsense";
  ExpectError(Start(bad_metrics), 2, {"nonsense", "IP:PORT"});
  ExpectStillEnforced();
  CleanUpOther();
}

TEST_F(BadStart, ResourcesDirectoryThatIsWrongIsAUsageError) {
  ExpectError(Start(And(Places(), {"--resources", "/tmp/no-such-directory"})), 2, {"/tmp/no-such-directory"});
  const std::string directory = other_ + "/resources";
  fs::create_directories(directory);
  std::ofstream(directory + "/a.yaml") << fixture_->WorkloadYaml("web", "{}");
  std::ofstream(directory + "/b.yaml") << "apiVersion: v1\nkind: Namespace\nmetadata: {nam: x}\n";
  ExpectOneError(Start(And(Places(), {"--resources", directory})), 2, {"b.yaml:3", "metadata", "nam"});
  std::ofstream(directory + "/b.yaml") << fixture_->WorkloadYaml("web", "{}");
  ExpectOneError(Start(And(Places(), {"--resources", directory})), 2,
                 {"b.yaml", "a.yaml", "shop/web", "defined twice"});
  ExpectStillEnforced();
  CleanUpOther();
}

TEST_F(BadStart, ExportFileThatCannotBeWrittenIsAUsageErrorAndTouchesNoPod) {
  fs::create_directories(other_ + "/resources");
  std::ofstream(other_ + "/resources/all.yaml")
      << fixture_->WorkloadYaml("web", "{}") << fixture_->WorkloadYaml("db", "{}");
  const std::string pipe = other_ + "/pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const std::pair<std::string, const char*> cases[] = {{other_ + "/no-such-directory/events", "No such file"},
                                                       {other_ + "/resources", "Is a directory"},
                                                       {other_ + "/resources/all.yaml/events", "Not a directory"},
                                                       {"/dev/null", "not a regular file"},
                                                       {pipe, pipe.c_str()}};
  for (const auto& [path, why] : cases) {
    SCOPED_TRACE(path);
    ExpectOneError(Start(And(Places(), {"--resources", other_ + "/resources", "--export-file", path})), 2,
                   {"--export-file", path, why});
    ExpectStillEnforced();
  }
  CleanUpOther();
}

TEST_F(BadStart, UplinkThatDoesNotExistIsNamed) {
  ExpectOneError(Start(And(Places(), {"--uplink", "nope0"})), 1, {"nope0", "No such device"});
  ExpectStillEnforced();
  CleanUpOther();
}

TEST_F(BadStart, OtherTableSizesThanThePinnedOnesAreExplained) {
  ASSERT_TRUE(fixture_->agent().Stop().ok());
  ExpectOneError(Start({"--state-dir", fixture_->agent().state_dir(), "--bpf-root", fixture_->agent().bpf_root(),
                        "--max-flows", "1024"}),
                 1, {"--max-", "--uninstall"});
  ExpectStillEnforced();
  ASSERT_TRUE(fixture_->agent().Restart().ok());
}

TEST(Hangup, WithResourcesThatAreWrongLeavesTheOldOnesInForce) {
  SL_REQUIRE_NETNS();
  SL_REQUIRE_BPF();
  const std::string directory = testing::TempDir() + "/sluice-hangup";
  fs::create_directories(directory);
  std::ofstream(directory + "/a.yaml") << "apiVersion: v1\nkind: Namespace\nmetadata: {name: first}\n";
  const auto fixture = NodeFixture::Create({.pods = {}, .args = {"--resources", directory}, .outside = false});
  ASSERT_TRUE(fixture.ok()) << fixture.status();
  const auto before = (*fixture)->Everything();
  ASSERT_TRUE(before.ok()) << before.status();
  EXPECT_THAT(*before, HasSubstr("first"));
  std::ofstream(directory + "/a.yaml") << "apiVersion: v1\nkind: Namespace\nmetadata: {nam: second}\n";
  ASSERT_TRUE((*fixture)->agent().Signal(SIGHUP).ok());
  ASSERT_TRUE(Eventually([&] { return (*fixture)->agent().Log().find("SIGHUP") != std::string::npos; }));
  EXPECT_THAT((*fixture)->agent().Log(), AllOf(HasSubstr("stay in force"), HasSubstr("a.yaml:3"), HasSubstr("nam")));
  const auto after = (*fixture)->Everything();
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ(*after, *before);
  std::ofstream(directory + "/a.yaml") << "apiVersion: v1\nkind: Namespace\nmetadata: {name: second}\n";
  ASSERT_TRUE((*fixture)->agent().Signal(SIGHUP).ok());
  EXPECT_TRUE(Eventually([&] {
    const auto now = (*fixture)->Everything();
    return now.ok() && now->find("second") != std::string::npos && now->find("first") == std::string::npos;
  }));
  fs::remove_all(directory);
}

}  // namespace
}  // namespace sluice::test
