// Changes under load: no packet is evaluated by a mixture of old and new policy, and live flows are revoked or kept
// correctly.
#include <gtest/gtest.h>

#include <thread>

#include "testbed/traffic.h"
#include "tests/e2e/api_client.h"
#include "tests/e2e/constants.h"
#include "tests/e2e/two_states.h"
#include "tests/support/environment.h"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;

class Change : public testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
  }

  void Start(const std::vector<std::string>& args = {}) {
    auto fixture = NodeFixture::Create({.pods = {"client", "server"}, .args = args, .outside = false});
    ASSERT_TRUE(fixture.ok()) << fixture.status();
    fixture_ = *std::move(fixture);
    api_ = std::make_unique<ApiClient>(fixture_->agent().api_address());
    const Status applied = api_->Apply(fixture_->WorkloadYaml("client", "{app: client}") +
                                       fixture_->WorkloadYaml("server", "{app: server}"));
    ASSERT_TRUE(applied.ok()) << applied;
  }

  std::unique_ptr<Stream> OpenStream() const {
    auto stream = Stream::Open({.client_netns_fd = fixture_->netns_fd("client"),
                                .server_netns_fd = fixture_->netns_fd("server"),
                                .server = fixture_->ip4("server"),
                                .port = kStream});
    EXPECT_TRUE(stream.ok()) << stream.status();
    return stream.ok() ? *std::move(stream) : nullptr;
  }

  static bool Flows(const Stream& stream) {
    const Stream::Report before = stream.report();
    return Eventually([&] {
      const Stream::Report now = stream.report();
      return now.received[0] > before.received[0] + 10000 && now.received[1] > before.received[1] + 10000;
    });
  }

  // Allows the stream's port or another one, in the policies of both ends.
  static std::string AllowPort(int port) {
    return fmt::format(R"(---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: server, namespace: shop}}
spec:
  podSelector: {{matchLabels: {{app: server}}}}
  ingress: [{{ports: [{{protocol: TCP, port: {}}}]}}]
)",
                       port);
  }

  std::unique_ptr<NodeFixture> fixture_;
  std::unique_ptr<ApiClient> api_;
};

TEST_F(Change, NoProbeSeesAVerdictThatNeitherPolicyGives) {
  constexpr int kFlips = 2000;
  constexpr int kMinimalFlips = 500;  // on a very busy machine
  constexpr auto kAtMost = 30s;
  Start();
  const TwoStates states(*fixture_);
  ASSERT_TRUE(api_->Apply(states.Yaml(false)).ok());
  const auto echo =
      EchoServer::Start(fixture_->netns_fd("server"), {std::begin(TwoStates::kPorts), std::end(TwoStates::kPorts)});
  ASSERT_TRUE(echo.ok()) << echo.status();

  // Both policies allow port 1000, so each datagram is answered. None allows 1003, so none arrives.
  std::vector<std::unique_ptr<Pinger>> allowed;
  std::vector<std::unique_ptr<Pinger>> denied;
  std::vector<std::unique_ptr<Pinger>> changing;
  const auto start = [&](std::uint16_t port, bool new_flows, std::chrono::milliseconds patience, auto& into) {
    auto pinger = Pinger::Start({.netns_fd = fixture_->netns_fd("client"),
                                 .destination = fixture_->ip4("server"),
                                 .port = port,
                                 .interval = 100us,
                                 .new_flows = new_flows,
                                 .patience = patience});
    ASSERT_TRUE(pinger.ok()) << pinger.status();
    into.push_back(*std::move(pinger));
  };
  for (const bool new_flows : {false, true}) {
    start(1000, new_flows, 3000ms, allowed);
    start(1003, new_flows, 0ms, denied);
    start(1001, new_flows, 0ms, changing);
    start(1002, new_flows, 0ms, changing);
  }
  const auto stop_at = std::chrono::steady_clock::now() + kAtMost;
  int flips = 0;
  while (flips < kFlips && std::chrono::steady_clock::now() < stop_at) {
    const Status applied = api_->Apply(states.Yaml(++flips % 2 != 0));
    ASSERT_TRUE(applied.ok()) << applied;
  }
  std::uint64_t probes = 0;
  for (const auto* group : {&allowed, &denied, &changing}) {
    for (const auto& pinger : *group) {
      pinger->Stop();
      probes += pinger->counts().sent;
    }
  }
  for (const auto& pinger : allowed) {
    EXPECT_EQ(pinger->counts().lost, 0U) << "of " << pinger->counts().sent;
    EXPECT_GT(pinger->counts().answered, 1000U);
  }
  for (const auto& pinger : denied) EXPECT_GT(pinger->counts().sent, 1000U);
  EXPECT_EQ((*echo)->Received(1003), 0U);
  // The changes reached the packet path: both of these ports were open for part of the time.
  EXPECT_GT((*echo)->Received(1001), 0U);
  EXPECT_GT((*echo)->Received(1002), 0U);
  EXPECT_LT((*echo)->Received(1001), changing[0]->counts().sent + changing[2]->counts().sent);
  EXPECT_LT((*echo)->Received(1002), changing[1]->counts().sent + changing[3]->counts().sent);
  EXPECT_GE(flips, kMinimalFlips);
  const auto status = api_->ReadStatus();
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_GE(status->generation(), static_cast<std::uint64_t>(flips));
  std::printf("%d flips, %lu probes\n", flips, probes);
}

TEST_F(Change, AnAllowedStreamSurvivesUnrelatedChanges) {
  constexpr int kChanges = 200;
  Start();
  ASSERT_TRUE(api_->Apply(AllowPort(kStream)).ok());
  const auto stream = OpenStream();
  ASSERT_NE(stream, nullptr);
  for (int i = 0; i < kChanges; ++i) {
    const Status applied = api_->Apply(fmt::format(R"(---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: unrelated, namespace: shop}}
spec:
  podSelector: {{}}
  ingress: [{{ports: [{{protocol: TCP, port: {}}}], from: [{{ipBlock: {{cidr: 198.51.100.{}/32}}}}]}}]
)",
                                                   3000 + i, i));
    ASSERT_TRUE(applied.ok()) << applied;
  }
  ASSERT_TRUE(Flows(*stream));
  const Stream::Report report = stream->Finish();
  EXPECT_EQ(report.problem, "");
  EXPECT_EQ(report.received[0], report.sent[0]);
  EXPECT_EQ(report.received[1], report.sent[1]);
  EXPECT_EQ(report.retransmits, 0U);
  std::printf("%d changes, %lu and %lu bytes\n", kChanges, report.received[0], report.received[1]);
}

TEST_F(Change, ARevokedStreamIsCutBothWaysAndStaysCut) {
  Start();
  ASSERT_TRUE(api_->Apply(AllowPort(kStream)).ok());
  const auto stream = OpenStream();
  ASSERT_NE(stream, nullptr);
  ASSERT_TRUE(Flows(*stream));
  ASSERT_TRUE(api_->Apply(AllowPort(kStream + 1)).ok());
  // Data sent before the change may still be on its way to the test's own thread.
  Stream::Report cut = stream->report();
  ASSERT_TRUE(Eventually([&] {
    const Stream::Report before = std::exchange(cut, stream->report());
    return cut.sent[0] > cut.received[0] && cut.sent[1] > cut.received[1] && cut.received[0] == before.received[0] &&
           cut.received[1] == before.received[1];
  }));
  ASSERT_TRUE(Eventually([&] { return stream->report().retransmits >= 4; })) << "TCP tries again, in vain";
  const Stream::Report later = stream->report();
  EXPECT_EQ(later.received[0], cut.received[0]);
  EXPECT_EQ(later.received[1], cut.received[1]);
  EXPECT_EQ(later.problem, "") << "a cut is silence, no reset";
  // Allowed again: the flow continues where it stopped.
  ASSERT_TRUE(api_->Apply(AllowPort(kStream)).ok());
  EXPECT_TRUE(Flows(*stream));
  const Stream::Report report = stream->Finish();
  EXPECT_EQ(report.problem, "");
  EXPECT_EQ(report.received[0], report.sent[0]);
  EXPECT_EQ(report.received[1], report.sent[1]);
}

TEST_F(Change, KeepEstablishedKeepsWhatWasAllowedWhenItBegan) {
  Start({"--keep-established"});
  ASSERT_TRUE(api_->Apply(AllowPort(kStream)).ok());
  const auto stream = OpenStream();
  ASSERT_NE(stream, nullptr);
  ASSERT_TRUE(Flows(*stream));
  ASSERT_TRUE(api_->Apply(AllowPort(kStream + 1)).ok());
  EXPECT_TRUE(Flows(*stream));
  EXPECT_EQ(fixture_->Tcp("client", "server", kStream, false), ProbeOutcome::kTimeout) << "but nothing new";
  const Stream::Report report = stream->Finish();
  EXPECT_EQ(report.problem, "");
  EXPECT_EQ(report.received[0], report.sent[0]);
  EXPECT_EQ(report.retransmits, 0U);
}

}  // namespace
}  // namespace sluice::test
