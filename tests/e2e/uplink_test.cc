// The node's uplinks: how they are attached, and that a card that returns is attached again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <net/if.h>

#include "testbed/command.h"
#include "tests/support/environment.h"
#include "tests/support/node_fixture.h"

namespace sluice::test {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kMakePlain = "link add plain0 type bridge\nlink set plain0 up\n";

class UplinkE2e : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!MissingNetNsRight().empty() || !MissingBpfRight().empty()) return;
    auto node = TestNode::Create({.pods = {}, .outside = true});
    ASSERT_TRUE(node.ok()) << node.status();
    node_ = *std::move(node);
    ASSERT_TRUE(node_->netns().Ip(kMakePlain).ok());
    auto agent = AgentProcess::Start({.netns_fd = node_->fd(), .args = {"--uplink", "plain0", "--uplink", "uplink"}});
    ASSERT_TRUE(agent.ok()) << agent.status();
    agent_ = *std::move(agent);
  }
  static void TearDownTestSuite() {
    agent_.reset();
    node_.reset();
  }
  void SetUp() override {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
    ASSERT_NE(agent_, nullptr);
  }

  static std::string Metrics() {
    std::string metrics;
    EXPECT_TRUE(node_
                    ->Run([&]() -> Status {
                      SL_ASSIGN_OR_RETURN(const CommandResult got,
                                          RunCommand({"curl", "--silent", "--noproxy", "*",
                                                      "http://" + agent_->metrics_address() + "/metrics"}));
                      metrics = got.output;
                      return OkStatus();
                    })
                    .ok());
    return metrics;
  }
  static std::string Attached(const char* mode) {
    return fmt::format("sluice_attached_programs{{program=\"xdp_uplink\",mode=\"{}\"}} 1", mode);
  }
  static bool IsPlainAttached() { return Metrics().find(Attached("xdp generic")) != std::string::npos; }

  static inline std::unique_ptr<TestNode> node_;
  static inline std::unique_ptr<AgentProcess> agent_;
};

TEST_F(UplinkE2e, WithoutNativeXdpIsAttachedGenericWithAWarningAndAMetric) {
  EXPECT_THAT(agent_->Log(), HasSubstr("uplink plain0: its driver has no native XDP"));
  EXPECT_THAT(agent_->Log(), Not(HasSubstr("uplink uplink: its driver")));
  const std::string metrics = Metrics();
  for (const char* mode : {"xdp generic", "xdp native"}) EXPECT_THAT(metrics, HasSubstr(Attached(mode)));
}

TEST_F(UplinkE2e, StatusSaysThatATunnelGoesThroughACard) {
  const auto status = [] {
    const auto result = agent_->Sluice({"status"});
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? result->out : "";
  };
  EXPECT_THAT(status(), Not(HasSubstr("carries")));
  ASSERT_TRUE(node_->netns().Ip("link add vx0 type vxlan id 7 dstport 4789 dev uplink\n").ok());
  EXPECT_THAT(status(), HasSubstr("\nuplink carries vxlan vx0: xdp_uplink sees only the outer packets\n"));
  EXPECT_THAT(status(), Not(HasSubstr("plain0 carries")));
  ASSERT_TRUE(node_->netns().Ip("link del vx0\n").ok());
  EXPECT_THAT(status(), Not(HasSubstr("carries")));
}

TEST_F(UplinkE2e, OneThatComesBackIsAttachedAgain) {
  ASSERT_TRUE(node_->netns().Ip("link del plain0\n").ok());
  EXPECT_TRUE(Eventually([] { return !IsPlainAttached(); }));
  EXPECT_TRUE(Eventually([] { return agent_->Log().find("uplink plain0: No such device") != std::string::npos; }));
  EXPECT_THAT(Metrics(), HasSubstr(Attached("xdp native"))) << "the other stays";
  ASSERT_TRUE(node_->netns().Ip(kMakePlain).ok());
  EXPECT_TRUE(Eventually(IsPlainAttached));
  std::uint32_t ifindex = 0;
  ASSERT_TRUE(node_
                  ->Run([&] {
                    ifindex = if_nametoindex("plain0");
                    return OkStatus();
                  })
                  .ok());
  EXPECT_TRUE(HasXdp(*node_, ifindex));
}

}  // namespace
}  // namespace sluice::test
