// The probes that the namespace tests rely on: each outcome must be distinguishable from the others.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

#include "testbed/tcp_udp_probe.h"
#include "tests/support/environment.h"

namespace sluice::test {
namespace {

using policy::kTcp;
using policy::kUdp;

policy::Address Ip(const char* text) { return *policy::Address::Parse(text); }

Fd NewNetns() {
  Fd netns;
  std::thread([&] {
    if (unshare(CLONE_NEWNET) == 0) netns = Fd(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  }).join();
  return netns;
}

// Runs `command` with sh inside the namespace; returns its exit status.
int Shell(const Fd& netns, const std::string& command) {
  int status = -1;
  std::thread([&] {
    if (setns(netns.get(), CLONE_NEWNET) == 0) status = std::system(command.c_str());
  }).join();
  return status;
}

// Two unnamed namespaces, joined by a veth pair: client 10.77.0.1 / fd77::1, server 10.77.0.2 / fd77::2.
// The server has more addresses: .3 / ::3 never answers (its replies have no route), .9 / ::9 is unreachable.
class ProbeTest : public testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_NETNS();
    client_ = NewNetns();
    server_ = NewNetns();
    ASSERT_TRUE(client_.valid() && server_.valid());
    const std::string peer = "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(server_.get());
    ASSERT_EQ(
        Shell(client_,
              "set -e; ip link set lo up; ip link add c0 type veth peer name s0 netns " + peer +
                  "; ip link set c0 up; ip addr add 10.77.0.1/24 dev c0;"
                  "ip addr add fd77::1/64 dev c0 nodad;"
                  "ip addr add 10.77.0.4/24 dev c0; ip addr add fd77::4/64 dev c0 nodad;"
                  "ip -6 route add fd77::2/128 dev c0 src fd77::1; ip route add 10.77.0.3/32 dev c0 src 10.77.0.4;"
                  "ip -6 route add fd77::3/128 dev c0 src fd77::4;"
                  "ip route add unreachable 10.77.0.9/32; ip -6 route add unreachable fd77::9/128"),
        0);
    ASSERT_EQ(Shell(server_,
                    "set -e; ip link set lo up; ip link set s0 up;"
                    "for n in 2 3; do ip addr add 10.77.0.$n/24 dev s0; ip addr add fd77::$n/64 dev s0 nodad; done;"
                    "ip route add blackhole 10.77.0.4/32; ip -6 route add blackhole fd77::4/128"),
              0);
    auto servers = ProbeServers::Start({{server_.get(), kTcp, 80}, {server_.get(), kUdp, 80}});
    ASSERT_TRUE(servers.ok()) << servers.status();
    servers_ = *std::move(servers);
  }

  Probe To(const char* ip, std::uint8_t protocol, std::uint16_t port) const {
    return {.netns_fd = client_.get(), .destination = Ip(ip), .protocol = protocol, .port = port};
  }

  Fd client_;
  Fd server_;
  std::unique_ptr<ProbeServers> servers_;
};

TEST_F(ProbeTest, TellsEveryOutcomeApart) {
  struct Case {
    const char* last;
    std::uint16_t port;
    ProbeOutcome expected;
  };
  const Case cases[] = {{"2", 80, ProbeOutcome::kAllowed},
                        {"2", 81, ProbeOutcome::kRefused},
                        {"3", 80, ProbeOutcome::kTimeout},
                        {"9", 80, ProbeOutcome::kError}};
  std::vector<Probe> probes;
  std::vector<ProbeOutcome> expected;
  for (const Case& c : cases) {
    for (const std::uint8_t protocol : {kTcp, kUdp}) {
      for (const char* net : {"10.77.0.", "fd77::"}) {
        probes.push_back(To((std::string(net) + c.last).c_str(), protocol, c.port));
        expected.push_back(c.expected);
      }
    }
  }
  const auto results = RunProbes(probes);
  ASSERT_TRUE(results.ok()) << results.status();
  ASSERT_EQ(results->size(), probes.size());
  for (std::size_t i = 0; i < probes.size(); ++i) {
    EXPECT_EQ((*results)[i].outcome, expected[i])
        << probes[i].destination.ToString() << " protocol " << int{probes[i].protocol} << " port " << probes[i].port
        << ": " << ProbeOutcomeName((*results)[i].outcome) << " " << (*results)[i].detail;
  }
}

TEST_F(ProbeTest, RunsHundredsAtTheSameTime) {
  constexpr int kRounds = 120;
  std::vector<Probe> probes;
  for (int i = 0; i < kRounds; ++i) {
    probes.push_back(To("10.77.0.2", kTcp, 80));
    probes.push_back(To("fd77::2", kUdp, 80));
    probes.push_back(To("10.77.0.3", kTcp, 80));
    probes.push_back(To("10.77.0.2", kTcp, 81));
  }
  for (Probe& probe : probes) probe.timeout = std::chrono::seconds(2);
  const auto begin = std::chrono::steady_clock::now();
  const auto results = RunProbes(probes);
  const auto took = std::chrono::steady_clock::now() - begin;
  ASSERT_TRUE(results.ok()) << results.status();
  for (std::size_t i = 0; i < probes.size(); i += 4) {
    ASSERT_EQ((*results)[i].outcome, ProbeOutcome::kAllowed) << i << " " << (*results)[i].detail;
    ASSERT_EQ((*results)[i + 1].outcome, ProbeOutcome::kAllowed) << i + 1 << " " << (*results)[i + 1].detail;
    ASSERT_EQ((*results)[i + 2].outcome, ProbeOutcome::kTimeout) << i + 2 << " " << (*results)[i + 2].detail;
    ASSERT_EQ((*results)[i + 3].outcome, ProbeOutcome::kRefused) << i + 3 << " " << (*results)[i + 3].detail;
  }
  EXPECT_LT(took, std::chrono::seconds(2) * kRounds / 4);  // in sequence it would take four times as long
}

TEST_F(ProbeTest, AnAllowedProbeOutlivesLostFirstPackets) {
  std::vector<Probe> probes = {To("10.77.0.3", kTcp, 80), To("fd77::3", kTcp, 80), To("10.77.0.3", kUdp, 80),
                               To("fd77::3", kUdp, 80)};
  for (Probe& probe : probes) probe.timeout = std::chrono::milliseconds(1);
  const auto silent = RunProbes(probes);
  ASSERT_TRUE(silent.ok()) << silent.status();
  for (const ProbeResult& result : *silent) EXPECT_EQ(result.outcome, ProbeOutcome::kTimeout) << result.detail;

  // The return path opens during the probes.
  for (Probe& probe : probes) probe.timeout = std::chrono::seconds(20);
  StatusOr<std::vector<ProbeResult>> results = std::vector<ProbeResult>{};
  std::thread prober([&] { results = RunProbes(probes); });
  EXPECT_EQ(Shell(server_, "ip route del blackhole 10.77.0.4/32; ip -6 route del blackhole fd77::4/128"), 0);
  prober.join();
  ASSERT_TRUE(results.ok()) << results.status();
  for (std::size_t i = 0; i < probes.size(); ++i) {
    EXPECT_EQ((*results)[i].outcome, ProbeOutcome::kAllowed) << i << " " << (*results)[i].detail;
  }
}

TEST_F(ProbeTest, WorksOnLoopbackOfTheCallersNamespaceWithFreePorts) {
  StatusOr<std::vector<ProbeResult>> results = std::vector<ProbeResult>{};
  Status started;
  std::thread([&] {
    ASSERT_EQ(setns(client_.get(), CLONE_NEWNET), 0);
    const auto servers = ProbeServers::Start({{.protocol = kTcp}, {.protocol = kUdp}});
    started = servers.status();
    if (!started.ok()) return;
    const auto& ports = (*servers)->ports();
    results = RunProbes({{.destination = Ip("127.0.0.1"), .protocol = kTcp, .port = ports[0]},
                         {.destination = Ip("::1"), .protocol = kUdp, .port = ports[1]}});
  }).join();
  ASSERT_TRUE(started.ok()) << started;
  ASSERT_TRUE(results.ok()) << results.status();
  ASSERT_EQ(results->size(), 2U);
  for (const ProbeResult& result : *results) EXPECT_EQ(result.outcome, ProbeOutcome::kAllowed) << result.detail;
}

TEST_F(ProbeTest, AServerThatCannotBindIsAnError) {
  const auto twin = ProbeServers::Start({{server_.get(), kTcp, 80}});
  ASSERT_FALSE(twin.ok());
  EXPECT_NE(Message(twin.status()).find("port 80"), std::string::npos) << twin.status();
}

}  // namespace
}  // namespace sluice::test
