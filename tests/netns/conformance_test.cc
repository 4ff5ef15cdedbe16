// The Kubernetes NetworkPolicy end-to-end cases with real sockets: nine pods in network namespaces on one node, a real
// agent, policies through the real client. A denied connection must time out, never be refused.
// The three SCTP cases are evaluated by test run, because not every kernel has SCTP sockets.
// SLUICE_CONFORMANCE_EVERY=N: a sample, for slow machines.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <optional>
#include <tuple>
#include <vector>

#include "testbed/netns.h"
#include "testbed/tcp_udp_probe.h"
#include "tests/support/agent_process.h"
#include "tests/support/environment.h"
#include "tests/support/netpol_case.h"

namespace sluice::test {
namespace {

using Wiring = TestNode::Wiring;
using policy::ObjectName;

constexpr int kFirstSctpCase = 46;
constexpr int kLastCase = 48;
// An allowed probe may take this long on a busy machine; a denied one must stay silent for a fixed time.
constexpr std::chrono::seconds kPatience{10};
constexpr std::chrono::milliseconds kSilence{300};

std::string DataDirectory() {
  const char* source = std::getenv("SLUICE_SOURCE_DIR");
  return std::string(source == nullptr ? "." : source) + "/tests/data/netpol";
}

const char* ProtocolName(std::uint8_t protocol) { return protocol == policy::kUdp ? "UDP" : "TCP"; }

// The node, its pods with their servers, and the agent. Shared by the cases; each undoes its changes.
class Fixture {
 public:
  static StatusOr<std::unique_ptr<Fixture>> Create(Wiring wiring) {
    std::unique_ptr<Fixture> fixture(new Fixture());
    SL_ASSIGN_OR_RETURN(const NetpolScenario names, NetpolScenario::Load(DataDirectory()));
    SL_RETURN_IF_ERROR(fixture->MakePods(wiring, names));
    SL_RETURN_IF_ERROR(fixture->StartServers());
    SL_ASSIGN_OR_RETURN(fixture->agent_, AgentProcess::Start({.netns_fd = fixture->node_netns_->fd(), .args = {}}));
    SL_RETURN_IF_ERROR(fixture->agent_->Apply(fixture->scenario_.ToYaml()));
    return fixture;
  }

  const NetpolScenario& world() const { return scenario_; }
  const AgentProcess& agent() const { return *agent_; }

  Status Perform(const NetpolStep& step) const {
    SL_RETURN_IF_ERROR(agent_->Apply(step.apply));
    for (const policy::ResourceId& id : step.deletes) SL_RETURN_IF_ERROR(agent_->Delete(id));
    return OkStatus();
  }

  Status PutBack(const NetpolCase& c) const {
    for (const policy::ResourceId& id : c.policies) SL_RETURN_IF_ERROR(agent_->Delete(id));
    return agent_->Apply(c.restore);
  }

  StatusOr<std::vector<ProbeResult>> ProbeAll(const NetpolStep& step, Family family) const {
    std::vector<Probe> probes;
    for (const NetpolCell& cell : step.cells) {
      probes.push_back({.netns_fd = netns_.at(cell.from).fd(),
                        .destination = scenario_.pods.at(cell.to).ip(family),
                        .protocol = step.protocol,
                        .port = step.port,
                        .timeout = cell.allowed ? kPatience : kSilence});
    }
    return RunProbes(probes);
  }

  // The agent's explanation of a cell, for the message of a failed test.
  std::string Explain(const NetpolStep& step, const NetpolCell& cell, Family family) const {
    const auto told = agent_->Sluice({"explain", "--from", scenario_.pods.at(cell.from).ip(family).ToString(), "--to",
                                      scenario_.pods.at(cell.to).ip(family).ToString(), "--port",
                                      fmt::format("{}/{}", step.port, ProtocolName(step.protocol))});
    return told.ok() ? told->out + told->err : told.status().ToString();
  }

 private:
  Fixture() = default;

  // Two of three pods are given by their namespace, the third by its host interface.
  Status MakePods(Wiring wiring, const NetpolScenario& names) {
    TestNode::Options options{.wiring = wiring, .pods = {}};
    for (const auto& [name, pod] : names.pods) options.pods.push_back(name.ns + "-" + name.name);
    SL_ASSIGN_OR_RETURN(node_, TestNode::Create(options));
    SL_ASSIGN_OR_RETURN(node_netns_, net::NetNs::Open(node_->netns().path()));
    PodPlaces places;
    for (const auto& [name, pod] : names.pods) {
      const TestPod& made = node_->pod(name.ns + "-" + name.name);
      PodPlace& place = places[name];
      SL_ASSIGN_OR_RETURN(place.ipv4, policy::Address::Parse(made.ip4));
      SL_ASSIGN_OR_RETURN(place.ipv6, policy::Address::Parse(made.ip6));
      (name.name == "c" ? place.host_interface : place.netns) =
          name.name == "c" ? made.host_interface : made.netns_path;
      SL_ASSIGN_OR_RETURN(net::NetNs netns, net::NetNs::Open(made.netns_path));
      netns_.emplace(name, std::move(netns));
    }
    SL_ASSIGN_OR_RETURN(scenario_, NetpolScenario::Load(DataDirectory(), places));
    return OkStatus();
  }

  Status StartServers() {
    std::vector<ServerSpec> specs;
    for (const auto& [name, netns] : netns_) {
      for (const NetpolScenario::Port& port : scenario_.ports) {
        if (port.protocol == "SCTP") continue;
        const std::uint8_t protocol = port.protocol == "UDP" ? policy::kUdp : policy::kTcp;
        specs.push_back({.netns_fd = netns.fd(), .protocol = protocol, .port = port.number});
      }
    }
    SL_ASSIGN_OR_RETURN(servers_, ProbeServers::Start(specs));
    return OkStatus();
  }

  std::unique_ptr<TestNode> node_;
  std::optional<net::NetNs> node_netns_;
  NetpolScenario scenario_;
  std::map<ObjectName, net::NetNs> netns_;
  std::unique_ptr<ProbeServers> servers_;
  std::unique_ptr<AgentProcess> agent_;
};

using Parameters = std::tuple<Wiring, int, Family>;

class NetpolNamespaces : public testing::TestWithParam<Parameters> {
 protected:
  void SetUp() override {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
    const Wiring wiring = std::get<Wiring>(GetParam());
    if (wiring_ == wiring) {
      ASSERT_TRUE(rig_status_.ok()) << rig_status_;
      if (fixture_ != nullptr) return;
    }
    fixture_ = nullptr;
    wiring_ = wiring;
    auto fixture = Fixture::Create(wiring);
    rig_status_ = fixture.status();
    ASSERT_TRUE(fixture.ok()) << rig_status_;
    fixture_ = *std::move(fixture);
    EvaluateWithoutPolicies();
    if (!HasFailure()) return;
    fixture_ = nullptr;
    rig_status_ = InvalidError("without policies, not every pod reaches every other: see the first failed case");
  }
  static void TearDownTestSuite() {
    fixture_ = nullptr;
    wiring_ = std::nullopt;
  }

  // A case that could not undo its changes must not disturb the next ones.
  void TearDown() override {
    if (HasFatalFailure()) fixture_ = nullptr;
  }

  static void EvaluateWithoutPolicies() {
    NetpolStep step;
    for (const auto& [from, from_pod] : fixture_->world().pods) {
      for (const auto& [to, to_pod] : fixture_->world().pods) {
        if (from != to) step.cells.push_back({from, to, true});
      }
    }
    for (const std::uint8_t protocol : {policy::kTcp, policy::kUdp}) {
      for (const std::uint16_t port : {80, 81}) {
        step.protocol = protocol;
        step.port = port;
        for (const Family family : {Family::kIpv4, Family::kIpv6}) Evaluate(step, family, "without policies");
      }
    }
  }

  static void Evaluate(const NetpolStep& step, Family family, const std::string& where) {
    const auto results = fixture_->ProbeAll(step, family);
    ASSERT_TRUE(results.ok()) << results.status();
    ASSERT_EQ(results->size(), step.cells.size());
    for (std::size_t i = 0; i < step.cells.size(); ++i) {
      const NetpolCell& cell = step.cells[i];
      const ProbeResult& result = (*results)[i];
      const ProbeOutcome expected = cell.allowed ? ProbeOutcome::kAllowed : ProbeOutcome::kTimeout;
      EXPECT_EQ(result.outcome, expected)
          << where << ": " << cell.from.ToString() << " -> " << cell.to.ToString() << " " << step.port << "/"
          << ProtocolName(step.protocol) << ": " << ProbeOutcomeName(result.outcome) << " " << result.detail
          << ", expected " << ProbeOutcomeName(expected) << "\nthe agent explains:\n"
          << fixture_->Explain(step, cell, family);
    }
  }

  static inline std::unique_ptr<Fixture> fixture_;
  static inline std::optional<Wiring> wiring_;  // of fixture_ and rig_status_
  static inline Status rig_status_;
};

TEST_P(NetpolNamespaces, TrafficAgreesWithTruthTable) {
  const auto [wiring, number, family] = GetParam();
  const auto cases = LoadNetpolCases(DataDirectory(), fixture_->world(), family);
  ASSERT_TRUE(cases.ok()) << cases.status();
  const auto found = std::ranges::find(*cases, number, &NetpolCase::number);
  ASSERT_NE(found, cases->end()) << "no case " << number;
  ASSERT_NE(found->context, policy::kSctp);
  SCOPED_TRACE(fmt::format("case {}: {}", number, found->name));

  for (std::size_t i = 0; i < found->steps.size(); ++i) {
    const Status performed = fixture_->Perform(found->steps[i]);
    ASSERT_TRUE(performed.ok()) << performed << "\n" << fixture_->agent().Log();
    Evaluate(found->steps[i], family, fmt::format("case {} step {}", number, i + 1));
    if (HasFatalFailure()) return;
  }
  const Status put_back = fixture_->PutBack(*found);
  ASSERT_TRUE(put_back.ok()) << put_back << "\n" << fixture_->agent().Log();
}

std::string CaseName(const testing::TestParamInfo<Parameters>& info) {
  return fmt::format("{:02}_{}_{}", std::get<int>(info.param),
                     std::get<Wiring>(info.param) == Wiring::kRouted ? "Routed" : "Bridged",
                     std::get<Family>(info.param) == Family::kIpv4 ? "Ipv4" : "Ipv6");
}

// A sample selects other cases for each wiring.
std::vector<Parameters> Chosen(Wiring wiring) {
  std::vector<Parameters> chosen;
  for (const auto& [number, family] :
       ChosenNetpolCases(kFirstSctpCase - 1, wiring == Wiring::kRouted ? 0 : NetpolCaseStep() / 2))
    chosen.emplace_back(wiring, number, family);
  return chosen;
}

INSTANTIATE_TEST_SUITE_P(Routed, NetpolNamespaces, testing::ValuesIn(Chosen(Wiring::kRouted)), CaseName);
INSTANTIATE_TEST_SUITE_P(Bridged, NetpolNamespaces, testing::ValuesIn(Chosen(Wiring::kBridged)), CaseName);

TEST(NetpolNamespacesCases, LeaveOutNothingButSctp) {
  const auto world = NetpolScenario::Load(DataDirectory());
  ASSERT_TRUE(world.ok()) << world.status();
  const auto cases = LoadNetpolCases(DataDirectory(), *world, Family::kIpv4);
  ASSERT_TRUE(cases.ok()) << cases.status();
  ASSERT_EQ(cases->size(), static_cast<std::size_t>(kLastCase));
  for (const NetpolCase& c : *cases) EXPECT_EQ(c.number >= kFirstSctpCase, c.context == policy::kSctp) << c.name;
}

}  // namespace
}  // namespace sluice::test
