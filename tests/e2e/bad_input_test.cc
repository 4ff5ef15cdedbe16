// Invalid resources: one clear error with the location and the problem, and nothing changes.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "policy/resource/parser.h"
#include "tests/e2e/api_client.h"
#include "tests/e2e/constants.h"
#include "tests/support/environment.h"
#include "tests/support/node_fixture.h"

namespace sluice::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// Right by itself, and seen at once if it took effect: nobody reaches anybody. Eight lines.
constexpr const char* kWouldCut = R"(apiVersion: sluice.dev/v1alpha1
kind: NetworkPolicy
metadata: {name: cut, namespace: shop}
spec:
  podSelector: {}
  ingress:
    - {action: Deny}
---
)";

std::string Policy(const std::string& ingress) {
  return "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: bad, namespace: shop}\nspec:\n"
         "  podSelector: {}\n  ingress:\n    - " +
         ingress + "\n";
}

std::string Bomb() {
  std::string yaml = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 20; ++i) {
    yaml += fmt::format("a{0}: &a{0} [*a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}]\n", i, i - 1);
  }
  return yaml;
}

struct BadCase {
  const char* name;
  std::string yaml;                  // after kWouldCut
  std::vector<const char*> needles;  // parts of the error
  bool closes_bare = false;          // names a workload whose interface is found, so it is closed first
};

// %BARE% is the netns of a pod without an address, %DB% is db's address.
std::vector<BadCase> BadCases() {
  const auto workload = [](const std::string& spec) {
    return "apiVersion: sluice.dev/v1alpha1\nkind: Workload\nmetadata: {name: bad, namespace: shop}\nspec: " + spec +
           "\n";
  };
  return {
      {"WrongYaml", "kind: NetworkPolicy\nmetadata: {name: x\n", {"bad.yaml:1"}},
      {"UnknownKind", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n", {"bad.yaml:", "Deployment"}},
      {"UnknownField", Policy("{form: []}"), {"bad.yaml:15", "shop/bad", "spec.ingress[0]", "form"}},
      {"BadCidr",
       Policy("from: [{ipBlock: {cidr: 10.0.0.0/33}}]"),
       {"bad.yaml:15", "shop/bad", "spec.ingress[0].from[0].ipBlock.cidr", "10.0.0.0/33"}},
      {"ExceptOutside",
       Policy("from: [{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/16]}}]"),
       {"bad.yaml:15", "shop/bad", "except[0]", "11.0.0.0/16", "10.0.0.0/8"}},
      {"EndPortBelowPort",
       Policy("ports: [{port: 80, endPort: 79}]"),
       {"bad.yaml:15", "shop/bad", "spec.ingress[0].ports[0].endPort", "79", "80"}},
      {"NamedPortWithEndPort",
       Policy("ports: [{port: http, endPort: 79}]"),
       {"bad.yaml:15", "shop/bad", "spec.ingress[0].ports[0].endPort", "http"}},
      {"UnknownOperator",
       Policy("from: [{podSelector: {matchExpressions: [{key: app, operator: Contains, values: [a]}]}}]"),
       {"bad.yaml:15", "shop/bad", "operator", "Contains"}},
      {"DuplicateKey", Policy("from: []\n      from: []"), {"bad.yaml:16", "from"}},
      {"Bomb", Bomb(), {"bad.yaml:"}},
      {"NoSuchNetns",
       workload("{netns: /run/netns/no-such-netns}"),
       {"Workload shop/bad", "spec.netns", "/run/netns/no-such-netns"}},
      {"NoSuchInterface",
       workload("{netns: %BARE%, interface: eth7}"),
       {"Workload shop/bad", "spec.netns", "%BARE%", "eth7"}},
      {"InterfaceWithoutAddress",
       workload("{netns: %BARE%}"),
       {"Workload shop/bad", "spec.netns", "%BARE%", "eth0", "has no global address"},
       true},
      {"NoSuchHostInterface",
       workload("{hostInterface: veth99, ips: [10.9.9.9]}"),
       {"Workload shop/bad", "spec.hostInterface", "veth99"}},
      {"OneAddressTwice",
       workload("{netns: %BARE%, ips: [%DB%]}"),
       {"Workload shop/bad", "Workload shop/db", "%DB%"},
       true},
  };
}

class BadInput : public testing::TestWithParam<BadCase> {
 protected:
  static void SetUpTestSuite() {
    if (!MissingNetNsRight().empty() || !MissingBpfRight().empty()) return;
    auto fixture = NodeFixture::Create({.pods = {"web", "db", "cache", "bare"}, .args = {}, .outside = false});
    ASSERT_TRUE(fixture.ok()) << fixture.status();
    fixture_ = *std::move(fixture);
    ASSERT_TRUE(fixture_->node().netns(fixture_->node().pod("bare")).Ip("addr flush dev eth0\n").ok());
    auto servers = ProbeServers::Start({{.netns_fd = fixture_->netns_fd("db"), .port = kPort}});
    ASSERT_TRUE(servers.ok()) << servers.status();
    servers_ = *std::move(servers);
    const Status applied = fixture_->agent().Apply(fixture_->WorkloadYaml("web", "{app: web}") +
                                                   fixture_->WorkloadYaml("db", "{app: db}") +
                                                   fixture_->WorkloadYaml("cache", "{app: cache}") + kDbFromWeb);
    ASSERT_TRUE(applied.ok()) << applied;
  }
  static void TearDownTestSuite() {
    servers_ = nullptr;
    fixture_ = nullptr;
  }

  void SetUp() override {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
    ASSERT_NE(fixture_, nullptr);
    auto before = fixture_->Everything();
    ASSERT_TRUE(before.ok()) << before.status();
    before_ = *std::move(before);
  }

  static std::string Fill(std::string text) {
    for (const auto& [name, value] : {std::pair{"%BARE%", fixture_->node().pod("bare").netns_path},
                                      std::pair{"%DB%", fixture_->node().pod("db").ip4}}) {
      for (std::size_t at; (at = text.find(name)) != std::string::npos;) text.replace(at, strlen(name), value);
    }
    return text;
  }

  static void ExpectOneError(const StatusOr<ClientResult>& result, const std::vector<const char*>& needles) {
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->exit_code, 1) << result->err;
    EXPECT_EQ(result->out, "");
    EXPECT_EQ(std::count(result->err.begin(), result->err.end(), '\n'), 1) << result->err;
    EXPECT_LT(result->err.size(), 600U) << result->err;
    for (const char* needle : needles) EXPECT_THAT(result->err, HasSubstr(Fill(needle)));
  }

  void ExpectNothingChanged(bool bare_is_closed = false) const {
    const auto after = fixture_->Everything();
    ASSERT_TRUE(after.ok()) << after.status();
    EXPECT_EQ(*after, before_);
    EXPECT_EQ(fixture_->Tcp("web", "db", kPort, true), ProbeOutcome::kAllowed);
    EXPECT_EQ(fixture_->Tcp("cache", "db", kPort, false), ProbeOutcome::kTimeout);
    EXPECT_EQ(TcPrograms(fixture_->node(), fixture_->node().pod("bare").host_ifindex), bare_is_closed ? 2 : 0);
  }

  static std::string File() { return fixture_->agent().directory() + "/bad.yaml"; }

  static inline std::unique_ptr<NodeFixture> fixture_;
  static inline std::unique_ptr<ProbeServers> servers_;
  std::string before_;
};

TEST_P(BadInput, IsOneErrorAndChangesNothing) {
  std::ofstream(File()) << kWouldCut << Fill(GetParam().yaml);
  ExpectOneError(fixture_->agent().Sluice({"apply", "-f", File()}), GetParam().needles);
  ExpectNothingChanged(GetParam().closes_bare);
  if (!GetParam().closes_bare) return;
  EXPECT_TRUE(fixture_->agent().Delete({policy::Kind::kWorkload, {"shop", "bad"}}).ok())
      << "nobody asks for it any more";
  EXPECT_EQ(TcPrograms(fixture_->node(), fixture_->node().pod("bare").host_ifindex), 0);
}

INSTANTIATE_TEST_SUITE_P(Resource, BadInput, testing::ValuesIn(BadCases()),
                         [](const auto& info) { return std::string(info.param.name); });

using BadFile = BadInput;

TEST_F(BadFile, OfHundredMegabytesIsNotRead) {
  constexpr off_t kSize = 100 << 20;
  std::ofstream(File()) << kWouldCut;
  ASSERT_EQ(truncate(File().c_str(), kSize), 0);
  ExpectOneError(fixture_->agent().Sluice({"apply", "-f", File()}), {"bad.yaml", "larger than 33554432 bytes"});
  ExpectNothingChanged();
  // The agent also refuses it from a client that does not check.
  ApiClient api(fixture_->agent().api_address());
  const Status refused = api.Apply(kWouldCut + std::string(policy::kMaxResourceBytes, '#'));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("at most 33554432"));
  ExpectNothingChanged();
}

TEST_F(BadFile, ThatDoesNotExistIsNamed) {
  ExpectOneError(fixture_->agent().Sluice({"apply", "-f", "/tmp/no-such-file.yaml"}), {"/tmp/no-such-file.yaml"});
  ExpectNothingChanged();
}

TEST_F(BadFile, WithTheSecondOfTwoFilesWrongChangesNothing) {
  const std::string good = fixture_->agent().directory() + "/good.yaml";
  std::ofstream(good) << kWouldCut;
  std::ofstream(File()) << Policy("{form: []}");
  ExpectOneError(fixture_->agent().Sluice({"apply", "-f", good, "-f", File()}), {"bad.yaml:7", "form"});
  ExpectNothingChanged();
}

TEST_F(BadFile, NamesInDeleteThatDoNotExist) {
  ExpectOneError(fixture_->agent().Sluice({"delete", "networkpolicy", "db", "no-such", "-n", "shop"}),
                 {"shop/no-such"});
  ExpectNothingChanged();
}

// Each table has room for the present resources, and no more.
TEST(FullMap, RefusesTheChangeAndNamesTheMap) {
  SL_REQUIRE_NETNS();
  SL_REQUIRE_BPF();
  const auto fixture = NodeFixture::Create(
      {.pods = {"web", "db"},
       .args = {"--max-addresses", "24", "--max-prefixes", "8", "--max-peers", "10", "--max-port-entries", "32"},
       .outside = false});
  ASSERT_TRUE(fixture.ok()) << fixture.status();
  NodeFixture& node = **fixture;
  const auto servers = ProbeServers::Start({{.netns_fd = node.netns_fd("db"), .port = kPort}});
  ASSERT_TRUE(servers.ok()) << servers.status();
  const Status applied =
      node.agent().Apply(node.WorkloadYaml("web", "{app: web}") + node.WorkloadYaml("db", "{app: db}") + kDbFromWeb);
  ASSERT_TRUE(applied.ok()) << applied;
  const auto before = node.Everything();
  ASSERT_TRUE(before.ok()) << before.status();

  std::string pods;
  std::string labelled;
  std::string blocks;
  std::string ports;
  for (int i = 0; i < 40; ++i) {
    pods += fmt::format(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p{0}, namespace: shop}}\nstatus: {{podIPs: "
        "[{{ip: 10.7.0.{0}}}]}}\n",
        i + 1);
    blocks += fmt::format("{{ipBlock: {{cidr: 10.{}.0.0/16}}}}, ", i + 50);
    ports += fmt::format("{{port: {}}}, ", 2 * i + 100);
  }
  for (int i = 0; i < 8; ++i) {
    labelled += fmt::format(R"(---
apiVersion: v1
kind: Pod
metadata: {{name: p{0}, namespace: shop, labels: {{app: p{0}}}}}
status: {{podIPs: [{{ip: 10.7.0.{0}}}]}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: n{0}, namespace: shop}}
spec:
  podSelector: {{}}
  ingress: [{{ports: [{{port: {1}}}], from: [{{podSelector: {{matchLabels: {{app: p{0}}}}}}}]}}]
)",
                            i, i + 1);
  }
  const struct {
    const char* map;
    std::string yaml;
  } cases[] = {{"addresses", pods},
               {"prefixes", Policy("from: [" + blocks + "]")},
               {"peers", labelled},
               {"ports", Policy("ports: [" + ports + "]")}};
  for (const auto& [map, yaml] : cases) {
    SCOPED_TRACE(map);
    const auto refused = node.agent().Sluice({"apply", "-f", "-"}, yaml);
    ASSERT_TRUE(refused.ok()) << refused.status();
    EXPECT_EQ(refused->exit_code, 1);
    EXPECT_THAT(refused->err, HasSubstr(map));
    EXPECT_EQ(std::count(refused->err.begin(), refused->err.end(), '\n'), 1) << refused->err;
    const auto after = node.Everything();
    ASSERT_TRUE(after.ok()) << after.status();
    EXPECT_EQ(*after, *before);
    EXPECT_EQ(node.Tcp("web", "db", kPort, true), ProbeOutcome::kAllowed);
  }
}

}  // namespace
}  // namespace sluice::test
