// Two agents on one machine, and the notifications to a service manager.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdlib>
#include <filesystem>
#include <thread>

#include "testbed/traffic.h"
#include "tests/e2e/constants.h"
#include "tests/support/environment.h"
#include "tests/support/node_fixture.h"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class SideBySide : public testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
  }
};

TEST_F(SideBySide, TwoAgentsOfOneNodeEnforceEachItsOwn) {
  const auto fixture = NodeFixture::Create({.pods = {"web", "db", "cache"}, .args = {}, .outside = false});
  ASSERT_TRUE(fixture.ok()) << fixture.status();
  NodeFixture& node = **fixture;
  const auto servers = ProbeServers::Start(
      {{.netns_fd = node.netns_fd("db"), .port = kPort}, {.netns_fd = node.netns_fd("cache"), .port = kPort}});
  ASSERT_TRUE(servers.ok()) << servers.status();
  // The fixture's agent has db; the other one, with another metrics port, has cache.
  const std::string directory = node.agent().directory() + "/second";
  const std::string api = "unix://" + directory + "/api.sock";
  const std::string bpf_root = node.agent().bpf_root() + "-second";
  const Arguments places{"--state-dir", directory + "/state", "--bpf-root",    bpf_root, "--api",
                         api,           "--metrics",          "127.0.0.1:9465"};
  Arguments start{BinDirectory() + "/sluiced"};
  start.insert(start.end(), places.begin(), places.end());
  StatusOr<ChildProcess> second = Status(absl::StatusCode::kInternal, "not started");
  ASSERT_TRUE(node.node()
                  .Run([&] {
                    second = ChildProcess::Start(start);
                    return second.status();
                  })
                  .ok());
  const auto ready = second->WaitForOutput("enforcing;");
  ASSERT_TRUE(ready.ok()) << ready.status();
  const auto apply_second = [&](const std::string& yaml) {
    return RunChecked({BinDirectory() + "/sluice", "--server", api, "apply", "-f", "-"}, yaml);
  };

  ASSERT_TRUE(node.agent().Apply(node.WorkloadYaml("db", "{}") + kDenyAll).ok());
  EXPECT_EQ(node.Tcp("web", "db", kPort, false), ProbeOutcome::kTimeout);
  EXPECT_EQ(node.Tcp("web", "cache", kPort, true), ProbeOutcome::kAllowed);
  const Status applied = apply_second(node.WorkloadYaml("cache", "{}") + kDenyAll);
  ASSERT_TRUE(applied.ok()) << applied;
  EXPECT_EQ(node.Tcp("web", "cache", kPort, false), ProbeOutcome::kTimeout);
  ASSERT_TRUE(node.agent().Delete({policy::Kind::kNetworkPolicy, {"shop", "deny"}}).ok());
  EXPECT_EQ(node.Tcp("web", "db", kPort, true), ProbeOutcome::kAllowed);
  EXPECT_EQ(node.Tcp("web", "cache", kPort, false), ProbeOutcome::kTimeout);

  ASSERT_TRUE(second->Signal(SIGTERM).ok());
  const auto ended = second->Wait();
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->exit_code, 0) << ended->output;
  EXPECT_EQ(node.Tcp("web", "cache", kPort, false), ProbeOutcome::kTimeout);
  start.push_back("--uninstall");
  const auto uninstalled = node.Run(start);
  ASSERT_TRUE(uninstalled.ok()) << uninstalled.status();
  EXPECT_EQ(uninstalled->exit_code, 0) << uninstalled->output;
  EXPECT_EQ(node.Tcp("web", "cache", kPort, true), ProbeOutcome::kAllowed);
  EXPECT_EQ(TcPrograms(node.node(), node.node().pod("db").host_ifindex), 2);
}

TEST_F(SideBySide, TwoNodesWithTheSameAddressesDoNotMeet) {
  const auto one = NodeFixture::Create({.pods = {"web", "db"}, .args = {}, .outside = false});
  const auto two = NodeFixture::Create({.pods = {"web", "db"}, .args = {}, .outside = false});
  ASSERT_TRUE(one.ok()) << one.status();
  ASSERT_TRUE(two.ok()) << two.status();
  ASSERT_EQ((*one)->ip4("db"), (*two)->ip4("db"));
  const auto servers = ProbeServers::Start(
      {{.netns_fd = (*one)->netns_fd("db"), .port = kPort}, {.netns_fd = (*two)->netns_fd("db"), .port = kPort}});
  ASSERT_TRUE(servers.ok()) << servers.status();
  for (NodeFixture* fixture : {one->get(), two->get()}) {
    ASSERT_TRUE(fixture->agent().Apply(fixture->WorkloadYaml("web", "{}") + fixture->WorkloadYaml("db", "{}")).ok());
  }
  ASSERT_TRUE((*one)->agent().Apply(kDenyAll).ok());
  EXPECT_EQ((*one)->Tcp("web", "db", kPort, false), ProbeOutcome::kTimeout);
  EXPECT_EQ((*two)->Tcp("web", "db", kPort, true), ProbeOutcome::kAllowed);
}

// The socket that a service manager would listen on.
class NotifySocket {
 public:
  explicit NotifySocket(const std::string& path) : fd_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    bound_ = bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
    setenv("NOTIFY_SOCKET", path.c_str(), 1);
  }
  ~NotifySocket() { unsetenv("NOTIFY_SOCKET"); }
  bool bound() const { return bound_; }
  std::string Next() const {
    char text[512];
    const timeval limit{20, 0};
    setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    const ssize_t got = recv(fd_.get(), text, sizeof(text), 0);
    return got < 0 ? "" : std::string(text, static_cast<std::size_t>(got));
  }

 private:
  Fd fd_;
  bool bound_ = false;
};

TEST_F(SideBySide, ReadyIsSaidWhenEnforcementIsInPlace) {
  const auto fixture = NodeFixture::Create({.pods = {"web", "db"}, .args = {}, .outside = false});
  ASSERT_TRUE(fixture.ok()) << fixture.status();
  NodeFixture& node = **fixture;
  AgentProcess& agent = node.agent();
  ASSERT_TRUE(agent.Apply(node.WorkloadYaml("web", "{}") + node.WorkloadYaml("db", "{}") + kDenyAll).ok());
  ASSERT_TRUE(agent.Stop().ok());
  // As after a reboot: the state exists, the kernel is empty.
  const auto unpinned = node.Run(
      {BinDirectory() + "/sluice", "uninstall", "--bpf-root", agent.bpf_root(), "--state-dir", "/tmp/no-such-state"});
  ASSERT_TRUE(unpinned.ok()) << unpinned.status();
  ASSERT_EQ(unpinned->exit_code, 0) << unpinned->output;

  const auto echo = EchoServer::Start(node.netns_fd("db"), {kPort});
  ASSERT_TRUE(echo.ok()) << echo.status();
  const auto pinger = Pinger::Start({.netns_fd = node.netns_fd("web"),
                                     .destination = node.ip4("db"),
                                     .port = kPort,
                                     .interval = 200us,
                                     .new_flows = true,
                                     .patience = 0ms});
  ASSERT_TRUE(pinger.ok()) << pinger.status();
  ASSERT_TRUE(Eventually([&] { return (*echo)->Received(kPort) > 0; }));

  const NotifySocket manager(agent.directory() + "/notify");
  ASSERT_TRUE(manager.bound());
  std::string said;
  std::uint64_t passed_at_ready = 0;
  std::thread listener([&] {
    said = manager.Next();
    std::this_thread::sleep_for(2ms);  // packets on their way to the echo server's thread
    passed_at_ready = (*echo)->Received(kPort);
  });
  const Status started = agent.Restart();
  listener.join();
  ASSERT_TRUE(started.ok()) << started;
  EXPECT_THAT(said, HasSubstr("READY=1"));
  const std::uint64_t sent = (*pinger)->counts().sent;
  ASSERT_TRUE(Eventually([&] { return (*pinger)->counts().sent > sent + 200; }));
  (*pinger)->Stop();
  EXPECT_EQ((*echo)->Received(kPort), passed_at_ready) << "a denied datagram passed after READY=1";
  ASSERT_TRUE(agent.Stop().ok());
  do said = manager.Next();
  while (said.find("WATCHDOG=1") != std::string::npos);
  EXPECT_THAT(said, HasSubstr("STOPPING=1"));
}

}  // namespace
}  // namespace sluice::test
