// The agent without CAP_SYS_ADMIN, and its helper that has no other right: what works without the right, and what
// happens when either of the two is killed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <csignal>
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
using namespace std::chrono_literals;
using testing::HasSubstr;

bool Ends(const Fd& process, std::chrono::milliseconds patience = 20s) {
  pollfd polled{process.get(), POLLIN, 0};
  return poll(&polled, 1, static_cast<int>(patience.count())) == 1;
}

class Helper : public testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
    auto fixture = NodeFixture::Create({.pods = {"web", "db"}, .args = {}, .outside = false});
    ASSERT_TRUE(fixture.ok()) << fixture.status();
    fixture_ = *std::move(fixture);
    auto servers =
        ProbeServers::Start({{.netns_fd = fixture_->netns_fd("db"), .port = kOpen},
                             {.netns_fd = fixture_->netns_fd("db"), .protocol = policy::kUdp, .port = kOpen}});
    ASSERT_TRUE(servers.ok()) << servers.status();
    servers_ = *std::move(servers);
    ExpectApplied(fixture_->WorkloadYaml("web", "{app: web}") + fixture_->WorkloadYaml("db", "{app: db}") +
                  kDbAtUdp1000);
  }
  void ExpectApplied(const std::string& yaml) const {
    const Status applied = fixture_->agent().Apply(yaml);
    ASSERT_TRUE(applied.ok()) << applied;
  }
  void ExpectEnforces() const {
    EXPECT_EQ(fixture_->Udp("web", "db", kOpen, true), ProbeOutcome::kAllowed);
    EXPECT_EQ(fixture_->Tcp("web", "db", kOpen, false), ProbeOutcome::kTimeout);
  }
  // The agent's only child; -1: none.
  pid_t HelperPid() const {
    for (const auto& entry : fs::directory_iterator("/proc")) {
      std::ifstream file(entry.path() / "stat");
      std::string text;
      std::getline(file, text);
      const std::size_t name_ends = text.rfind(')');
      if (name_ends == std::string::npos) continue;
      std::istringstream rest(text.substr(name_ends + 1));
      std::string state;
      pid_t parent = -1;
      if (rest >> state >> parent && parent == fixture_->agent().pid()) return std::stoi(entry.path().filename());
    }
    return -1;
  }
  Fd HelperFd() const { return Fd(static_cast<int>(syscall(SYS_pidfd_open, HelperPid(), 0))); }
  std::string StatusText(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> args{"status"};
    args.insert(args.end(), more.begin(), more.end());
    const auto status = fixture_->agent().Sluice(args);
    return status.ok() ? status->out : "";
  }

  std::unique_ptr<NodeFixture> fixture_;
  std::unique_ptr<ProbeServers> servers_;
};

TEST_F(Helper, StatusTellsWhoHasWhichRight) {
  const auto status = nlohmann::json::parse(StatusText({"-o", "json"}), nullptr, false);
  std::set<std::string> of_the_helper;
  for (const auto& right : status["helperRights"]) {
    of_the_helper.insert(right["name"]);
    EXPECT_NE(right.value("use", ""), "") << right;
  }
  EXPECT_THAT(of_the_helper, testing::ElementsAre("CAP_KILL", "CAP_SYS_ADMIN")) << status.dump();
  for (const auto& right : status["rights"]) EXPECT_FALSE(of_the_helper.contains(right["name"])) << right;
  EXPECT_EQ(status["helperConfinement"].size(), 2U);
  EXPECT_THAT(StatusText(), HasSubstr("RIGHT OF THE HELPER"));
}

// The agent's later work does not need the right that it gave up.
TEST_F(Helper, TheAgentFollowsPodsWithoutTheRight) {
  ExpectEnforces();
  ASSERT_TRUE(fixture_->node().AddPod("late").ok());
  ExpectApplied(fixture_->WorkloadYaml("late", "{app: late}"));
  EXPECT_EQ(fixture_->Udp("late", "db", kOpen, true), ProbeOutcome::kAllowed);
  EXPECT_EQ(fixture_->Tcp("late", "db", kOpen, false), ProbeOutcome::kTimeout);
  // A new address inside a pod becomes the workload's.
  ASSERT_TRUE(fixture_->node().netns(fixture_->node().pod("late")).Ip("addr add 10.1.0.77/32 dev eth0\n").ok());
  EXPECT_TRUE(Eventually([&] {
    const auto told =
        fixture_->agent().Sluice({"explain", "--from", "10.1.0.77", "--to", "shop/db", "--port", "1000/UDP"});
    return told.ok() && told->out.find("shop/late") != std::string::npos;
  })) << fixture_->agent().Log();
  ExpectEnforces();
  EXPECT_THAT(fixture_->agent().Log(), testing::Not(HasSubstr("not permitted")));
}

TEST_F(Helper, WhenItIsKilledTheAgentEndsAndSaysSoAndTheNextIsWhole) {
  const pid_t helper = HelperPid();
  ASSERT_GT(helper, 0);
  const Fd agent(static_cast<int>(syscall(SYS_pidfd_open, fixture_->agent().pid(), 0)));
  ASSERT_EQ(kill(helper, SIGKILL), 0);
  ASSERT_TRUE(Ends(agent)) << fixture_->agent().Log();
  siginfo_t how{};
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(fixture_->agent().pid()), &how, WEXITED | WNOWAIT), 0);
  EXPECT_EQ(how.si_code, CLD_EXITED);
  EXPECT_EQ(how.si_status, 1) << "so that it is started again";
  EXPECT_THAT(fixture_->agent().Log(), HasSubstr("the attached programs continue to enforce"));
  EXPECT_THAT(fixture_->agent().Log(), HasSubstr("signal 9"));
  ExpectEnforces();
  fixture_->agent().Kill().IgnoreError();  // reaps it
  const auto restarted = fixture_->agent().Restart();
  ASSERT_TRUE(restarted.ok()) << restarted;
  ExpectEnforces();
  EXPECT_NE(HelperPid(), helper);
  ASSERT_TRUE(fixture_->node().AddPod("late").ok());
  ExpectApplied(fixture_->WorkloadYaml("late", "{app: late}"));
  EXPECT_EQ(fixture_->Udp("late", "db", kOpen, true), ProbeOutcome::kAllowed);
}

TEST_F(Helper, EndsWithAnAgentThatIsKilled) {
  const Fd helper = HelperFd();
  ASSERT_TRUE(helper.valid());
  ASSERT_TRUE(fixture_->agent().Kill().ok());
  EXPECT_TRUE(Ends(helper));
  ExpectEnforces();
}

// A stop signal to the whole process group, like a service manager's.
TEST_F(Helper, DoesNotEndBeforeAnAgentThatIsStopped) {
  const Fd helper = HelperFd();
  ASSERT_EQ(kill(HelperPid(), SIGTERM), 0);
  EXPECT_FALSE(Ends(helper, 200ms));
  EXPECT_TRUE(fixture_->agent().Stop().ok());
  EXPECT_TRUE(Ends(helper));
}

}  // namespace
}  // namespace sluice::test
