// The 48 Kubernetes NetworkPolicy cases by test run: every cell of every truth table of every step, IPv4 and IPv6.
// With all nine pods on this node, tc_from_pod and tc_to_pod evaluate each cell and must give the table's answer. With
// the source on another node, xdp_uplink evaluates it; it only knows the receiver's half, the evaluator's local scope.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <set>

#include "policy/network/snapshot.h"
#include "policy/resource/parser.h"
#include "tests/support/environment.h"
#include "tests/support/netpol_case.h"
#include "tests/support/program_fixture.h"

namespace sluice::test {
namespace {

using policy::Address;
using policy::ObjectName;

constexpr int kCases = 48;
constexpr int kPods = 9;

std::string DataDirectory() {
  const char* source = std::getenv("SLUICE_SOURCE_DIR");
  return std::string(source == nullptr ? "." : source) + "/tests/data/netpol";
}

using Pods = std::set<ObjectName>;

class NetpolPrograms : public testing::TestWithParam<std::tuple<int, Family>> {
 protected:
  static void SetUpTestSuite() {
    if (!MissingBpfRight().empty() || !MissingNetNsRight().empty()) return;
    auto fixture = ProgramFixture::Create({.interfaces = kPods});
    ASSERT_TRUE(fixture.ok()) << fixture.status();
    fixture_ = *std::move(fixture);
  }
  static void TearDownTestSuite() { fixture_.reset(); }

  void SetUp() override {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
    ASSERT_NE(fixture_, nullptr);
    auto names = NetpolScenario::Load(DataDirectory());
    ASSERT_TRUE(names.ok()) << names.status();
    PodPlaces places;
    for (const auto& [name, pod] : names->pods) {
      const int number = static_cast<int>(places.size());
      numbers_[name] = number;
      places[name] = pod.place;
      places[name].host_interface = fmt::format("p{}", number);
    }
    auto world = NetpolScenario::Load(DataDirectory(), places);
    ASSERT_TRUE(world.ok()) << world.status();
    scenario_ = *std::move(world);
    ASSERT_EQ(scenario_.pods.size(), static_cast<std::size_t>(kPods));
  }

  Status Apply(const std::string& origin, const std::string& yaml) {
    SL_ASSIGN_OR_RETURN(const auto parsed, policy::ParseResources(origin, yaml));
    for (const policy::Resource& resource : parsed) resources_.insert_or_assign(resource.id, resource);
    return OkStatus();
  }

  // The pods of `remote` are on another node.
  Status Enforce(const Pods& remote) {
    std::map<ObjectName, policy::Binding> bindings;
    for (const auto& [name, pod] : scenario_.pods) {
      if (remote.contains(name)) continue;
      const int number = numbers_.at(name);
      bindings[name] = {
          fixture_->ifindex(number), static_cast<std::uint32_t>(number + 1), {pod.place.ipv4, pod.place.ipv6}};
    }
    SL_ASSIGN_OR_RETURN(const auto snapshot, policy::Snapshot::Build(resources_, bindings, {}));
    SL_RETURN_IF_ERROR(fixture_->Enforce(snapshot));
    return fixture_->ForgetFlows();
  }

  Frame FirstPacket(const NetpolStep& step, const NetpolCell& cell, Family family) const {
    const std::string src = scenario_.pods.at(cell.from).ip(family).ToString();
    const std::string dst = scenario_.pods.at(cell.to).ip(family).ToString();
    const Packet network =
        family == Family::kIpv4 ? Eth{} / Ipv4{.src = src, .dst = dst} : Eth{} / Ipv6{.src = src, .dst = dst};
    switch (step.protocol) {
      case policy::kTcp:
        return (network / Tcp{.dport = step.port}).ToFrame();
      case policy::kUdp:
        return (network / Udp{.dport = step.port} / Payload{8}).ToFrame();
      default:
        return (network / Sctp{.dport = step.port} / Payload{8}).ToFrame();
    }
  }

  void Evaluate(const char* hook, const StatusOr<ProgramFixture::Verdict>& verdict, bool expected,
                const std::string& where) {
    ASSERT_TRUE(verdict.ok()) << where << " at " << hook << ": " << verdict.status();
    EXPECT_EQ(verdict->forwarded, expected) << where << " at " << hook;
    EXPECT_EQ(verdict->reason, expected ? SL_DROP_NONE : SL_DROP_POLICY_DENIED) << where << " at " << hook;
    ASSERT_TRUE(fixture_->ForgetFlows().ok());
  }

  static std::string Text(const NetpolStep& step, const NetpolCell& cell) {
    return fmt::format("{} -> {} port {} protocol {}", cell.from.ToString(), cell.to.ToString(), step.port,
                       int{step.protocol});
  }

  // All pods on this node.
  void EvaluateAtBothEnds(const NetpolStep& step, Family family) {
    const Status enforced = Enforce({});
    ASSERT_TRUE(enforced.ok()) << enforced;
    for (const NetpolCell& cell : step.cells) {
      const Frame frame = FirstPacket(step, cell, family);
      const std::uint32_t from = fixture_->ifindex(numbers_.at(cell.from)),
                          to = fixture_->ifindex(numbers_.at(cell.to));
      ASSERT_NO_FATAL_FAILURE(Evaluate("tc_from_pod", fixture_->FromPod(from, frame), cell.allowed, Text(step, cell)));
      ASSERT_NO_FATAL_FAILURE(Evaluate("tc_to_pod", fixture_->ToPod(to, from, frame), cell.allowed, Text(step, cell)));
    }
  }

  // The pods of `remote` are on another node: their packets arrive from the wire.
  void EvaluateFromTheWire(const NetpolStep& step, Family family, const Pods& remote,
                           std::set<std::string>* evaluated) {
    const Status enforced = Enforce(remote);
    ASSERT_TRUE(enforced.ok()) << enforced;
    for (const NetpolCell& cell : step.cells) {
      if (!remote.contains(cell.from) || remote.contains(cell.to)) continue;
      const policy::Flow flow{.source = scenario_.pods.at(cell.from).ip(family),
                              .destination = scenario_.pods.at(cell.to).ip(family),
                              .protocol = step.protocol,
                              .port = step.port};
      const bool expected = policy::Evaluate(*fixture_->compiled().snapshot, flow, policy::Scope::kLocal).allowed;
      EXPECT_TRUE(expected || !cell.allowed) << Text(step, cell) << ": one half denies what the whole allows";
      const Frame frame = FirstPacket(step, cell, family);
      ASSERT_NO_FATAL_FAILURE(Evaluate("xdp_uplink", fixture_->FromWire(frame), expected, Text(step, cell)));
      evaluated->insert(Text(step, cell));
    }
  }

  NetpolScenario scenario_;
  std::map<ObjectName, int> numbers_;  // of their interfaces
  policy::ResourceMap resources_;
  static inline std::unique_ptr<ProgramFixture> fixture_;
};

TEST_P(NetpolPrograms, AgreeWithTruthTable) {
  const auto [number, family] = GetParam();
  const auto cases = LoadNetpolCases(DataDirectory(), scenario_, family);
  ASSERT_TRUE(cases.ok()) << cases.status();
  const auto found = std::ranges::find(*cases, number, &NetpolCase::number);
  ASSERT_NE(found, cases->end()) << "no case " << number;
  const Status base = Apply("world", scenario_.ToYaml());
  ASSERT_TRUE(base.ok()) << base;
  for (std::size_t i = 0; i < found->steps.size(); ++i) {
    const NetpolStep& step = found->steps[i];
    SCOPED_TRACE(fmt::format("case {} step {}: {}", number, i + 1, found->name));
    const Status applied = Apply("step", step.apply);
    ASSERT_TRUE(applied.ok()) << applied;
    for (const policy::ResourceId& id : step.deletes) ASSERT_EQ(resources_.erase(id), 1U) << id.ToString();
    ASSERT_EQ(step.cells.size(), static_cast<std::size_t>(kPods * (kPods - 1)));
    ASSERT_NO_FATAL_FAILURE(EvaluateAtBothEnds(step, family));
    // Two pods differ in namespace or name, so these sets put the source of each cell on another node.
    std::set<std::string> evaluated;
    for (const char* part : {"x", "y", "z", "a", "b", "c"}) {
      Pods remote;
      for (const auto& [name, pod] : scenario_.pods)
        if (name.ns == part || name.name == part) remote.insert(name);
      ASSERT_NO_FATAL_FAILURE(EvaluateFromTheWire(step, family, remote, &evaluated));
    }
    EXPECT_EQ(evaluated.size(), step.cells.size());
  }
}

INSTANTIATE_TEST_SUITE_P(Case, NetpolPrograms, testing::ValuesIn(ChosenNetpolCases(kCases)), [](const auto& info) {
  return fmt::format("{:02}_{}", std::get<0>(info.param), std::get<1>(info.param) == Family::kIpv4 ? "Ipv4" : "Ipv6");
});

}  // namespace
}  // namespace sluice::test
