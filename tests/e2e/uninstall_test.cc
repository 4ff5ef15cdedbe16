// Uninstall leaves nothing behind, and refuses while an agent runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/e2e/constants.h"
#include "tests/support/environment.h"
#include "tests/support/node_fixture.h"

namespace sluice::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Uninstall : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
    auto fixture = NodeFixture::Create({.pods = {"web", "db"}, .args = {"--uplink", "uplink"}, .outside = true});
    ASSERT_TRUE(fixture.ok()) << fixture.status();
    fixture_ = *std::move(fixture);
    auto servers = ProbeServers::Start({{.netns_fd = fixture_->netns_fd("db"), .port = kPort}});
    ASSERT_TRUE(servers.ok()) << servers.status();
    servers_ = *std::move(servers);
    const Status applied =
        fixture_->agent().Apply(fixture_->WorkloadYaml("web", "{}") + fixture_->WorkloadYaml("db", "{}") + kDenyAll);
    ASSERT_TRUE(applied.ok()) << applied;
  }

  // The parameter selects `sluice uninstall` or `sluiced --uninstall`.
  CommandResult Perform() const {
    const AgentProcess& agent = fixture_->agent();
    const auto result = std::string(GetParam()) == "sluice"
                            ? fixture_->Run({BinDirectory() + "/sluice", "--server", agent.api_address(), "uninstall",
                                             "--bpf-root", agent.bpf_root(), "--state-dir", agent.state_dir()})
                            : fixture_->Sluiced({"--uninstall"});
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *result : CommandResult{};
  }

  int AttachedPrograms() const {
    int programs = HasXdp(fixture_->node(), fixture_->node().outside().host_ifindex) ? 1 : 0;
    for (const TestPod& pod : fixture_->node().pods()) programs += TcPrograms(fixture_->node(), pod.host_ifindex);
    return programs;
  }

  std::unique_ptr<NodeFixture> fixture_;
  std::unique_ptr<ProbeServers> servers_;
};

TEST_P(Uninstall, IsRefusedWhileAnAgentRunsAndThenLeavesNothing) {
  ASSERT_EQ(AttachedPrograms(), 5);
  const CommandResult refused = Perform();
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.output, HasSubstr("in use by another agent"));
  EXPECT_EQ(AttachedPrograms(), 5);
  EXPECT_TRUE(fs::exists(fixture_->agent().state_dir() + "/state.db"));
  EXPECT_EQ(fixture_->Tcp("web", "db", kPort, false), ProbeOutcome::kTimeout);

  ASSERT_TRUE(fixture_->agent().Stop().ok());
  EXPECT_EQ(AttachedPrograms(), 5);
  EXPECT_EQ(fixture_->Tcp("web", "db", kPort, false), ProbeOutcome::kTimeout);

  const CommandResult done = Perform();
  EXPECT_EQ(done.exit_code, 0) << done.output;
  EXPECT_THAT(done.output, HasSubstr("detached from the interfaces of 2 pods"));
  EXPECT_EQ(AttachedPrograms(), 0);
  EXPECT_FALSE(fs::exists(fixture_->agent().bpf_root()));
  EXPECT_FALSE(fs::exists(fixture_->agent().state_dir()));
  EXPECT_EQ(fixture_->Tcp("web", "db", kPort, true), ProbeOutcome::kAllowed);
  EXPECT_EQ(Perform().exit_code, 0) << "nothing to do is no error";

  const Status again = fixture_->agent().Restart();
  ASSERT_TRUE(again.ok()) << again;
  const auto everything = fixture_->Everything();
  ASSERT_TRUE(everything.ok()) << everything.status();
  EXPECT_THAT(*everything, Not(HasSubstr("web")));
}

TEST_P(Uninstall, RemovesTheSocketOfAnAgentThatWasKilled) {
  const std::string socket = fixture_->agent().api_address().substr(std::string("unix://").size());
  ASSERT_TRUE(fixture_->agent().Kill().ok());
  ASSERT_TRUE(fs::is_socket(socket));
  const CommandResult done = Perform();
  EXPECT_EQ(done.exit_code, 0) << done.output;
  EXPECT_FALSE(fs::exists(fs::symlink_status(socket)));
  EXPECT_EQ(AttachedPrograms(), 0);

  std::ofstream(socket) << "precious";
  EXPECT_EQ(Perform().exit_code, 0);
  EXPECT_TRUE(fs::is_regular_file(socket)) << "no socket";
}

INSTANTIATE_TEST_SUITE_P(By, Uninstall, testing::Values("sluice", "sluiced"),
                         [](const auto& info) { return std::string(info.param); });

TEST(UninstallPath, WhereNoAgentPinnedAnythingNothingIsRemoved) {
  SL_REQUIRE_BPF();
  const std::string directory = testing::TempDir() + "/sluice-not-bpffs";
  fs::create_directories(directory + "/precious");
  const auto result = RunCommand(
      {BinDirectory() + "/sluiced", "--uninstall", "--bpf-root", directory, "--state-dir", directory + "/state"});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 2);
  EXPECT_THAT(result->output, HasSubstr(directory + ": not on a BPF file system"));
  EXPECT_TRUE(fs::exists(directory + "/precious"));
  fs::remove_all(directory);
}

TEST(UninstallPath, WhatIsNotTheSluicesStays) {
  SL_REQUIRE_BPF();
  const std::string directory = testing::TempDir() + "/sluice-state-with-more";
  fs::create_directories(directory);
  std::ofstream(directory + "/mine.txt") << "keep";
  const auto result = RunCommand(
      {BinDirectory() + "/sluice", "uninstall", "--bpf-root", directory + "/none", "--state-dir", directory});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 0) << result->output;
  EXPECT_THAT(result->output, HasSubstr(directory + "/none: not there"));
  EXPECT_THAT(result->output, HasSubstr(directory + ": nothing was applied"));
  EXPECT_TRUE(fs::exists(directory + "/mine.txt"));
  fs::remove_all(directory);
}

TEST(UninstallPath, SocketThatAnotherAgentListensOnStays) {
  SL_REQUIRE_NETNS();
  SL_REQUIRE_BPF();
  const auto fixture = NodeFixture::Create({.pods = {}, .args = {}, .outside = false});
  ASSERT_TRUE(fixture.ok()) << fixture.status();
  const std::string& api = (*fixture)->agent().api_address();
  const Arguments places{"--bpf-root", "/sys/fs/bpf/sluice-no-such", "--state-dir", "/tmp/no-such-state"};
  for (Arguments arguments : {Arguments{BinDirectory() + "/sluice", "--server", api, "uninstall"},
                              Arguments{BinDirectory() + "/sluiced", "--api", api, "--uninstall"}}) {
    SCOPED_TRACE(arguments.front());
    arguments.insert(arguments.end(), places.begin(), places.end());
    const auto result = (*fixture)->Run(arguments);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->exit_code, 0) << result->output;
    EXPECT_TRUE((*fixture)->Everything().ok());
  }
}

TEST(UninstallPath, StateThatAnotherAgentUsesStays) {
  SL_REQUIRE_NETNS();
  SL_REQUIRE_BPF();
  const auto fixture = NodeFixture::Create({.pods = {}, .args = {}, .outside = false});
  ASSERT_TRUE(fixture.ok()) << fixture.status();
  const auto result = (*fixture)->Run({BinDirectory() + "/sluiced", "--uninstall", "--bpf-root",
                                       "/sys/fs/bpf/sluice-no-such", "--state-dir", (*fixture)->agent().state_dir()});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 1);
  EXPECT_THAT(result->output, HasSubstr("in use by another agent"));
  EXPECT_TRUE(fs::exists((*fixture)->agent().state_dir() + "/state.db"));
}

}  // namespace
}  // namespace sluice::test
