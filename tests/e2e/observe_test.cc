// `sluice observe` with a real agent and real packets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <nlohmann/json.hpp>
#include <sstream>

#include "testbed/raw_link.h"
#include "testbed/traffic.h"
#include "tests/e2e/api_client.h"
#include "tests/e2e/constants.h"
#include "tests/support/environment.h"
#include "tests/support/node_fixture.h"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::HasSubstr;

constexpr char kForged[] = "198.51.100.77";

class Observe : public testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
    auto fixture = NodeFixture::Create({.pods = {"web", "db"}, .args = {}, .outside = false});
    ASSERT_TRUE(fixture.ok()) << fixture.status();
    fixture_ = *std::move(fixture);
    const Status applied = fixture_->agent().Apply(fixture_->WorkloadYaml("web", "{app: web}") +
                                                   fixture_->WorkloadYaml("db", "{app: db}") + kDbAtUdp1000);
    ASSERT_TRUE(applied.ok()) << applied;
  }

  ClientResult Sluice(Arguments arguments) const {
    const auto result = fixture_->agent().Sluice(arguments);
    EXPECT_TRUE(result.ok()) << result.status();
    if (!result.ok()) return {};
    EXPECT_EQ(result->exit_code, 0) << result->err;
    return *result;
  }
  std::vector<json> Ask(Arguments arguments) const {
    arguments.insert(arguments.begin(), "observe");
    arguments.insert(arguments.end(), {"-o", "json"});
    std::vector<json> events;
    std::istringstream lines(Sluice(arguments).out);
    for (std::string line; std::getline(lines, line);) events.push_back(json::parse(line));
    return events;
  }
  // Datagrams from web to db, each in its own flow.
  void Send(std::uint16_t port, std::uint64_t count) const {
    const auto pinger = Pinger::Start({.netns_fd = fixture_->netns_fd("web"),
                                       .destination = fixture_->ip4("db"),
                                       .port = port,
                                       .interval = 1ms,
                                       .new_flows = true,
                                       .patience = 0ms});
    ASSERT_TRUE(pinger.ok()) << pinger.status();
    ASSERT_TRUE(Eventually([&] { return (*pinger)->counts().sent >= count; }));
  }
  std::string Metrics() const {
    const auto got = fixture_->Run(
        {"curl", "--silent", "--noproxy", "*", "http://" + fixture_->agent().metrics_address() + "/metrics"});
    EXPECT_TRUE(got.ok() && got->exit_code == 0) << got.status();
    return got.ok() ? got->output : "";
  }
  bool IsFollowed() const {
    const auto status = ApiClient(fixture_->agent().api_address()).ReadStatus();
    return status.ok() && status->followers() == 1;
  }

  std::unique_ptr<NodeFixture> fixture_;
};

TEST_F(Observe, FiltersAreTheAgents) {
  Send(kOpen, 30);
  Send(kClosed, 30);
  EXPECT_EQ(Ask({}).size(), 20U) << "the last ones";
  const auto all = Ask({"--all", "--type", "flow"});
  EXPECT_GE(all.size(), 60U);
  const auto denied = Ask({"--all", "--from", "app=web", "--to", "shop/db", "--drop-reason", "POLICY_DENIED"});
  ASSERT_GE(denied.size(), 30U);
  for (const json& flow : denied) EXPECT_EQ(flow["l4"]["destinationPort"], kClosed) << flow;
  const auto others = Ask({"--all", "--type", "flow", "--protocol", "udp", "--not", "--port", "1001/UDP"});
  ASSERT_GE(others.size(), 30U);
  for (const json& flow : others) EXPECT_EQ(flow["verdict"], "FORWARDED") << flow;
  const auto by_policy = Ask({"--last", "3", "-n", "shop", "--policy", "db", "--ip", fixture_->ip4("web").ToString()});
  EXPECT_EQ(by_policy.size(), 3U);
  EXPECT_TRUE(Ask({"--all", "--to", "shop/web", "--port", "1000"}).empty());
  EXPECT_TRUE(Ask({"--until", "2020-01-01T00:00:00Z"}).empty());
  EXPECT_GE(Ask({"--since", "1m", "--type", "flow"}).size(), 60U);

  const auto mistyped = Sluice({"observe", "--workload", "shop/wep"});
  EXPECT_EQ(mistyped.out, "");
  EXPECT_THAT(mistyped.err, HasSubstr("shop/wep: the agent knows none of this name now; did you mean shop/web?"));
  const std::string wide = Sluice({"observe", "--last", "1", "--verdict", "DROPPED", "-o", "wide"}).out;
  EXPECT_THAT(wide, HasSubstr("(" + fixture_->ip4("web").ToString() + ", identity "));
  EXPECT_THAT(wide, HasSubstr("a deny rule, or no rule allows it"));
}

TEST_F(Observe, AForgedSourceNamesTheWorkloadThatSent) {
  const auto web = RawLink::Open(fixture_->netns_fd("web"), "eth0");
  ASSERT_TRUE(web.ok()) << web.status();
  const Frame frame =
      (Eth{} / Ipv4{.src = kForged, .dst = fixture_->ip4("db").ToString()} / Udp{.dport = kOpen}).ToFrame();
  ASSERT_TRUE(web->Send(frame).ok());
  std::vector<json> flows;
  ASSERT_TRUE(Eventually([&] {
    flows = Ask({"--drop-reason", "SPOOFED_SOURCE", "--from", "shop/web", "--ip", kForged});
    return !flows.empty();
  }));
  EXPECT_EQ(flows[0]["source"]["workload"], "web") << flows[0];
  EXPECT_EQ(flows[0]["source"]["labels"]["app"], "web");
  EXPECT_EQ(flows[0]["ip"]["source"], kForged);
  EXPECT_THAT(Sluice({"observe", "--ip", kForged}).out,
              HasSubstr(fmt::format("shop/web:40000 ({}) -> shop/db:1000", kForged)));
  EXPECT_TRUE(Eventually([&] {
    const std::string metrics = Metrics();
    return metrics.find(
               "sluice_workload_packets_total{namespace=\"shop\",workload=\"web\",direction=\"egress\","
               "verdict=\"DROPPED\",reason=\"SPOOFED_SOURCE\"} 1\n") != std::string::npos;
  })) << Metrics();
}

TEST_F(Observe, FollowsAnAgentThatStartsAgain) {
  auto observer = ChildProcess::Start({BinDirectory() + "/sluice", "--server", fixture_->agent().api_address(),
                                       "observe", "-f", "--type", "flow", "--port", "1000,1001"});
  ASSERT_TRUE(observer.ok()) << observer.status();
  ASSERT_TRUE(Eventually([&] { return IsFollowed(); }));
  Send(kOpen, 1);
  ASSERT_TRUE(observer->WaitForOutput("shop/db:1000").ok());
  ASSERT_TRUE(fixture_->agent().Stop().ok());
  ASSERT_TRUE(observer->WaitForOutput("trying again").ok());
  ASSERT_TRUE(fixture_->agent().Restart().ok());
  const auto again = observer->WaitForOutput("is back", 30);
  ASSERT_TRUE(again.ok()) << again.status();
  ASSERT_TRUE(Eventually([&] { return IsFollowed(); }));
  Send(kClosed, 1);
  EXPECT_TRUE(observer->WaitForOutput("shop/db:1001").ok());
  ASSERT_TRUE(observer->Signal(SIGINT).ok());
  const auto ended = observer->Wait();
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->exit_code, 0) << ended->output;
}

}  // namespace
}  // namespace sluice::test
