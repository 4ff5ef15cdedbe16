// Quarantine with traffic at full rate: how fast it takes effect, that it holds whatever happens to the agent, and that
// the same connections continue after a release.
#include <absl/time/time.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "testbed/flood.h"
#include "tests/e2e/api_client.h"
#include "tests/support/environment.h"
#include "tests/support/node_fixture.h"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int kRounds = 7;
constexpr std::uint16_t kTcpPort = 2000, kUdpPort = 2001, kServedPort = 80;
constexpr const char* kForensics = "10.1.0.4";  // the third pod of a TestNode

double Microseconds(Flood::Time time) { return static_cast<double>(time.count()) / 1000; }

class QuarantineE2e : public testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
    auto fixture = NodeFixture::Create({.pods = {"client", "server", "forensics"},
                                        .args = {"--quarantine-allow", std::string(kForensics) + "/32"},
                                        .outside = false});
    ASSERT_TRUE(fixture.ok()) << fixture.status();
    fixture_ = *std::move(fixture);
    ASSERT_EQ(fixture_->ip4("forensics").ToString(), kForensics);
    std::string workloads;
    for (const char* pod : {"client", "server", "forensics"}) workloads += fixture_->WorkloadYaml(pod, "{}");
    const Status applied = fixture_->agent().Apply(workloads);
    ASSERT_TRUE(applied.ok()) << applied;
  }

  std::unique_ptr<Flood> OpenFlood(bool tcp) const {
    auto flood = Flood::Open({.tcp = tcp,
                              .client_netns_fd = fixture_->netns_fd("client"),
                              .server_netns_fd = fixture_->netns_fd("server"),
                              .server = fixture_->ip4("server"),
                              .port = tcp ? kTcpPort : kUdpPort});
    EXPECT_TRUE(flood.ok()) << flood.status();
    return flood.ok() ? *std::move(flood) : nullptr;
  }
  static bool Grows(const Flood& flood, std::uint64_t by, std::chrono::milliseconds patience = 10s) {
    const std::uint64_t target = flood.bytes() + by;
    return Eventually([&] { return flood.bytes() >= target; }, patience);
  }
  // No more packets arrive.
  static bool FallsSilent(const Flood& flood) {
    return Eventually([&] { return Flood::Now() - flood.last_arrival() > 300ms; });
  }
  // The flood continues to send.
  static bool Sends(const Flood& flood, std::uint64_t more) {
    const std::uint64_t target = flood.sends() + more;
    return Eventually([&] { return flood.sends() >= target; }, 60s);
  }
  static Status Quarantine(ApiClient& api, const std::string& workload, bool release = false) {
    v1::QuarantineRequest request;
    request.set_namespace_("shop");
    request.set_name(workload);
    request.set_release(release);
    grpc::ClientContext context;
    v1::QuarantineReply reply;
    return api::FromGrpc(api.stub().Quarantine(&context, request, &reply));
  }
  Status Quarantine(const std::string& workload, bool release = false) const {
    ApiClient api(fixture_->agent().api_address());
    return Quarantine(api, workload, release);
  }
  std::string Output(const std::vector<std::string>& arguments, int exit_code = 0) const {
    const auto result = fixture_->agent().Sluice(arguments);
    EXPECT_TRUE(result.ok()) << result.status();
    if (!result.ok()) return "";
    EXPECT_EQ(result->exit_code, exit_code) << result->err;
    return result->out + result->err;
  }
  // When the kernel saw the newest event of a hook.
  std::optional<Flood::Time> LastHookEvent() const {
    std::optional<Flood::Time> last;
    std::istringstream lines(Output({"observe", "--all", "--type", "hook", "-o", "json"}));
    for (std::string line; std::getline(lines, line);) {
      absl::Time time;
      const auto event = nlohmann::json::parse(line);
      if (absl::ParseTime(absl::RFC3339_full, event.value("time", ""), &time, nullptr))
        last = std::chrono::nanoseconds(absl::ToUnixNanos(time));
    }
    return last;
  }
  std::string MetricsPage() const {
    const auto page = fixture_->Run({"curl", "-sS", "http://" + fixture_->agent().metrics_address() + "/metrics"});
    EXPECT_TRUE(page.ok()) << page.status();
    return page.ok() ? page->output : "";
  }

  // A process of `client` hits a hook while it sends at full rate, several times. Prints how long packets still arrive.
  // `actions`: of the hook. `more`: documents beside the hook policy.
  void CutByHook(const std::string& actions, const std::string& more, const char* what) {
    const std::string file = testing::TempDir() + "/sluice-quarantine-" + std::to_string(getpid());
    std::ofstream(file) << "secret\n";
    const Status applied = fixture_->agent().Apply(
        fmt::format("{{apiVersion: cilium.io/v1alpha1, kind: TracingPolicyNamespaced, metadata: {{name: cut, "
                    "namespace: shop}}, spec: {{kprobes: [{{call: sys_openat, args: [{{index: 1, type: string}}], "
                    "selectors: [{{matchArgs: [{{index: 1, operator: Equal, values: [\"{}\"]}}], {}}}]}}]}}}}\n",
                    file, actions) +
        more);
    ASSERT_TRUE(applied.ok()) << applied << fixture_->agent().Log();
    const auto tcp = OpenFlood(true);
    const auto udp = OpenFlood(false);
    ASSERT_TRUE(tcp && udp);
    ApiClient api(fixture_->agent().api_address());
    std::vector<double> last;
    for (int round = 0; round < kRounds; ++round) {
      ASSERT_TRUE(Quarantine(api, "client", true).ok());
      ASSERT_TRUE(Grows(*tcp, 20 << 20, 60s) && Grows(*udp, 2 << 20));
      Flood::Time before{}, after{};
      const Status opened = fixture_->node().netns(fixture_->node().pod("client")).Run([&] {
        // The senders may be waiting for a CPU: begin while packets arrive.
        const auto patience = Flood::Now() + 5s;
        do before = Flood::Now();
        while (before - std::max(tcp->last_arrival(), udp->last_arrival()) > 20us && before < patience);
        const Fd fd(open(file.c_str(), O_RDONLY | O_CLOEXEC));
        after = Flood::Now();
        return fd.valid() ? OkStatus() : ErrnoError(errno, "open");
      });
      ASSERT_TRUE(opened.ok()) << opened;
      ASSERT_TRUE(FallsSilent(*tcp) && FallsSilent(*udp)) << "round " << round;
      const Flood::Time arrived = std::max(tcp->last_arrival(), udp->last_arrival());
      // A Response comes after the agent has read the event; packets that had left before may still wait in queues.
      EXPECT_LT(arrived, after + (more.empty() ? 100ms : 2000ms));
      const std::optional<Flood::Time> hit = LastHookEvent();
      ASSERT_TRUE(hit);
      EXPECT_GE(*hit, before - 1ms);
      EXPECT_LE(*hit, after + 1ms);
      last.push_back(Microseconds(arrived - *hit));
    }
    std::sort(last.begin(), last.end());
    std::printf(
        "quarantine %s at full rate, %d times: the last forwarded packet arrived %.0f us after the kernel's event in "
        "the "
        "median (at most %.0f)\n",
        what, kRounds, last[kRounds / 2], last.back());
    EXPECT_GT(last.back(), -1000) << "no traffic at any hit: nothing was measured";
    tcp->SlowDown();
    udp->SlowDown();
    EXPECT_THAT(Output({"get", "workloads"}), HasSubstr("quarantined"));
    std::filesystem::remove(file);
  }

  std::unique_ptr<NodeFixture> fixture_;
};

TEST_F(QuarantineE2e, CutsAFullRateStreamAtOnceAndStaysCutUntilReleased) {
  const auto tcp = OpenFlood(true);
  const auto udp = OpenFlood(false);
  ASSERT_TRUE(tcp && udp);
  ApiClient api(fixture_->agent().api_address());
  std::vector<double> took, last;
  // Repeated, because the senders may be waiting for a CPU at the moment of a call.
  for (int round = 0; round < kRounds; ++round) {
    ASSERT_TRUE(Quarantine(api, "server", true).ok());  // connects, too
    ASSERT_TRUE(Grows(*tcp, 20 << 20, 60s) && Grows(*udp, 2 << 20));
    const Flood::Time called = Flood::Now();
    const Status cut = Quarantine(api, "server");
    const Flood::Time returned = Flood::Now();
    ASSERT_TRUE(cut.ok()) << cut;
    ASSERT_TRUE(FallsSilent(*tcp) && FallsSilent(*udp));
    const Flood::Time arrived = std::max(tcp->last_arrival(), udp->last_arrival());
    // Packets that had passed the programs before may still wait in the host's queues.
    EXPECT_LT(arrived, returned + 100ms);
    took.push_back(Microseconds(returned - called));
    last.push_back(Microseconds(arrived - called));
  }
  std::sort(took.begin(), took.end());
  std::sort(last.begin(), last.end());
  std::printf(
      "quarantine at full rate, %d times: the call took %.0f us in the median (at most %.0f); the last "
      "forwarded packet arrived %.0f us after the call began (at most %.0f)\n",
      kRounds, took[kRounds / 2], took.back(), last[kRounds / 2], last.back());
  EXPECT_GT(last.back(), 0) << "no traffic during any call: nothing was measured";
  tcp->SlowDown();
  udp->SlowDown();

  // All commands show it.
  EXPECT_THAT(Output({"get", "workloads"}), HasSubstr("quarantined"));
  EXPECT_THAT(Output({"status"}), HasSubstr("IN QUARANTINE\nshop/server\nallowed peers: 10.1.0.4/32\n"));
  EXPECT_THAT(Output({"explain", "--from", "shop/client", "--to", "shop/server", "--port", "80"}, 3),
              HasSubstr("it is in quarantine"));
  ASSERT_TRUE(Sends(*udp, 20));
  const std::string flows =
      Output({"observe", "--all", "--verdict", "DROPPED", "--workload", "shop/server", "-o", "json"});
  EXPECT_THAT(flows, HasSubstr("\"dropReason\":\"QUARANTINED\""));
  EXPECT_THAT(flows, HasSubstr(fmt::format("\"destinationPort\":{},\"tcpFlags\"", kTcpPort)));
  const std::string metrics = MetricsPage();
  EXPECT_THAT(metrics, HasSubstr("\nsluice_workloads_quarantined 1\n"));
  const std::string dropped =
      "sluice_packets_total{hook=\"tc_from_pod\",direction=\"egress\",verdict=\"DROPPED\",reason=\"QUARANTINED\"} ";
  EXPECT_THAT(metrics, HasSubstr(dropped));
  EXPECT_THAT(metrics, Not(HasSubstr(dropped + "0\n")));

  // It holds whatever happens to the agent.
  const std::uint64_t tcp_bytes = tcp->bytes(), udp_bytes = udp->bytes();
  ASSERT_TRUE(fixture_->agent().Kill().ok());
  ASSERT_TRUE(Sends(*udp, 200));
  ASSERT_TRUE(fixture_->agent().Restart().ok());
  ASSERT_TRUE(Sends(*udp, 200));
  ASSERT_TRUE(fixture_->agent().Stop().ok());
  ASSERT_TRUE(fixture_->agent().Restart().ok());
  ASSERT_TRUE(Sends(*udp, 200));
  EXPECT_EQ(tcp->bytes(), tcp_bytes);
  EXPECT_EQ(udp->bytes(), udp_bytes);
  EXPECT_THAT(Output({"get", "workloads"}), HasSubstr("quarantined"));

  // The same connections continue.
  EXPECT_EQ(Output({"quarantine", "shop/server", "--release"}), "Workload shop/server released\npolicy revision 1\n");
  EXPECT_TRUE(Grows(*udp, 10));
  EXPECT_TRUE(Grows(*tcp, 10, 60s)) << "after TCP's next retransmission";
  EXPECT_FALSE(tcp->ended());
  EXPECT_THAT(Output({"get", "workloads"}), Not(HasSubstr("quarantined")));
}

// The programs of the hook set it themselves: no agent is asked. The event says when that was.
TEST_F(QuarantineE2e, AHookThatIsHitCutsAFullRateStreamAtOnce) {
  CutByHook("matchActions: [{action: Quarantine}]", "", "by a hook");
  // As with any other quarantine, its allow list still reaches it: nothing listens there.
  EXPECT_EQ(fixture_->Tcp("forensics", "client", kServedPort, false), ProbeOutcome::kRefused);
}

// The hook only posts; the agent reads the event and decides.
TEST_F(QuarantineE2e, AResponseToAHookCutsAFullRateStreamSoon) {
  CutByHook("matchActions: [{action: Post}]",
            "---\n{apiVersion: sluice.dev/v1alpha1, kind: Response, metadata: {name: cut}, spec: {match: [{sources: "
            "[Hook], policies: [shop/cut]}], do: {quarantine: {}}}}\n",
            "by a Response to a hook");
}

TEST_F(QuarantineE2e, OnlyTheAllowListReachesIt) {
  const auto servers = ProbeServers::Start({{.netns_fd = fixture_->netns_fd("server"), .port = kServedPort},
                                            {.netns_fd = fixture_->netns_fd("client"), .port = kServedPort}});
  ASSERT_TRUE(servers.ok()) << servers.status();
  const auto from_node = [&](bool expect_allowed) {
    const auto results = RunProbes({{.netns_fd = fixture_->node().fd(),
                                     .destination = fixture_->ip4("server"),
                                     .port = kServedPort,
                                     .timeout = expect_allowed ? 10000ms : 300ms}});
    return results.ok() ? results->front().outcome : ProbeOutcome::kError;
  };
  EXPECT_EQ(from_node(true), ProbeOutcome::kAllowed);
  ASSERT_TRUE(Quarantine("server").ok());
  EXPECT_EQ(fixture_->Tcp("client", "server", kServedPort, false), ProbeOutcome::kTimeout);
  EXPECT_EQ(fixture_->Tcp("server", "client", kServedPort, false), ProbeOutcome::kTimeout);
  EXPECT_EQ(from_node(false), ProbeOutcome::kTimeout) << "a health probe";
  EXPECT_EQ(fixture_->Tcp("forensics", "server", kServedPort, true), ProbeOutcome::kAllowed);
  EXPECT_EQ(fixture_->Tcp("forensics", "client", kServedPort, true), ProbeOutcome::kAllowed) << "client is free";
  // With a policy, the list alone opens nothing.
  ASSERT_TRUE(fixture_->agent()
                  .Apply("{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: none, namespace: "
                         "shop}, spec: {podSelector: {}}}\n")
                  .ok());
  EXPECT_EQ(fixture_->Tcp("forensics", "server", kServedPort, false), ProbeOutcome::kTimeout);
}

TEST_F(QuarantineE2e, ComesBackWithTheWorkload) {
  const auto servers = ProbeServers::Start({{.netns_fd = fixture_->netns_fd("server"), .port = kServedPort}});
  ASSERT_TRUE(servers.ok()) << servers.status();
  ASSERT_TRUE(Quarantine("client").ok());
  ASSERT_TRUE(fixture_->agent().Delete({policy::Kind::kWorkload, {"shop", "client"}}).ok());
  EXPECT_THAT(Output({"status"}), HasSubstr("IN QUARANTINE\nshop/client\n"));
  ASSERT_TRUE(fixture_->agent().Apply(fixture_->WorkloadYaml("client", "{}")).ok());
  EXPECT_EQ(fixture_->Tcp("client", "server", kServedPort, false), ProbeOutcome::kTimeout);
  ASSERT_TRUE(Quarantine("client", true).ok());
  EXPECT_EQ(fixture_->Tcp("client", "server", kServedPort, true), ProbeOutcome::kAllowed);
}

TEST_F(QuarantineE2e, BadInputIsNamed) {
  EXPECT_THAT(Output({"quarantine", "shop/nobody"}, 1), HasSubstr("Workload shop/nobody: there is none on this node"));
  EXPECT_THAT(Output({"quarantine", "nobody"}, 2), HasSubstr("expected namespace/name"));
  const auto refused = fixture_->Sluiced({"--quarantine-allow", "10.1.0.400/32"});
  ASSERT_TRUE(refused.ok()) << refused.status();
  EXPECT_EQ(refused->exit_code, 2) << refused->output;
  EXPECT_THAT(refused->output, HasSubstr("10.1.0.400"));
}

}  // namespace
}  // namespace sluice::test
