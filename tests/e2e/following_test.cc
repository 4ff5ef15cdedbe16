// The agent follows changes of its node: interfaces, addresses, namespaces and labels.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "testbed/traffic.h"
#include "tests/e2e/api_client.h"
#include "tests/e2e/constants.h"
#include "tests/support/environment.h"
#include "tests/support/node_fixture.h"

namespace sluice::test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::HasSubstr;

// To db only from what is labelled app=web, in namespaces labelled team=blue.
constexpr const char* kOnlyWeb = R"(---
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {team: blue}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress: [{from: [{podSelector: {matchLabels: {app: web}}, namespaceSelector: {matchLabels: {team: blue}}}]}]
)";

class Following : public testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
  }

  void Start(const std::vector<std::string>& args = {}) {
    auto fixture = NodeFixture::Create({.pods = {"web", "db", "other"}, .args = args, .outside = false});
    ASSERT_TRUE(fixture.ok()) << fixture.status();
    fixture_ = *std::move(fixture);
    auto servers = ProbeServers::Start({{.netns_fd = fixture_->netns_fd("db"), .port = kPort}});
    ASSERT_TRUE(servers.ok()) << servers.status();
    servers_ = *std::move(servers);
    api_ = std::make_unique<ApiClient>(fixture_->agent().api_address());
  }

  void ApplyAll() {
    const Status applied =
        api_->Apply(fixture_->WorkloadYaml("web", "{app: web}") + fixture_->WorkloadYaml("db", "{app: db}") +
                    fixture_->WorkloadYaml("other", "{app: other}") + kOnlyWeb);
    ASSERT_TRUE(applied.ok()) << applied;
  }

  bool Reaches(const std::string& from, bool expected) const {
    return (fixture_->Tcp(from, "db", kPort, expected) == ProbeOutcome::kAllowed) == expected;
  }

  // Waits for these numbers of workloads that are enforced on, and that are not.
  bool AwaitWorkloads(std::uint64_t bound, int unbound) const {
    return Eventually([&] {
      const auto status = api_->ReadStatus();
      return status.ok() && status->workloads() == bound && status->unbound_size() == unbound;
    });
  }

  void ReplaceVeth(const std::string& name) {
    const TestPod& pod = fixture_->node().pod(name);
    ASSERT_TRUE(fixture_->node().netns().Ip(fmt::format("link del {}\n", pod.host_interface)).ok());
  }

  std::unique_ptr<NodeFixture> fixture_;
  std::unique_ptr<ProbeServers> servers_;
  std::unique_ptr<ApiClient> api_;
};

TEST_F(Following, AVethThatGoesAwayAndComesBackIsEnforcedOnAgain) {
  Start();
  ApplyAll();
  const TestPod pod = fixture_->node().pod("other");
  const TestNetNs& node = fixture_->node().netns();
  ASSERT_TRUE(node.Ip("link del " + pod.host_interface + "\n").ok());
  ASSERT_TRUE(AwaitWorkloads(2, 1));
  const auto status = api_->ReadStatus();
  ASSERT_TRUE(status.ok());
  EXPECT_EQ(status->programs_size(), 4) << "programs of an interface that is no more";
  EXPECT_THAT(status->unbound(0).problem(), HasSubstr("eth0"));

  const std::string netns = fs::path(pod.netns_path).filename();
  ASSERT_TRUE(
      node.Ip(fmt::format("link add {0} address {1} type veth peer name eth0 address {2} netns {3}\n"
                          "link set {0} up\n"
                          "route add {4}/32 dev {0} src {5}\n"
                          "neigh add {4} lladdr {2} dev {0} nud permanent\n",
                          pod.host_interface, pod.host_mac, pod.pod_mac, netns, pod.ip4, fixture_->node().ip4()))
          .ok());
  ASSERT_TRUE(fixture_->node()
                  .netns(fixture_->node().pod("other"))
                  .Ip(fmt::format("link set eth0 up\naddr add {}/32 dev eth0\n"
                                  "neigh add 169.254.1.1 lladdr {} dev eth0 nud permanent\n"
                                  "route add default via 169.254.1.1 dev eth0 onlink\n",
                                  pod.ip4, pod.host_mac))
                  .ok());
  ASSERT_TRUE(AwaitWorkloads(3, 0));
  EXPECT_TRUE(Reaches("other", false));
  EXPECT_TRUE(Reaches("web", true));
  ASSERT_TRUE(api_->Apply(fixture_->WorkloadYaml("other", "{app: web}")).ok());
  EXPECT_TRUE(Reaches("other", true));
}

TEST_F(Following, ANewAddressOfAPodCountsAndTheOldOneIsNoLongerIts) {
  Start();
  ApplyAll();
  const std::string old = fixture_->node().pod("web").ip4;
  const TestNetNs& web = fixture_->node().netns(fixture_->node().pod("web"));
  const std::string host = fixture_->node().pod("web").host_interface;
  ASSERT_TRUE(fixture_->node()
                  .netns()
                  .Ip(fmt::format("route add 10.1.0.99/32 dev {0}\nneigh add 10.1.0.99 lladdr {1} dev {0}\n", host,
                                  fixture_->node().pod("web").pod_mac))
                  .ok());
  ASSERT_TRUE(web.Ip(fmt::format("addr add 10.1.0.99/32 dev eth0\naddr del {}/32 dev eth0\n"
                                 "route replace default via 169.254.1.1 dev eth0 onlink\n",
                                 old))
                  .ok());
  const auto knows = [&](const std::string& ip, bool expected) {
    return Eventually([&] {
      const auto told = fixture_->agent().Sluice({"explain", "--from", ip, "--to", "shop/db", "--port", "1000/TCP"});
      return told.ok() && (told->out.find("shop/web") != std::string::npos) == expected;
    });
  };
  EXPECT_TRUE(knows("10.1.0.99", true));
  EXPECT_TRUE(knows(old, false));
  EXPECT_TRUE(Reaches("web", true));
}

TEST_F(Following, APodThatGivesUpItsAddressStaysClosed) {
  Start();
  ApplyAll();
  const TestNetNs& other = fixture_->node().netns(fixture_->node().pod("other"));
  ASSERT_TRUE(other.Ip("addr flush dev eth0\n").ok());
  ASSERT_TRUE(AwaitWorkloads(2, 1));
  EXPECT_EQ(TcPrograms(fixture_->node(), fixture_->node().pod("other").host_ifindex), 2);
  // Behind an unknown address, also through another start of the agent.
  ASSERT_TRUE(other
                  .Ip("addr add 169.254.7.7/32 dev eth0 scope link\n"
                      "route replace default via 169.254.1.1 dev eth0 onlink src 169.254.7.7\n")
                  .ok());
  const auto echo = EchoServer::Start(fixture_->netns_fd("db"), {kPort});
  ASSERT_TRUE(echo.ok()) << echo.status();
  const auto pinger = Pinger::Start({.netns_fd = fixture_->netns_fd("other"),
                                     .destination = fixture_->ip4("db"),
                                     .port = kPort,
                                     .interval = 1ms,
                                     .new_flows = true,
                                     .patience = 0ms});
  ASSERT_TRUE(pinger.ok()) << pinger.status();
  ASSERT_TRUE(Eventually([&] { return (*pinger)->counts().sent > 20; }));
  ASSERT_TRUE(fixture_->agent().Kill().ok());
  ASSERT_TRUE(fixture_->agent().Restart().ok());
  EXPECT_EQ(TcPrograms(fixture_->node(), fixture_->node().pod("other").host_ifindex), 2);
  (*pinger)->Stop();
  EXPECT_EQ((*echo)->Received(kPort), 0U);
  ASSERT_TRUE(fixture_->agent().Delete({policy::Kind::kWorkload, {"shop", "other"}}).ok());
  EXPECT_EQ(TcPrograms(fixture_->node(), fixture_->node().pod("other").host_ifindex), 0);
}

TEST_F(Following, APodThatTakesAnothersAddressHasNothingFromIt) {
  Start();
  ApplyAll();
  ASSERT_TRUE(fixture_->node()
                  .netns(fixture_->node().pod("db"))
                  .Ip(fmt::format("addr add {}/32 dev eth0\n", fixture_->node().pod("web").ip4))
                  .ok());
  ASSERT_TRUE(AwaitWorkloads(2, 1));
  const auto status = api_->ReadStatus();
  ASSERT_TRUE(status.ok());
  EXPECT_EQ(status->unbound(0).name(), "db");
  EXPECT_THAT(status->unbound(0).problem(), HasSubstr(fixture_->node().pod("web").ip4));
  // Changes of other workloads still work.
  const Status other = api_->Apply(fixture_->WorkloadYaml("other", "{app: web}"));
  EXPECT_TRUE(other.ok()) << other;
  ASSERT_TRUE(fixture_->node()
                  .netns(fixture_->node().pod("db"))
                  .Ip(fmt::format("addr del {}/32 dev eth0\n", fixture_->node().pod("web").ip4))
                  .ok());
  ASSERT_TRUE(AwaitWorkloads(3, 0));
  EXPECT_TRUE(Reaches("web", true));
}

TEST_F(Following, ANamespaceThatIsDeletedAndMadeAgain) {
  Start();
  ApplyAll();
  ASSERT_TRUE(fixture_->node().RemovePod("web").ok());
  ASSERT_TRUE(AwaitWorkloads(2, 1));
  ASSERT_TRUE(fixture_->node().AddPod("web").ok());
  // TestNode gives a new name each time: the workload's namespace file has another path now.
  ASSERT_TRUE(api_->Apply(fixture_->WorkloadYaml("web", "{app: web}")).ok());
  ASSERT_TRUE(AwaitWorkloads(3, 0));
  EXPECT_TRUE(Reaches("web", true));
  EXPECT_TRUE(Reaches("other", false));
}

TEST_F(Following, ADirectoryMayNameWhatAppearsLaterAndIsReadAgainOnHangup) {
  const std::string directory = testing::TempDir() + "/sluice-following";
  fs::create_directories(directory);
  const std::string file = directory + "/all.yaml";
  std::ofstream(file) << "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n";
  Start({"--resources", directory});
  std::string yaml = fixture_->WorkloadYaml("web", "{app: web}") + fixture_->WorkloadYaml("db", "{app: db}") +
                     fixture_->WorkloadYaml("other", "{app: other}") + kOnlyWeb;
  const std::string later =
      "/run/netns/" + fs::path(fixture_->node().pod("other").netns_path).filename().string() + "-late";
  const std::string now = fixture_->node().pod("other").netns_path;
  yaml.replace(yaml.find(now), now.size(), later);
  std::ofstream(file) << yaml;
  ASSERT_TRUE(fixture_->agent().Signal(SIGHUP).ok());
  ASSERT_TRUE(AwaitWorkloads(2, 1));
  EXPECT_TRUE(Reaches("web", true));
  // Its name appears, but no link changes.
  fs::create_symlink(now, later);
  EXPECT_TRUE(AwaitWorkloads(3, 0));
  EXPECT_TRUE(Reaches("other", false));
  fs::remove(later);
  fs::remove_all(directory);
}

TEST_F(Following, LabelsCountFromTheirChangeOn) {
  Start();
  ApplyAll();
  EXPECT_TRUE(Reaches("web", true));
  EXPECT_TRUE(Reaches("other", false));
  ASSERT_TRUE(
      api_->Apply(fixture_->WorkloadYaml("web", "{app: was-web}") + fixture_->WorkloadYaml("other", "{app: web}"))
          .ok());
  EXPECT_TRUE(Reaches("web", false));
  EXPECT_TRUE(Reaches("other", true));
  ASSERT_TRUE(api_->Apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {team: red}}\n").ok());
  EXPECT_TRUE(Reaches("other", false));
  ASSERT_TRUE(api_->Apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {team: blue}}\n").ok());
  EXPECT_TRUE(Reaches("other", true));
}

TEST_F(Following, AWorkloadThatIsDeletedIsReleased) {
  Start();
  ApplyAll();
  EXPECT_TRUE(Reaches("other", false));
  ASSERT_TRUE(fixture_->agent().Delete({policy::Kind::kWorkload, {"shop", "db"}}).ok());
  EXPECT_EQ(TcPrograms(fixture_->node(), fixture_->node().pod("db").host_ifindex), 0);
  EXPECT_EQ(TcPrograms(fixture_->node(), fixture_->node().pod("web").host_ifindex), 2);
  EXPECT_TRUE(Reaches("other", true));
}

// A new address of the node counts as the node's at once: packets from it are allowed.
TEST_F(Following, ANewAddressOfTheNodeIsTheNodes) {
  Start();
  ApplyAll();
  ASSERT_TRUE(fixture_->node().netns().Ip("addr add 10.1.0.77/32 dev lo\n").ok());
  EXPECT_TRUE(Eventually([&] {
    const auto told =
        fixture_->agent().Sluice({"explain", "--from", "10.1.0.77", "--to", "shop/db", "--port", "1000/TCP"});
    return told.ok() && told->exit_code == 0 && told->out.find("node") != std::string::npos;
  }));
}

}  // namespace
}  // namespace sluice::test
