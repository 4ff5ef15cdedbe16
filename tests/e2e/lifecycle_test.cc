// The agent stops and starts; enforcement stays.
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "bpf/abi/policy.h"
#include "kernel/bpf/map.h"
#include "kernel/bpf/object.h"
#include "kernel/bpf/pin_layout.h"
#include "testbed/traffic.h"
#include "tests/e2e/api_client.h"
#include "tests/e2e/constants.h"
#include "tests/e2e/two_states.h"
#include "tests/support/environment.h"
#include "tests/support/node_fixture.h"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;

constexpr const char* kOnlyClient = R"(---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: server, namespace: shop}
spec:
  podSelector: {matchLabels: {app: server}}
  policyTypes: [Ingress]
  ingress:
    - from: [{podSelector: {matchLabels: {app: client}}}]
)";

// The kernel's endpoint numbers of the workloads.
StatusOr<std::map<std::string, std::uint32_t>> EndpointNumbers(const AgentProcess& agent) {
  SL_ASSIGN_OR_RETURN(const Fd fd, bpf::OpenPinnedMap(bpf::PinLayout(agent.bpf_root()).map("addresses")));
  SL_ASSIGN_OR_RETURN(const auto map, (bpf::Map<__u32, sl_address_entry>::Bind(fd.get(), "addresses")));
  std::map<std::string, std::uint32_t> numbers;
  SL_RETURN_IF_ERROR(map.ForEachBatch([&](const __u32&, const sl_address_entry& entry) {
    if (entry.value.endpoint != 0) numbers[policy::Address(entry.addr).ToString()] = entry.value.endpoint;
  }));
  return numbers;
}

class Lifecycle : public testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
    auto fixture = NodeFixture::Create({.pods = {"client", "other", "server"}, .args = {}, .outside = false});
    ASSERT_TRUE(fixture.ok()) << fixture.status();
    fixture_ = *std::move(fixture);
  }

  std::string Workloads() const {
    return fixture_->WorkloadYaml("client", "{app: client}") + fixture_->WorkloadYaml("other", "{app: other}") +
           fixture_->WorkloadYaml("server", "{app: server}");
  }

  void StartTraffic() {
    auto echo = EchoServer::Start(fixture_->netns_fd("server"), {kEcho});
    ASSERT_TRUE(echo.ok()) << echo.status();
    echo_ = *std::move(echo);
    Pinger::Options ping{
        .netns_fd = fixture_->netns_fd("client"), .destination = fixture_->ip4("server"), .port = kEcho};
    auto one_flow = Pinger::Start(ping);
    ping.new_flows = true;
    auto new_flows = Pinger::Start(ping);
    ping.netns_fd = fixture_->netns_fd("other");
    ping.patience = 0ms;
    auto denied = Pinger::Start(ping);
    ASSERT_TRUE(one_flow.ok() && new_flows.ok() && denied.ok());
    allowed_ = *std::move(one_flow);
    allowed_new_ = *std::move(new_flows);
    denied_ = *std::move(denied);
    auto stream = Stream::Open({.client_netns_fd = fixture_->netns_fd("client"),
                                .server_netns_fd = fixture_->netns_fd("server"),
                                .server = fixture_->ip4("server"),
                                .port = kStream});
    ASSERT_TRUE(stream.ok()) << stream.status();
    stream_ = *std::move(stream);
  }

  void AwaitTraffic(std::uint64_t more) const {
    const auto passed = [&] {
      return std::min({allowed_->counts().answered, allowed_new_->counts().answered, denied_->counts().sent});
    };
    const std::uint64_t target = passed() + more;
    ASSERT_TRUE(Eventually([&] { return passed() >= target; })) << passed() << " of " << target;
  }

  void ExpectNothingLostOrLetThrough() {
    for (Pinger* pinger : {allowed_.get(), allowed_new_.get(), denied_.get()}) pinger->Stop();
    EXPECT_EQ(allowed_->counts().lost, 0U);
    EXPECT_EQ(allowed_new_->counts().lost, 0U);
    EXPECT_EQ(echo_->ReceivedFrom(fixture_->ip4("other")), 0U);
    const Stream::Report report = stream_->Finish();
    EXPECT_EQ(report.problem, "");
    EXPECT_EQ(report.received[0], report.sent[0]);
    EXPECT_EQ(report.received[1], report.sent[1]);
    EXPECT_GT(report.received[0], 0U);
    EXPECT_EQ(report.retransmits, 0U);
    std::printf("%lu and %lu datagrams answered, %lu denied, %lu and %lu bytes streamed\n", allowed_->counts().answered,
                allowed_new_->counts().answered, denied_->counts().sent, report.received[0], report.received[1]);
  }

  std::unique_ptr<NodeFixture> fixture_;
  std::unique_ptr<EchoServer> echo_;
  std::unique_ptr<Pinger> allowed_;      // one flow
  std::unique_ptr<Pinger> allowed_new_;  // a new flow for each datagram
  std::unique_ptr<Pinger> denied_;
  std::unique_ptr<Stream> stream_;
};

TEST_F(Lifecycle, KillsAndStopsLoseNothingAndLetNothingThrough) {
  AgentProcess& agent = fixture_->agent();
  ASSERT_TRUE(agent.Apply(Workloads() + kOnlyClient).ok()) << agent.Log();
  // The numbers have another order than the names, so a restart must not simply count again.
  for (const char* name : {"client", "other"}) {
    ASSERT_TRUE(agent.Delete({policy::Kind::kWorkload, {"shop", name}}).ok());
  }
  ASSERT_TRUE(agent.Apply(fixture_->WorkloadYaml("other", "{app: other}")).ok());
  ASSERT_TRUE(agent.Apply(fixture_->WorkloadYaml("client", "{app: client}")).ok());
  const auto before = fixture_->Everything();
  ASSERT_TRUE(before.ok()) << before.status();
  const auto numbers = EndpointNumbers(agent);
  ASSERT_TRUE(numbers.ok()) << numbers.status();
  ASSERT_EQ(numbers->size(), 6U);
  ASSERT_LT(numbers->at(fixture_->ip4("other").ToString()), numbers->at(fixture_->ip4("client").ToString()));
  StartTraffic();

  for (const bool kill : {true, false, true, false, true}) {
    AwaitTraffic(30);
    const Status ended = kill ? agent.Kill() : agent.Stop();
    ASSERT_TRUE(ended.ok()) << ended;
    AwaitTraffic(30);
    const Status started = agent.Restart();
    ASSERT_TRUE(started.ok()) << started;
    const auto after = fixture_->Everything();
    ASSERT_TRUE(after.ok()) << after.status();
    EXPECT_EQ(*after, *before);
    const auto numbers_after = EndpointNumbers(agent);
    ASSERT_TRUE(numbers_after.ok()) << numbers_after.status();
    EXPECT_EQ(*numbers_after, *numbers);
  }
  AwaitTraffic(30);
  ExpectNothingLostOrLetThrough();
}

TEST_F(Lifecycle, KilledWhileItAppliesIsInTheOldOrTheNewStateWholly) {
  const char* const asked = std::getenv("SLUICE_KILLS");
  const int kills = asked == nullptr ? 12 : std::atoi(asked);
  AgentProcess& agent = fixture_->agent();
  const TwoStates states(*fixture_);
  ASSERT_TRUE(agent.Apply(fixture_->WorkloadYaml("server", "{app: server}") + states.Yaml(false)).ok()) << agent.Log();
  std::vector<ServerSpec> specs;
  for (const std::uint16_t port : TwoStates::kPorts) {
    specs.push_back({.netns_fd = fixture_->netns_fd("server"), .protocol = policy::kUdp, .port = port});
  }
  const auto servers = ProbeServers::Start(specs);
  ASSERT_TRUE(servers.ok()) << servers.status();

  std::mt19937 random(1);
  // Kills are spread over twice the time of a change on this machine.
  ApiClient timed(agent.api_address());
  const auto begin = std::chrono::steady_clock::now();
  for (const bool b : {true, false}) ASSERT_TRUE(timed.Apply(states.Yaml(b)).ok());
  const std::chrono::microseconds change =
      std::chrono::ceil<std::chrono::microseconds>((std::chrono::steady_clock::now() - begin) / 2);
  double span_us = static_cast<double>(change.count()) * 2;  // adapts, so that half of the kills come before the change
  bool in_b = false;
  int kept = 0;
  int unanswered_but_done = 0;
  for (int i = 0; i < kills; ++i) {
    const bool to_b = !in_b;
    bool answered = false;
    ApiClient api(agent.api_address());
    ASSERT_TRUE(api.ReadStatus().ok());  // connected
    std::thread applier([&] { answered = api.Apply(states.Yaml(to_b)).ok(); });

    std::this_thread::sleep_for(
        std::chrono::duration<double, std::micro>(std::uniform_real_distribution<>(0, span_us)(random)));
    const Status killed = agent.Kill();
    applier.join();
    ASSERT_TRUE(killed.ok()) << killed;
    const Status started = agent.Restart();
    ASSERT_TRUE(started.ok()) << started;

    const auto workloads = agent.Sluice({"get", "workload", "client", "-n", "shop", "-o", "yaml"});
    ASSERT_TRUE(workloads.ok()) << workloads.status();
    const bool now_b = workloads->out.find("role: b") != std::string::npos;
    EXPECT_TRUE(!answered || now_b == to_b) << "a change that was answered is lost";
    std::vector<Probe> probes;
    for (const std::uint16_t port : TwoStates::kPorts) {
      probes.push_back({.netns_fd = fixture_->netns_fd("client"),
                        .destination = fixture_->ip4("server"),
                        .protocol = policy::kUdp,
                        .port = port,
                        .timeout = TwoStates::Allows(now_b, port) ? 5000ms : 100ms});
    }
    const auto results = RunProbes(probes);
    ASSERT_TRUE(results.ok()) << results.status();
    for (std::size_t p = 0; p < probes.size(); ++p) {
      const bool allowed = TwoStates::Allows(now_b, probes[p].port);
      EXPECT_EQ((*results)[p].outcome, allowed ? ProbeOutcome::kAllowed : ProbeOutcome::kTimeout)
          << "iteration " << i << " port " << probes[p].port;
      const auto explained = fixture_->Explain("client", "server", fmt::format("{}/UDP", probes[p].port));
      ASSERT_TRUE(explained.ok()) << explained.status();
      EXPECT_EQ(*explained, allowed) << "iteration " << i << " port " << probes[p].port;
    }
    kept += now_b == in_b ? 1 : 0;
    span_us = now_b == in_b ? span_us * 1.2 : span_us / 1.2;
    unanswered_but_done += now_b == to_b && !answered ? 1 : 0;
    in_b = now_b;
  }
  std::printf(
      "A change takes %ld us. %d kills: %d left the old state, %d the new one (%d of them before the client was "
      "answered)\n",
      change.count(), kills, kept, kills - kept, unanswered_but_done);
}

}  // namespace
}  // namespace sluice::test
