// A TestNode with pods web, db and other, and a real BpfDatapath with its own pins in the node's namespace, set up like
// the agent. Fixture for tests with real packets:
//   Build({.wiring = Wiring::kBridged}); Open(); Enforce(kDbPolicy);
//   EXPECT_EQ(Probe("web", "db", 80), ProbeOutcome::kAllowed);
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "kernel/datapath/bpf_datapath.h"
#include "testbed/netns.h"
#include "testbed/tcp_udp_probe.h"
#include "tests/support/environment.h"
#include "tests/support/program_fixture.h"

namespace sluice::test {

class DatapathFixture : public ::testing::Test {
 protected:
  using Wiring = TestNode::Wiring;
  static constexpr std::uint16_t kPort = 80;

  void SetUp() override {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
  }
  void TearDown() override;

  // Makes the node, and TCP and UDP servers at kPort of every pod (and of the outside).
  void Build(TestNode::Options options);
  void Open(const bpf::ObjectOptions& object = FixtureOptions::SmallTables());
  void Close() { datapath_.reset(); }
  // Makes every pod a workload and attaches it; `policies` as YAML.
  void Enforce(const std::string& policies = {}, bool at_once = false);
  void Configure(std::uint32_t flags);

  // `from` and `to` name pods or "outside".
  ProbeOutcome Probe(const std::string& from, const std::string& to, std::uint16_t port = kPort,
                     std::uint8_t protocol = policy::kTcp, bool ipv6 = false);
  // TCP and UDP, IPv4 and IPv6.
  void ExpectAll(const std::string& from, const std::string& to, ProbeOutcome outcome);
  // The output of `command` in a pod.
  std::string Run(const std::string& pod, const Arguments& command);

  std::uint64_t Count(int counter) const;
  std::uint64_t Packets(int hook, int outcome) const;
  std::string root() const { return root_; }
  const TestPod& Pod(const std::string& name) const { return name == "outside" ? node_->outside() : node_->pod(name); }

  // Only web may reach db, at kPort, by TCP and UDP.
  static const char* DbPolicy();
  // Nothing may reach web.
  static const char* IsolateWeb();

  std::unique_ptr<TestNode> node_;
  std::unique_ptr<datapath::BpfDatapath> datapath_;

 private:
  struct Exchange;
  std::vector<ProbeOutcome> ProbeAll(const std::string& from, const std::string& to, std::uint16_t port,
                                     const std::vector<Exchange>& exchanges, std::chrono::milliseconds timeout);
  std::string root_;
  std::unique_ptr<ProbeServers> servers_;
};

}  // namespace sluice::test
