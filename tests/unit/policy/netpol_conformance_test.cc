// The 48 Kubernetes NetworkPolicy end-to-end cases, evaluated by the reference evaluator, for IPv4 and IPv6.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <set>

#include "policy/network/evaluate.h"
#include "policy/resource/parser.h"
#include "tests/support/netpol_case.h"

namespace sluice::test {
namespace {

constexpr int kCases = 48;
constexpr std::size_t kPods = 9;

std::string DataDirectory() {
  const char* source = std::getenv("SLUICE_SOURCE_DIR");
  return std::string(source == nullptr ? "." : source) + "/tests/data/netpol";
}

struct Suite {
  NetpolScenario world;
  std::vector<NetpolCase> cases;
};

StatusOr<Suite> LoadSuite(Family family) {
  Suite suite;
  SL_ASSIGN_OR_RETURN(suite.world, NetpolScenario::Load(DataDirectory()));
  SL_ASSIGN_OR_RETURN(suite.cases, LoadNetpolCases(DataDirectory(), suite.world, family));
  return suite;
}

const StatusOr<Suite>& SuiteOf(Family family) {
  static const StatusOr<Suite> ipv4 = LoadSuite(Family::kIpv4);
  static const StatusOr<Suite> ipv6 = LoadSuite(Family::kIpv6);
  return family == Family::kIpv4 ? ipv4 : ipv6;
}

Status Apply(policy::ResourceMap& resources, const std::string& origin, const std::string& yaml) {
  SL_ASSIGN_OR_RETURN(const std::vector<policy::Resource> parsed, policy::ParseResources(origin, yaml));
  for (const policy::Resource& resource : parsed) resources.insert_or_assign(resource.id, resource);
  return OkStatus();
}

class NetpolConformance : public testing::TestWithParam<std::tuple<int, Family>> {};

TEST_P(NetpolConformance, EvaluatorAgreesWithTruthTable) {
  const auto [number, family] = GetParam();
  const StatusOr<Suite>& suite = SuiteOf(family);
  ASSERT_TRUE(suite.ok()) << suite.status();
  const auto found = std::ranges::find(suite->cases, number, &NetpolCase::number);
  ASSERT_NE(found, suite->cases.end()) << "no case " << number;
  SCOPED_TRACE(fmt::format("case {}: {}", number, found->name));

  policy::ResourceMap resources;
  const Status base = Apply(resources, "world", suite->world.ToYaml());
  ASSERT_TRUE(base.ok()) << base;
  for (std::size_t i = 0; i < found->steps.size(); ++i) {
    const NetpolStep& step = found->steps[i];
    const std::string where = fmt::format("case {} step {}", number, i + 1);
    const Status applied = Apply(resources, where, step.apply);
    ASSERT_TRUE(applied.ok()) << applied;
    for (const policy::ResourceId& id : step.deletes) ASSERT_EQ(resources.erase(id), 1U) << id.ToString();
    const auto snapshot = policy::Snapshot::Build(resources, {}, {});
    ASSERT_TRUE(snapshot.ok()) << snapshot.status();
    for (const NetpolCell& cell : step.cells) {
      const policy::Flow flow{.source = suite->world.pods.at(cell.from).ip(family),
                              .destination = suite->world.pods.at(cell.to).ip(family),
                              .protocol = step.protocol,
                              .port = step.port};
      EXPECT_EQ(policy::Evaluate(**snapshot, flow, policy::Scope::kEverywhere).allowed, cell.allowed)
          << where << ": " << cell.from.ToString() << " -> " << cell.to.ToString() << ", protocol "
          << int{step.protocol} << ", port " << step.port;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Case, NetpolConformance,
                         testing::Combine(testing::Range(1, kCases + 1), testing::Values(Family::kIpv4, Family::kIpv6)),
                         [](const auto& info) {
                           return fmt::format("{:02}_{}", std::get<0>(info.param),
                                              std::get<1>(info.param) == Family::kIpv4 ? "Ipv4" : "Ipv6");
                         });

TEST(NetpolCases, AreTheFortyEightOfKubernetes) {
  const StatusOr<Suite>& suite = SuiteOf(Family::kIpv4);
  ASSERT_TRUE(suite.ok()) << suite.status();
  const auto count = [&](std::uint8_t context) {
    return std::ranges::count(suite->cases, context, &NetpolCase::context);
  };
  EXPECT_EQ(count(policy::kTcp), 42);
  EXPECT_EQ(count(policy::kUdp), 3);
  EXPECT_EQ(count(policy::kSctp), 3);
  std::size_t steps = 0;
  for (std::size_t i = 0; i < suite->cases.size(); ++i) {
    EXPECT_EQ(suite->cases[i].number, static_cast<int>(i) + 1);
    EXPECT_TRUE(suite->cases[i].name.starts_with("should ")) << suite->cases[i].name;
    steps += suite->cases[i].steps.size();
  }
  EXPECT_EQ(steps, 65U);  // number of table validations in Kubernetes
}

TEST(NetpolCases, EveryTableIsCompleteAndEveryCaseDeniesSomething) {
  const std::set<int> allow_everything = {5, 16};
  const StatusOr<Suite>& suite = SuiteOf(Family::kIpv6);
  ASSERT_TRUE(suite.ok()) << suite.status();
  ASSERT_EQ(suite->world.pods.size(), kPods);
  for (const NetpolCase& c : suite->cases) {
    bool denies = false;
    for (const NetpolStep& step : c.steps) {
      EXPECT_EQ(step.cells.size(), kPods * (kPods - 1)) << c.number;
      denies |= !std::ranges::all_of(step.cells, &NetpolCell::allowed);
    }
    EXPECT_EQ(denies, !allow_everything.contains(c.number)) << c.number;
  }
}

TEST(NetpolCases, PlaceholdersFollowTheFamily) {
  const auto text = [](Family family) { return (*SuiteOf(family)).cases.at(34).steps.at(0).apply; };
  ASSERT_TRUE(SuiteOf(Family::kIpv4).ok() && SuiteOf(Family::kIpv6).ok());
  EXPECT_THAT(text(Family::kIpv4), testing::HasSubstr(R"({cidr: "0.0.0.0/4", except: ["10.1.0.3/32"]})"));
  EXPECT_THAT(text(Family::kIpv6), testing::HasSubstr(R"({cidr: "f000::/4", except: ["fd00:1::3/128"]})"));
}

TEST(NetpolCases, LocalPodsAreWorkloadsAndRelabelledOnesAreRestored) {
  const auto place = [](const char* v4, const char* v6) {
    return PodPlace{.ipv4 = *policy::Address::Parse(v4), .ipv6 = *policy::Address::Parse(v6)};
  };
  PodPlaces places{{{"x", "a"}, place("10.9.0.1", "fd00:9::1")}, {{"x", "b"}, place("10.9.0.2", "fd00:9::2")}};
  places[{"x", "a"}].netns = "/run/netns/x-a";
  places[{"x", "b"}].host_interface = "vethxb";
  const auto world = NetpolScenario::Load(DataDirectory(), places);
  ASSERT_TRUE(world.ok()) << world.status();
  const auto parsed = policy::ParseResources("world", world->ToYaml());
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->size(), 3U + kPods);
  EXPECT_EQ(std::ranges::count_if(*parsed, [](const auto& r) { return r.workload != nullptr; }), 2);
  EXPECT_THAT(world->PodYaml({"x", "a"}), testing::HasSubstr("netns: /run/netns/x-a"));

  const auto cases = LoadNetpolCases(DataDirectory(), *world, Family::kIpv4);
  ASSERT_TRUE(cases.ok()) << cases.status();
  const NetpolCase& updated_pod = cases->at(21);
  EXPECT_THAT(updated_pod.steps.at(1).apply, testing::HasSubstr(R"(labels: {pod: "b", pod2: "updated"})"));
  EXPECT_EQ(updated_pod.restore, world->PodYaml({"x", "b"}));
  EXPECT_EQ(updated_pod.policies.size(), 1U);
  EXPECT_TRUE(cases->at(32).policies.empty());  // deleted in its last step
}

}  // namespace
}  // namespace sluice::test
