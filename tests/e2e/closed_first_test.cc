// A pod that is a workload, but cannot be enforced on (yet), is closed: with real packets, from before the agent knows
// it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "kernel/net/netlink.h"
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
using testing::Not;

// `other` may talk to nobody.
constexpr const char* kOtherToNobody = R"(---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: other, namespace: shop}
spec: {podSelector: {matchLabels: {app: other}}, policyTypes: [Egress]}
)";

class ClosedFirst : public testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
  }
  void TearDown() override {
    echo_.reset();
    open_echo_.reset();
    if (!mounted_.empty()) umount2(mounted_.c_str(), MNT_DETACH);
    fixture_.reset();
  }

  void Start(const std::vector<std::string>& args = {}) {
    auto fixture = NodeFixture::Create({.pods = {"web", "db", "other", "open"}, .args = args, .outside = false});
    ASSERT_TRUE(fixture.ok()) << fixture.status();
    fixture_ = *std::move(fixture);
    for (auto* const of : {&echo_, &open_echo_}) {
      auto echo = EchoServer::Start(fixture_->netns_fd(of == &echo_ ? "db" : "open"), {kPort});
      ASSERT_TRUE(echo.ok()) << echo.status();
      *of = *std::move(echo);
    }
  }
  std::string Yaml(const std::string& pod) const { return fixture_->WorkloadYaml(pod, "{app: " + pod + "}"); }
  void ApplyWebAndDb() const {
    const Status applied = fixture_->agent().Apply(Yaml("web") + Yaml("db") + kDbFromWeb);
    ASSERT_TRUE(applied.ok()) << applied;
  }
  // `other` has no address that the agent accepts as its own, but still sends.
  void HideAddressOfOther() const {
    ASSERT_TRUE(fixture_->node()
                    .netns(fixture_->node().pod("other"))
                    .Ip("addr flush dev eth0\naddr add 169.254.7.7/32 dev eth0 scope link\n"
                        "route replace default via 169.254.1.1 dev eth0 onlink src 169.254.7.7\n")
                    .ok());
  }
  std::unique_ptr<Pinger> Talk(const std::string& from, const std::string& to) const {
    auto pinger = Pinger::Start({.netns_fd = fixture_->netns_fd(from),
                                 .destination = fixture_->ip4(to),
                                 .port = kPort,
                                 .interval = 1ms,
                                 .new_flows = true,
                                 .patience = 0ms});
    EXPECT_TRUE(pinger.ok()) << pinger.status();
    return pinger.ok() ? *std::move(pinger) : nullptr;
  }
  // No packet from `from` arrives, not even where only its own end could deny it.
  void ExpectClosed(const std::string& from) const {
    const std::uint64_t before = open_echo_->Received(kPort);
    const auto pinger = Talk(from, "open");
    ASSERT_NE(pinger, nullptr);
    ASSERT_TRUE(Eventually([&] { return pinger->counts().sent > 30; }));
    pinger->Stop();
    EXPECT_EQ(open_echo_->Received(kPort), before);
    EXPECT_EQ(TcPrograms(fixture_->node(), fixture_->node().pod(from).host_ifindex), 2);
  }
  // The pod gets a new veth.
  void ComeBack(const TestPod& pod) const {
    const std::string netns = fs::path(pod.netns_path).filename();
    ASSERT_TRUE(fixture_->node().netns().Ip("link del " + pod.host_interface + "\n").ok());
    ASSERT_TRUE(
        fixture_->node()
            .netns()
            .Ip(fmt::format("link add {0} address {1} type veth peer name eth0 address {2} netns {3}\n"
                            "link set {0} up\nroute add {4}/32 dev {0} src {5}\n"
                            "neigh add {4} lladdr {2} dev {0} nud permanent\n",
                            pod.host_interface, pod.host_mac, pod.pod_mac, netns, pod.ip4, fixture_->node().ip4()))
            .ok());
    ASSERT_TRUE(fixture_->node()
                    .netns(pod)
                    .Ip(fmt::format("link set eth0 up\naddr add {}/32 dev eth0\n"
                                    "neigh add 169.254.1.1 lladdr {} dev eth0 nud permanent\n"
                                    "route add default via 169.254.1.1 dev eth0 onlink\n",
                                    pod.ip4, pod.host_mac))
                    .ok());
  }
  bool Reaches(const std::string& from) const {
    return fixture_->Udp(from, "db", kPort, true) == ProbeOutcome::kAllowed;
  }
  std::string StatusText() const {
    const auto status = fixture_->agent().Sluice({"status"});
    return status.ok() ? status->out + status->err : Message(status.status());
  }

  std::unique_ptr<NodeFixture> fixture_;
  std::unique_ptr<EchoServer> echo_;
  std::unique_ptr<EchoServer> open_echo_;  // of a pod that is not a workload
  std::string mounted_;
};

TEST_F(ClosedFirst, AWorkloadWithoutAddressIsClosedListedAndOpensWithIt) {
  Start();
  ApplyWebAndDb();
  HideAddressOfOther();
  const auto refused = fixture_->agent().Sluice({"apply", "-f", "-"}, Yaml("other"));
  ASSERT_TRUE(refused.ok());
  EXPECT_NE(refused->exit_code, 0);
  EXPECT_THAT(refused->err, HasSubstr("no global address"));
  ExpectClosed("other");
  EXPECT_THAT(StatusText(), HasSubstr("shop/other"));
  EXPECT_TRUE(Reaches("web")) << "others go on";
  // Its Workload is gone: it is open like any pod that is not a workload.
  const Status deleted = fixture_->agent().Delete({policy::Kind::kWorkload, {"shop", "other"}});
  ASSERT_TRUE(deleted.ok()) << deleted;
  EXPECT_EQ(TcPrograms(fixture_->node(), fixture_->node().pod("other").host_ifindex), 0);
  EXPECT_THAT(StatusText(), Not(HasSubstr("shop/other")));
}

TEST_F(ClosedFirst, AtAStartTooAndTwoOfOneAddressDoNotKeepTheAgentFromIt) {
  Start();
  const std::string directory = fixture_->agent().directory() + "/resources";
  fs::create_directories(directory);
  std::string twin = Yaml("other");  // with web's address
  twin.replace(twin.find("spec: {"), 7, "spec: {ips: [" + fixture_->node().pod("web").ip4 + "], ");
  std::string web = Yaml("web");
  web.replace(web.find("spec: {"), 7, "spec: {ips: [" + fixture_->node().pod("web").ip4 + "], ");
  std::ofstream(directory + "/all.yaml") << twin << web << Yaml("db") << kDbFromWeb;
  ASSERT_TRUE(fixture_->agent().Stop().ok());
  const Status started = fixture_->agent().Restart({"--resources", directory});
  ASSERT_TRUE(started.ok()) << started;
  // The first one by name owns it.
  const std::string status = StatusText();
  EXPECT_THAT(status, HasSubstr("shop/web"));
  EXPECT_THAT(status, HasSubstr("has the address"));
  EXPECT_EQ(TcPrograms(fixture_->node(), fixture_->node().pod("web").host_ifindex), 2);
  ExpectClosed("web");
}

// As with the unit file: a returning pod can send only until the agent learns of its interface, seven times out of
// seven, and not until the next rescan.
TEST_F(ClosedFirst, APodThatComesBackIsClosedWithItsFirstPackets) {
  Start();
  ApplyWebAndDb();
  ASSERT_EQ(fixture_->Udp("other", "open", kPort, true), ProbeOutcome::kAllowed) << "while it is no workload";
  ASSERT_TRUE(fixture_->agent().Apply(Yaml("other") + kOtherToNobody).ok());
  const TestPod pod = fixture_->node().pod("other");
  const std::uint64_t before = open_echo_->ReceivedFrom(fixture_->ip4("other"));
  const auto pinger = Talk("other", "open");
  ASSERT_NE(pinger, nullptr);
  for (int round = 0; round < 7; round++) {
    ComeBack(pod);
    const std::uint64_t sent = pinger->counts().sent;
    ASSERT_TRUE(Eventually([&] { return pinger->counts().sent > sent + 100; }));
    ASSERT_TRUE(Eventually([&] { return StatusText().find("shop/other") == std::string::npos; }));
  }
  pinger->Stop();
  const std::uint64_t arrived = open_echo_->ReceivedFrom(fixture_->ip4("other")) - before;
  std::printf("%lu packets of seven times\n", arrived);
  EXPECT_LT(arrived, 7U * 250) << "at one each millisecond";
  EXPECT_TRUE(Reaches("web"));
}

// Closing a pod does not wait for the computations of a change.
TEST_F(ClosedFirst, APodThatComesBackWhileALongChangeIsMadeDoesNotWaitForIt) {
  Start();
  ApplyWebAndDb();
  ASSERT_TRUE(fixture_->agent().Apply(Yaml("other") + kOtherToNobody).ok());
  std::string change;
  for (int i = 0; i < 10000; ++i)
    change += fmt::format(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: f{0}, namespace: n{1}, labels: {{app: f{0}}}}}\n"
        "status: {{podIPs: [{{ip: 10.{2}.{3}.{4}}}]}}\n",
        i, i % 100, 64 + (i >> 16), i >> 8 & 255, i & 255);
  for (int i = 0; i < 600; ++i)
    change += fmt::format(
        "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p{0}, namespace: shop}}\n"
        "spec: {{podSelector: {{matchLabels: {{app: db}}}}, ingress: [{{from: [{{namespaceSelector: {{}}, podSelector: "
        "{{matchLabels: {{app: f{0}}}}}}}], ports: [{{port: {0}, endPort: 9000}}]}}]}}\n",
        i + 1);
  using Clock = std::chrono::steady_clock;
  const TestPod pod = fixture_->node().pod("other");
  std::atomic<bool> done = false;
  Status applied = OkStatus();
  const auto begin = Clock::now();
  std::thread applier([&] {
    applied = ApiClient(fixture_->agent().api_address()).Apply(change);
    done = true;
  });
  Clock::duration longest{};
  int times = 0;
  for (; !done && !HasFatalFailure(); ++times) {
    ComeBack(pod);
    const auto back = Clock::now();
    std::uint32_t ifindex = 0;
    const Status found = fixture_->node().Run([&]() -> Status {
      SL_ASSIGN_OR_RETURN(const net::LinkInfo link, net::Netlink::Open()->GetLink(pod.host_interface));
      ifindex = link.ifindex;
      return OkStatus();
    });
    EXPECT_TRUE(found.ok()) << found;
    EXPECT_TRUE(Eventually([&] { return TcPrograms(fixture_->node(), ifindex) == 2; }, 60s));
    longest = std::max(longest, Clock::now() - back);
  }
  applier.join();
  const auto took = Clock::now() - begin;
  EXPECT_TRUE(applied.ok()) << applied;
  EXPECT_GT(times, 3);
  EXPECT_LT(longest, took / 10);
  const auto ms = [](Clock::duration time) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
  };
  std::printf("a change of %ld ms; a pod came back %d times meanwhile and was closed after %ld ms at most\n",
              static_cast<long>(ms(took)), times, static_cast<long>(ms(longest)));
  EXPECT_TRUE(Eventually([&] { return StatusText().find("shop/other") == std::string::npos; })) << StatusText();
}

TEST_F(ClosedFirst, WithAFullDiskANewWorkloadIsClosedAndQuarantineCuts) {
  Start();
  ASSERT_TRUE(fixture_->agent().Stop().ok());
  const std::string state = fixture_->agent().state_dir();
  ASSERT_EQ(mount("none", state.c_str(), "tmpfs", 0, "size=512k"), 0);
  mounted_ = state;
  ASSERT_TRUE(fixture_->agent().Restart().ok());
  ApplyWebAndDb();
  ASSERT_TRUE(Reaches("web"));
  std::ofstream(state + "/filler") << std::string(1 << 20, 'x');

  const auto refused = fixture_->agent().Sluice({"apply", "-f", "-"}, Yaml("other"));
  ASSERT_TRUE(refused.ok());
  EXPECT_NE(refused->exit_code, 0);
  EXPECT_THAT(refused->err, HasSubstr("the disk is full"));
  ExpectClosed("other");
  EXPECT_THAT(StatusText(), HasSubstr("shop/other"));

  const auto cut = fixture_->agent().Sluice({"quarantine", "shop/web"});
  ASSERT_TRUE(cut.ok());
  EXPECT_EQ(cut->exit_code, 0) << cut->err;
  EXPECT_THAT(cut->out, HasSubstr("would not outlive a boot"));
  EXPECT_EQ(fixture_->Udp("web", "db", kPort, false), ProbeOutcome::kTimeout);

  // A start does not need the disk, and the refused change opens nothing.
  ASSERT_TRUE(fixture_->agent().Kill().ok());
  ASSERT_TRUE(fixture_->agent().Restart().ok());
  ExpectClosed("other");
  EXPECT_EQ(fixture_->Udp("web", "db", kPort, false), ProbeOutcome::kTimeout) << "the kernel has it";

  fs::remove(state + "/filler");
  const Status applied = fixture_->agent().Apply(Yaml("other"));
  EXPECT_TRUE(applied.ok()) << applied;
  EXPECT_EQ(fixture_->agent().Sluice({"quarantine", "--release", "shop/web"})->exit_code, 0);
  EXPECT_TRUE(Reaches("web"));
  EXPECT_EQ(fixture_->Udp("other", "db", kPort, false), ProbeOutcome::kTimeout);
}

TEST_F(ClosedFirst, WithoutFileDescriptorsNobodyIsCutOff) {
  Start();
  ApplyWebAndDb();
  ASSERT_TRUE(Reaches("web"));
  const auto count = [&] {
    const std::string fds = fmt::format("/proc/{}/fd", fixture_->agent().pid());
    return static_cast<rlim_t>(std::distance(fs::directory_iterator(fds), fs::directory_iterator()));
  };
  rlimit before{};
  ASSERT_EQ(prlimit(fixture_->agent().pid(), RLIMIT_NOFILE, nullptr, &before), 0);
  const rlimit none{count() / 2, before.rlim_max};
  ASSERT_EQ(prlimit(fixture_->agent().pid(), RLIMIT_NOFILE, &none, nullptr), 0);
  ASSERT_TRUE(fixture_->node().netns().Ip("addr add 10.1.0.77/32 dev lo\n").ok());  // triggers a rescan
  EXPECT_TRUE(
      Eventually([&] { return fixture_->agent().Log().find("following the node's interfaces") != std::string::npos; }));
  for (int i = 0; i < 10; i++) EXPECT_TRUE(Reaches("web")) << i;
  ASSERT_EQ(prlimit(fixture_->agent().pid(), RLIMIT_NOFILE, &before, nullptr), 0);
  EXPECT_TRUE(Eventually([&] { return StatusText().find("NOT ENFORCED ON") == std::string::npos; }));
  EXPECT_TRUE(Reaches("web"));
}

}  // namespace
}  // namespace sluice::test
