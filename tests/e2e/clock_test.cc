// Sets the wall clock back and forth under a running agent. Only in the guest of scripts/test-vm, which has its own
// clock.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string_view>

#include "testbed/traffic.h"
#include "tests/e2e/constants.h"
#include "tests/support/environment.h"
#include "tests/support/node_fixture.h"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;

bool IsGuest() {
  char name[64] = "";
  return gethostname(name, sizeof(name)) == 0 && std::string_view(name) == "sluice-vm";
}

Status MoveClock(int seconds) {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  now.tv_sec += seconds;
  return clock_settime(CLOCK_REALTIME, &now) == 0 ? OkStatus() : ErrnoError(errno, "set the clock");
}

TEST(Clock, SetBackAndForthItMovesNothing) {
  if (!IsGuest()) GTEST_SKIP() << "sets the wall clock: only in the guest of scripts/test-vm";
  SL_REQUIRE_NETNS();
  SL_REQUIRE_BPF();
  auto made = NodeFixture::Create({.pods = {"web", "other", "db"}, .args = {}, .outside = false});
  ASSERT_TRUE(made.ok()) << made.status();
  NodeFixture& fixture = **made;
  const Status applied =
      fixture.agent().Apply(fixture.WorkloadYaml("web", "{app: web}") + fixture.WorkloadYaml("db", "{app: db}") +
                            fixture.WorkloadYaml("other", "{app: other}") + kDbFromWeb);
  ASSERT_TRUE(applied.ok()) << applied;
  auto echo = EchoServer::Start(fixture.netns_fd("db"), {kEcho});
  ASSERT_TRUE(echo.ok()) << echo.status();
  Pinger::Options ping{.netns_fd = fixture.netns_fd("web"),
                       .destination = fixture.ip4("db"),
                       .port = kEcho,
                       .interval = 10ms,
                       .patience = 10s};
  auto allowed = Pinger::Start(ping);
  ping.netns_fd = fixture.netns_fd("other");
  ping.patience = 0ms;
  auto denied = Pinger::Start(ping);
  ASSERT_TRUE(allowed.ok() && denied.ok());
  const auto await = [&](std::uint64_t more) {
    const std::uint64_t target = (*allowed)->counts().answered + more;
    return Eventually([&] { return (*allowed)->counts().answered >= target; }, 60s);
  };
  // The flow from web to db, as reported.
  const auto flow = [&]() -> nlohmann::json {
    const auto flows = fixture.agent().Sluice({"get", "flows", "-o", "json"});
    EXPECT_TRUE(flows.ok()) << flows.status();
    std::istringstream lines(flows.ok() ? flows->out : "");
    for (std::string line; std::getline(lines, line);) {
      auto one = nlohmann::json::parse(line);
      if (one["ip"]["source"] == fixture.ip4("web").ToString() &&
          one["ip"]["destination"] == fixture.ip4("db").ToString())
        return one;
    }
    ADD_FAILURE() << "it is not told: " << (flows.ok() ? flows->out + flows->err : "");
    return {};
  };
  ASSERT_TRUE(await(20));
  const auto first = flow();
  ASSERT_TRUE(first.contains("startTime")) << first.dump();
  for (const int seconds : {3600, -7200, 3600, -86400 * 400, 86400 * 400, 30, -30}) {
    ASSERT_TRUE(MoveClock(seconds).ok());
    ASSERT_TRUE(await(20)) << fixture.agent().Log();
    const auto now = flow();
    EXPECT_EQ(now.value("startTime", ""), first.value("startTime", "")) << "moved by " << seconds << " s";
    EXPECT_EQ(now.value("flowId", ""), first.value("flowId", "")) << "the same record";
  }
  const auto quarantined = fixture.agent().Sluice({"quarantine", "shop/web"});
  ASSERT_TRUE(quarantined.ok() && quarantined->exit_code == 0);
  const std::uint64_t cut_at = (*echo)->Received(kEcho);
  EXPECT_EQ(fixture.Udp("web", "db", kEcho, false), ProbeOutcome::kTimeout);
  EXPECT_LE((*echo)->Received(kEcho), cut_at + 1);
  const auto status = fixture.agent().Sluice({"status"});
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(status->exit_code, 0) << status->out << status->err;
  EXPECT_EQ((*echo)->ReceivedFrom(fixture.ip4("other")), 0U);
  EXPECT_GT((*denied)->counts().sent, 0U);
  const Status stopped = fixture.agent().Stop();
  EXPECT_TRUE(stopped.ok()) << "in its time: " << stopped;
}

}  // namespace
}  // namespace sluice::test
