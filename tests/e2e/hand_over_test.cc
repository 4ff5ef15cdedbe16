// A new version takes over an older version's kernel state (tests/data/layouts) during traffic.
#include <bpf/bpf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <random>
#include <set>
#include <string_view>
#include <thread>

#include "kernel/bpf/hook.h"
#include "kernel/bpf/link.h"
#include "kernel/bpf/map.h"
#include "kernel/bpf/object.h"
#include "kernel/bpf/pin_layout.h"
#include "testbed/traffic.h"
#include "tests/e2e/constants.h"
#include "tests/e2e/hubble_client.h"
#include "tests/support/environment.h"
#include "tests/support/layout.h"
#include "tests/support/node_fixture.h"

namespace sluice::test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::HasSubstr;

const std::vector<std::string> kPods = {"client", "other", "server", "jail", "tool"};

// Of the programs in tool, only these tests may reach a peer, and only the server.
constexpr const char* kPolicies = R"(---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: server, namespace: shop}
spec:
  podSelector: {matchLabels: {app: server}}
  policyTypes: [Ingress]
  ingress:
    - from: [{podSelector: {matchExpressions: [{key: app, operator: In, values: [client, jail, tool]}]}}]
      ports: [{protocol: UDP, port: 1000}, {protocol: TCP, port: 2000}]
---
apiVersion: sluice.dev/v1alpha1
kind: NetworkPolicy
metadata: {name: tool, namespace: shop}
spec:
  podSelector: {matchLabels: {app: tool}}
  policyTypes: [Egress]
  egress:
    - to: [{podSelector: {matchLabels: {app: server}}}]
      processes: {binaries: ["/**/e2e"]}
)";

constexpr const char* kDenyServer = R"(---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: server, namespace: shop}
spec: {podSelector: {matchLabels: {app: server}}}
)";

std::map<std::string, std::string> Names(const TestNode& node) {
  std::map<std::string, std::string> names;
  for (const TestPod& pod : node.pods()) names[pod.netns_path] = "@netns-of-" + pod.name + "@";
  return names;
}

std::string Everything(const TestNode& node) {
  std::string yaml = kPolicies;
  for (const TestPod& pod : node.pods()) {
    yaml += fmt::format(
        "---\napiVersion: sluice.dev/v1alpha1\nkind: Workload\n"
        "metadata: {{name: {}, namespace: shop, labels: {{app: {}}}}}\nspec: {{netns: {}}}\n",
        pod.name, pod.name, pod.netns_path);
  }
  return yaml;
}

StatusOr<std::unique_ptr<TestNode>> MakeNode() { return TestNode::Create({.pods = kPods, .outside = true}); }

// Not a test: scripts/make-layout runs it, with an older version's programs in $SLUICE_BIN_DIR.
TEST(LayoutFixture, DISABLED_Record) {
  const char* const directory = std::getenv("SLUICE_LAYOUT_OUT");
  ASSERT_NE(directory, nullptr);
  auto node = MakeNode();
  ASSERT_TRUE(node.ok()) << node.status();
  auto agent = AgentProcess::Start({.netns_fd = (*node)->fd(), .args = {"--uplink", "uplink"}});
  ASSERT_TRUE(agent.ok()) << agent.status();
  const Status applied = (*agent)->Apply(Everything(**node));
  ASSERT_TRUE(applied.ok()) << applied;
  const auto quarantined = (*agent)->Sluice({"quarantine", "shop/jail"});
  ASSERT_TRUE(quarantined.ok() && quarantined->exit_code == 0);
  ASSERT_TRUE((*agent)->Stop().ok());
  const Status recorded = RecordLayout((*agent)->bpf_root(), (*agent)->state_dir(), Names(**node), directory);
  EXPECT_TRUE(recorded.ok()) << recorded;
}

class HandOver : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
    auto node = MakeNode();
    ASSERT_TRUE(node.ok()) << node.status();
    node_ = *std::move(node);
  }

  // Restores the older version's state in `root`, calls `before`, then starts the agent, also with `more` arguments.
  Status Start(const std::function<Status()>& before = {}, const std::vector<std::string>& more = {}) {
    std::vector<std::string> args = AgentArguments();
    args.insert(args.end(), more.begin(), more.end());
    SL_ASSIGN_OR_RETURN(agent_, AgentProcess::Start({.netns_fd = node_->fd(),
                                                     .args = std::move(args),
                                                     .ready_timeout = 300s,  // emulated kernel, all that traffic
                                                     .prepare = [&](const AgentProcess& agent) -> Status {
                                                       root_ = agent.bpf_root();
                                                       state_ = agent.state_dir();
                                                       SL_RETURN_IF_ERROR(Restore());
                                                       return before ? before() : OkStatus();
                                                     }}));
    return OkStatus();
  }
  // The same, for a start by the test itself.
  Status Prepare() {
    SL_ASSIGN_OR_RETURN(agent_, AgentProcess::Start({.netns_fd = node_->fd()}));
    SL_RETURN_IF_ERROR(agent_->Stop());
    root_ = agent_->bpf_root();
    state_ = agent_->state_dir();
    fs::remove_all(root_);
    fs::remove_all(state_);
    return Restore();
  }
  Status Restore() const {
    return node_->Run([&] { return RestoreLayout(KeptLayouts().at(GetParam()), root_, state_, Names(*node_)); });
  }

  std::vector<std::string> AgentArguments() const {
    std::vector<std::string> arguments = {"--uplink", "uplink"};
    arguments.insert(arguments.end(), more_.begin(), more_.end());
    return arguments;
  }

  int fd(const std::string& pod) const { return node_->netns(node_->pod(pod)).fd(); }
  policy::Address ip4(const std::string& pod) const { return policy::Address::Parse(node_->pod(pod).ip4).value(); }

  bool Reaches(const std::string& from, std::uint8_t protocol, bool expect) const {
    const auto results = RunProbes({{.netns_fd = fd(from),
                                     .destination = ip4("server"),
                                     .protocol = protocol,
                                     .port = protocol == policy::kUdp ? kEcho : kStream,
                                     .timeout = expect ? 10000ms : 300ms}});
    return results.ok() && results->front().outcome == ProbeOutcome::kAllowed;
  }

  StatusOr<std::unique_ptr<Pinger>> Ping(const std::string& from, bool new_flows, bool expect) const {
    return Pinger::Start({.netns_fd = fd(from),
                          .destination = ip4("server"),
                          .port = kEcho,
                          .new_flows = new_flows,
                          .patience = expect ? 3000ms : 0ms});
  }
  StatusOr<std::unique_ptr<Stream>> OpenStream(const std::string& from) const {
    return Stream::Open(
        {.client_netns_fd = fd(from), .server_netns_fd = fd("server"), .server = ip4("server"), .port = kStream});
  }

  Status StartTraffic() {
    SL_ASSIGN_OR_RETURN(echo_, EchoServer::Start(fd("server"), {kEcho}));
    for (const char* const from : {"client", "tool"}) {
      SL_ASSIGN_OR_RETURN(auto one_flow, Ping(from, false, true));
      allowed_.push_back(std::move(one_flow));
      SL_ASSIGN_OR_RETURN(auto new_flows, Ping(from, true, true));
      allowed_.push_back(std::move(new_flows));
      SL_ASSIGN_OR_RETURN(auto stream, OpenStream(from));
      streams_.push_back(std::move(stream));
    }
    for (const char* const from : {"other", "jail"}) {
      SL_ASSIGN_OR_RETURN(auto denied, Ping(from, true, false));
      denied_.push_back(std::move(denied));
    }
    return OkStatus();
  }

  bool AwaitTraffic(std::uint64_t more) const {
    std::vector<std::uint64_t> before;
    for (const auto& pinger : allowed_) before.push_back(pinger->counts().answered);
    return Eventually(
        [&] {
          for (std::size_t i = 0; i < allowed_.size(); ++i)
            if (allowed_[i]->counts().answered < before[i] + more) return false;
          return true;
        },
        20s);
  }

  // Without TCX in the kernel, the programs are clsact filters.
  bool HasTcLinks() const {
    return std::ranges::any_of(fs::directory_iterator(bpf::PinLayout(root_).links_dir()),
                               [](const auto& entry) { return entry.path().filename().string().starts_with("tc_"); });
  }

  std::string DroppedByTheNewVersion() const {
    const auto events = agent_->Sluice(
        {"observe", "--last", "20", "--workload", "shop/tool,shop/client", "--verdict", "DROPPED", "-o", "json"});
    return events.ok() ? events->out : std::string(events.status().message());
  }

  // Programs are replaced hook by hook. A datagram between two hooks may meet both versions, and the second one has no
  // flow for it: that costs a new flow whose verdict depends on its process. Links are replaced within microseconds.
  void ExpectNothingLostOrLetThrough() {
    for (std::size_t i = 0; i < allowed_.size(); ++i) {
      const auto& pinger = allowed_[i];
      pinger->Stop();
      const bool is_new_by_process = i == 3;
      const std::uint64_t may_be_lost = !HasTcLinks() ? 2 : is_new_by_process ? 1 : 0;
      EXPECT_LE(pinger->counts().lost, may_be_lost)
          << "of " << (i < 2 ? "client" : "tool") << (i % 2 ? ", new flows" : "") << "\n"
          << DroppedByTheNewVersion();
      EXPECT_GT(pinger->counts().answered, 0U);
    }
    for (const auto& stream : streams_) {
      const Stream::Report report = stream->Finish();
      EXPECT_EQ(report.problem, "");
      EXPECT_EQ(report.received[0], report.sent[0]);
      EXPECT_EQ(report.received[1], report.sent[1]);
      EXPECT_GT(report.received[0], 0U);
    }
    for (const auto& pinger : denied_) {
      pinger->Stop();
      EXPECT_GT(pinger->counts().sent, 0U);
    }
    for (const char* const from : {"other", "jail"}) EXPECT_EQ(echo_->ReceivedFrom(ip4(from)), 0U) << from;
    allowed_.clear();
    streams_.clear();
    denied_.clear();
  }

  // Each hook has only our program, which uses maps of our layout.
  void ExpectOnlyOursAttached() const {
    const bpf::PinLayout pins(root_);
    const auto generation = bpf::OpenPinnedMap(pins.map("generation"));
    ASSERT_TRUE(generation.ok()) << generation.status();
    const auto id = bpf::MapId(generation->get());
    ASSERT_TRUE(id.ok());
    const auto expect = [&](std::uint32_t ifindex, bpf::Hook hook) {
      StatusOr<std::vector<std::uint32_t>> programs = std::vector<std::uint32_t>();
      ASSERT_TRUE(node_
                      ->Run([&] {
                        programs = bpf::ProgramsAt(ifindex, hook);
                        return programs.status();
                      })
                      .ok());
      ASSERT_EQ(programs->size(), 1U) << "ifindex " << ifindex << " hook " << static_cast<int>(hook);
      const auto uses = bpf::ProgramUses(bpf::OwnAdminCalls(), programs->front(), {*id});
      EXPECT_TRUE(uses.ok() && *uses) << "ifindex " << ifindex << " hook " << static_cast<int>(hook);
    };
    for (const TestPod& pod : node_->pods())
      for (const bpf::Hook hook : {bpf::Hook::kTcIngress, bpf::Hook::kTcEgress}) expect(pod.host_ifindex, hook);
    expect(node_->outside().host_ifindex, bpf::Hook::kXdp);
  }
  void ExpectOnlyOursPinned() const {
    std::set<std::string> pinned;
    for (const auto& entry : fs::directory_iterator(root_)) pinned.insert(entry.path().filename());
    EXPECT_THAT(pinned, testing::ElementsAre(fs::path(bpf::PinLayout(root_).version_dir()).filename().string()));
  }

  void ExpectQuarantineCuts() {
    EXPECT_TRUE(Reaches("client", policy::kUdp, true));
    const auto quarantined = agent_->Sluice({"quarantine", "shop/client"});
    ASSERT_TRUE(quarantined.ok() && quarantined->exit_code == 0);
    EXPECT_FALSE(Reaches("client", policy::kUdp, false));
    ASSERT_TRUE(agent_->Sluice({"quarantine", "--release", "shop/client"}).ok());
    EXPECT_TRUE(Reaches("client", policy::kUdp, true));
  }

  // Only the new agent decides.
  void ExpectDenyAllAndQuarantineHold() {
    auto echo = std::move(echo_);
    if (!echo) {
      auto started = EchoServer::Start(fd("server"), {kEcho});
      ASSERT_TRUE(started.ok());
      echo = *std::move(started);
    }
    ExpectQuarantineCuts();
    const Status applied = agent_->Apply(kDenyServer);
    ASSERT_TRUE(applied.ok()) << applied;
    for (const char* const from : {"client", "tool"}) EXPECT_FALSE(Reaches(from, policy::kUdp, false)) << from;
  }

  std::vector<std::string> more_;  // of the agent's arguments
  std::unique_ptr<TestNode> node_;
  std::string root_, state_;
  std::unique_ptr<AgentProcess> agent_;
  std::unique_ptr<EchoServer> echo_;
  std::vector<std::unique_ptr<Pinger>> allowed_, denied_;
  std::vector<std::unique_ptr<Stream>> streams_;
};

std::uint64_t LastProcessId(const bpf::PinLayout& pins) {
  const auto fd = bpf::OpenPinnedMap(pins.map("process_ids"));
  if (!fd.ok()) return 0;
  const auto ids = bpf::Map<__u32, __u64>::Bind(fd->get(), "process_ids");
  return ids.ok() ? ids->Get(0)->value_or(0) : 0;
}

// The older programs keep no packets; ours do, in the place of each.
TEST_P(HandOver, PacketsAreKeptFromTheTakeOverOn) {
  const Status started = Start({}, {"--capture", "shop/client"});
  ASSERT_TRUE(started.ok()) << started;
  const auto pinger = Ping("client", true, false);
  ASSERT_TRUE(pinger.ok()) << pinger.status();
  const std::string path = agent_->directory() + "/client.pcapng";
  std::string file;
  EXPECT_TRUE(Eventually(
      [&] {
        const auto captured = agent_->Sluice({"capture", "shop/client", "-w", path, "--after", "0"});
        if (!captured.ok() || captured->exit_code != 0) return false;
        std::ifstream in(path, std::ios::binary);
        file.assign(std::istreambuf_iterator<char>(in), {});
        return file.find("FORWARDED at tc_from_pod of shop/client: shop/client:") != std::string::npos;
      },
      20s))
      << file.size() << " bytes of packets; " << agent_->Log();
}

TEST_P(HandOver, NothingIsOpenAndNothingAllowedIsCutWhileItTakesOver) {
  std::uint64_t last_id = 0;
  const Status started = Start([&] {
    SL_RETURN_IF_ERROR(StartTraffic());
    EXPECT_TRUE(AwaitTraffic(30)) << "by the older version's programs";
    last_id = LastProcessId(bpf::PinLayout(root_, GetParam()));
    return OkStatus();
  });
  ASSERT_TRUE(started.ok()) << started;
  EXPECT_TRUE(AwaitTraffic(30)) << agent_->Log();
  EXPECT_FALSE(Reaches("other", policy::kTcp, false));
  ExpectOnlyOursAttached();
  ExpectOnlyOursPinned();
  EXPECT_GT(last_id, 0U);
  EXPECT_GT(LastProcessId(bpf::PinLayout(root_)), last_id) << "ids of processes are given once until a reboot";
  ExpectNothingLostOrLetThrough();
  ExpectDenyAllAndQuarantineHold();
}

// The older version knew no such policy: its rules about peers hold from the take-over on, for flows that it let pass,
// too.
TEST_P(HandOver, AKubeArmorPolicyIsInForceFromTheTakeOverOn) {
  const std::string directory = fmt::format("{}/sluice-hand-over-{}", testing::TempDir(), getpid());
  fs::create_directories(directory);
  std::ofstream(directory + "/peers.yaml") << fmt::format(
      "apiVersion: security.kubearmor.com/v1\nkind: KubeArmorPolicy\nmetadata: {{name: peers, namespace: shop}}\n"
      "spec:\n  selector: {{matchLabels: {{app: client}}}}\n  network: {{matchPeers: [{{cidr: {}/32, protocol: "
      "udp}}]}}\n",
      node_->pod("server").ip4);
  more_ = {"--resources", directory};
  std::unique_ptr<Pinger> flow;
  const Status started = Start([&]() -> Status {
    SL_ASSIGN_OR_RETURN(echo_, EchoServer::Start(fd("server"), {kEcho}));
    SL_ASSIGN_OR_RETURN(flow, Ping("client", false, false));
    EXPECT_TRUE(Eventually([&] { return echo_->ReceivedFrom(ip4("client")) > 10; }))
        << "by the older version's programs";
    return OkStatus();
  });
  fs::remove_all(directory);
  ASSERT_TRUE(started.ok()) << started;
  EXPECT_FALSE(Reaches("client", policy::kUdp, false));
  const auto received = echo_->ReceivedFrom(ip4("client"));
  const auto sent = flow->counts().sent;
  EXPECT_TRUE(Eventually([&] { return flow->counts().sent > sent + 20; }));
  EXPECT_EQ(echo_->ReceivedFrom(ip4("client")), received);
  EXPECT_TRUE(Reaches("tool", policy::kUdp, true)) << "it is not for this one";
}

// The older version had no sensors of system calls. A program from before is known by its name and its pod, too.
TEST_P(HandOver, DetectionRulesHitFromTheTakeOverOn) {
  const std::string directory = fmt::format("{}/sluice-hand-over-{}", testing::TempDir(), getpid());
  fs::create_directories(directory);
  const std::string secret = fs::canonical(directory).string() + "/secret";  // as rules see it
  std::ofstream(secret) << "secret\n";
  std::ofstream(directory + "/rules.yaml") << fmt::format(
      "- rule: Secret read\n  desc: d\n  condition: evt.type in (open, openat, openat2) and fd.name = {}\n"
      "  output: \"%proc.name %fd.name\"\n  priority: WARNING\n",
      secret);
  more_ = {"--rules", directory + "/rules.yaml"};
  std::optional<ChildProcess> reader;
  const Status started = Start([&]() -> Status {
    SL_ASSIGN_OR_RETURN(auto child,
                        node_->StartIn(node_->pod("tool"),
                                       {"/bin/sh", "-c", "while read x <" + secret + "; do /bin/sleep 0.05; done"}));
    reader.emplace(std::move(child));
    return OkStatus();
  });
  ASSERT_TRUE(started.ok()) << started;
  std::string seen;
  EXPECT_TRUE(Eventually(
      [&] {
        const auto detections = agent_->Sluice(
            {"observe", "--all", "--host", "--type", "detection", "--workload", "shop/tool", "-o", "falco-json"});
        seen = detections.ok() ? detections->out : "";
        return seen.find("Secret read") != std::string::npos;
      },
      20s))
      << agent_->Log();
  EXPECT_THAT(seen, HasSubstr("sh " + secret)) << "its name and the file";
  reader.reset();
  fs::remove_all(directory);
}

// With Hubble's options, flows of the older version's tables are seen as those of this one.
TEST_P(HandOver, AHubbleClientSeesFlowsThatBeganBefore) {
  const std::string directory = fmt::format("{}/sluice-hand-over-{}", testing::TempDir(), getpid());
  fs::create_directories(directory);
  const std::string address = "unix://" + directory + "/hubble.sock";
  more_ = {"--hubble-api", address, "--hubble-flows", "100"};
  std::unique_ptr<Pinger> allowed, denied;
  const Status started = Start([&]() -> Status {
    SL_ASSIGN_OR_RETURN(echo_, EchoServer::Start(fd("server"), {kEcho}));
    SL_ASSIGN_OR_RETURN(allowed, Ping("client", false, true));
    SL_ASSIGN_OR_RETURN(denied, Ping("other", false, false));
    EXPECT_TRUE(Eventually([&] { return allowed->counts().answered > 10; })) << "by the older version's programs";
    return OkStatus();
  });
  ASSERT_TRUE(started.ok()) << started;
  const HubbleClient client(address);
  const auto flow_of = [&](const std::string& pod, flow::Verdict verdict) {
    observer::GetFlowsRequest request;
    flow::FlowFilter& filter = *request.add_whitelist();
    filter.add_source_pod("shop/" + pod);
    filter.add_destination_pod("shop/server");
    filter.add_verdict(verdict);
    std::vector<flow::Flow> flows;
    EXPECT_TRUE(Eventually(
        [&] {
          flows = client.Flows(request);
          return !flows.empty();
        },
        20s))
        << pod;
    return flows.empty() ? flow::Flow() : flows.front();
  };
  EXPECT_EQ(flow_of("client", flow::FORWARDED).l4().udp().destination_port(), kEcho);
  EXPECT_EQ(flow_of("other", flow::DROPPED).drop_reason_desc(), flow::POLICY_DENIED);
  fs::remove_all(directory);
}

TEST_P(HandOver, ARuleByProcessMeetsOthersAsBefore) {
  const Status started = Start([&] {
    SL_ASSIGN_OR_RETURN(echo_, EchoServer::Start(fd("server"), {kEcho}));
    return OkStatus();
  });
  ASSERT_TRUE(started.ok()) << started;
  EXPECT_TRUE(Reaches("tool", policy::kUdp, true));
  // Another program of the same pod.
  const auto result = node_->RunCommandIn(
      node_->pod("tool"),
      {"timeout", "1", "bash", "-c",
       fmt::format("exec 3<>/dev/udp/{}/{}; echo x >&3; head -c1 <&3", node_->pod("server").ip4, kEcho)});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_NE(result->exit_code, 0) << result->output;
}

TEST_P(HandOver, WhatIsAttachedWithoutAPinIsFoundToo) {
  std::vector<Fd> held;
  const Status started = Start([&]() -> Status {
    const bpf::PinLayout pins(root_, GetParam());
    for (const auto& entry : fs::directory_iterator(pins.links_dir())) {
      SL_ASSIGN_OR_RETURN(Fd link, bpf::OpenPinned(entry.path()));
      held.push_back(std::move(link));
    }
    fs::remove_all(pins.links_dir());
    return OkStatus();
  });
  ASSERT_TRUE(started.ok()) << started;
  held.clear();
  ExpectOnlyOursAttached();
  ExpectDenyAllAndQuarantineHold();
}

TEST_P(HandOver, KilledInTheMiddleItGoesOnWhereItWas) {
  std::mt19937 random(1);
  const Status started = Start([&]() -> Status {
    SL_RETURN_IF_ERROR(StartTraffic());
    // A normal start of the agent, killed at a random moment.
    for (int i = 0; i < 4; ++i) {
      SL_ASSIGN_OR_RETURN(auto child, [&]() -> StatusOr<ChildProcess> {
        StatusOr<ChildProcess> one = InvalidError("not started");
        SL_RETURN_IF_ERROR(node_->Run([&] {
          one = ChildProcess::Start({BinDirectory() + "/sluiced", "--uplink", "uplink", "--bpf-root", root_,
                                     "--state-dir", state_, "--api", "unix://" + state_ + "/api.sock", "--metrics",
                                     "127.0.0.1:9465"});
          return one.status();
        }));
        return one;
      }());
      std::this_thread::sleep_for(std::chrono::milliseconds(std::uniform_int_distribution<int>(200, 6000)(random)));
      SL_RETURN_IF_ERROR(child.Signal(SIGKILL));
      EXPECT_TRUE(child.Wait().ok());
    }
    return OkStatus();
  });
  ASSERT_TRUE(started.ok()) << started;
  EXPECT_TRUE(AwaitTraffic(30));
  ExpectOnlyOursAttached();
  ExpectOnlyOursPinned();
  ExpectNothingLostOrLetThrough();
  ExpectDenyAllAndQuarantineHold();
}

// One pin cannot be made at first.
TEST_P(HandOver, WhatCannotBeTakenOverYetKeepsTheOlderPins) {
  const std::uint32_t ifindex = node_->pod("server").host_ifindex;
  std::thread watch;
  const Status started = Start([&] {
    SL_RETURN_IF_ERROR(StartTraffic());
    const bpf::PinLayout older(root_, GetParam()), ours(root_);
    const std::string in_the_way = ours.link("tc_to_pod", ifindex) + "-new";
    fs::create_directories(in_the_way);
    watch = std::thread([older, ours, in_the_way, ifindex] {
      EXPECT_TRUE(Eventually([&] { return fs::exists(ours.link("tc_from_pod", ifindex)); }, 60s));
      // The others are taken over; the agent retries several times.
      std::this_thread::sleep_for(4s);
      EXPECT_TRUE(fs::exists(older.link("tc_to_pod", ifindex)));
      EXPECT_FALSE(fs::exists(ours.link("tc_to_pod", ifindex)));
      fs::remove(in_the_way);
    });
    return OkStatus();
  });
  if (watch.joinable()) watch.join();
  ASSERT_TRUE(started.ok()) << started;
  EXPECT_THAT(agent_->Log(), HasSubstr("take over tc_to_pod"));
  EXPECT_TRUE(Eventually([&] { return !fs::exists(bpf::PinLayout(root_, GetParam()).version_dir()); }))
      << agent_->Log();
  EXPECT_TRUE(AwaitTraffic(30));
  ExpectOnlyOursAttached();
  ExpectOnlyOursPinned();
  ExpectNothingLostOrLetThrough();
  ASSERT_TRUE(agent_->Kill().ok());
  ExpectOnlyOursAttached();
}

// A policy in the state file cannot be read, so the older programs stay.
TEST_P(HandOver, WhileItHoldsQuarantineCutsOffAndWhatIsDetachedComesBack) {
  ASSERT_TRUE(Prepare().ok());
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open((state_ + "/state.db").c_str(), &db), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(db, "UPDATE resource SET yaml = 'kind: Nothing' WHERE name = 'server' AND kind <> 'Workload'",
                         nullptr, nullptr, nullptr),
            SQLITE_OK);
  sqlite3_close(db);
  ASSERT_TRUE(StartTraffic().ok());
  const Status holds = agent_->RestartHolding({"--uplink", "uplink"});
  ASSERT_TRUE(holds.ok()) << holds;
  EXPECT_TRUE(AwaitTraffic(30)) << agent_->Log();
  ExpectNothingLostOrLetThrough();

  const bpf::PinLayout older(root_, GetParam());
  fs::remove_all(older.version_dir());
  EXPECT_TRUE(Eventually([&] {
    return fs::exists(older.map("quarantine")) && fs::exists(older.link("tc_to_pod", node_->pod("tool").host_ifindex));
  })) << agent_->Log();
  ExpectQuarantineCuts();
  EXPECT_FALSE(Reaches("jail", policy::kUdp, false));

  const std::uint32_t ifindex = node_->pod("tool").host_ifindex;
  for (const char* const program : {"tc_from_pod", "tc_to_pod"}) {
    const auto link = bpf::OpenPinned(older.link(program, ifindex));
    ASSERT_TRUE(link.ok()) << link.status();
    EXPECT_EQ(bpf_link_detach(link->get()), 0);
  }
  EXPECT_TRUE(Eventually([&] { return TcPrograms(*node_, ifindex) == 2; })) << agent_->Log();
  EXPECT_FALSE(Reaches("tool", policy::kUdp, false)) << "ours, which know of no policy yet";
  const Status applied = agent_->Apply(kPolicies);
  ASSERT_TRUE(applied.ok()) << applied;
  EXPECT_TRUE(Reaches("tool", policy::kUdp, true));
  EXPECT_TRUE(Eventually([&] { return !fs::exists(older.version_dir()); })) << agent_->Log();
  ExpectOnlyOursAttached();
  EXPECT_FALSE(Reaches("jail", policy::kUdp, false));
  ExpectDenyAllAndQuarantineHold();
}

// As after a boot that lost the state: only the kernel knows which workload has which number.
TEST_P(HandOver, WithoutAStateQuarantineGoesOn) {
  ASSERT_TRUE(Prepare().ok());
  fs::remove_all(state_);
  const Status holds = agent_->RestartHolding({"--uplink", "uplink"});
  ASSERT_TRUE(holds.ok()) << holds;
  const Status applied = agent_->Apply(Everything(*node_));
  ASSERT_TRUE(applied.ok()) << applied;
  auto echo = EchoServer::Start(fd("server"), {kEcho});
  ASSERT_TRUE(echo.ok());
  EXPECT_FALSE(Reaches("jail", policy::kUdp, false));
  EXPECT_TRUE(Reaches("client", policy::kUdp, true));
}

TEST_P(HandOver, UninstallRemovesAnOlderVersionToo) {
  ASSERT_TRUE(Start().ok());
  ASSERT_TRUE(agent_->Stop().ok());
  // The older version's pins exist beside this version's.
  ASSERT_TRUE(fs::exists(bpf::PinLayout(root_).version_dir()));
  ASSERT_TRUE(node_
                  ->Run([&] {
                    return bpf::DetachLink(bpf::PinLayout(root_).link("xdp_uplink", node_->outside().host_ifindex));
                  })
                  .ok());
  fs::remove_all(state_);
  const Status restored = Restore();
  ASSERT_TRUE(restored.ok()) << restored;
  // A filter of the older version has replaced ours.
  EXPECT_EQ(TcPrograms(*node_, node_->pod("client").host_ifindex), HasTcLinks() ? 4 : 2);
  const auto result = agent_->Sluice({"uninstall", "--bpf-root", root_, "--state-dir", state_});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 0) << result->err;
  EXPECT_FALSE(fs::exists(root_));
  for (const TestPod& pod : node_->pods()) EXPECT_EQ(TcPrograms(*node_, pod.host_ifindex), 0) << pod.name;
  EXPECT_FALSE(HasXdp(*node_, node_->outside().host_ifindex));
}

std::vector<int> Versions() {
  std::vector<int> versions;
  for (const auto& [version, directory] : KeptLayouts()) versions.push_back(version);
  return versions;
}

// Each load takes seconds: the oldest and the newest, or all of them with SLUICE_ALL_LAYOUTS=1.
std::vector<int> TestedVersions() {
  std::vector<int> versions = Versions();
  const char* const all = std::getenv("SLUICE_ALL_LAYOUTS");
  if (versions.size() > 2 && (all == nullptr || std::string_view(all) != "1"))
    versions.erase(versions.begin() + 1, versions.end() - 1);
  return versions;
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(HandOver);
INSTANTIATE_TEST_SUITE_P(From, HandOver, testing::ValuesIn(TestedVersions()),
                         [](const auto& info) { return fmt::format("v{}", info.param); });

TEST(HandOverLayouts, TheOldestIsKeptAndEachSince) {
  const std::vector<int> versions = Versions();
  ASSERT_FALSE(versions.empty()) << "run by ctest, or set SLUICE_SOURCE_DIR";
  EXPECT_EQ(versions.front(), 7);
  EXPECT_EQ(versions.back(), SL_ABI_VERSION - 1) << "a new version keeps the one before: scripts/make-layout";
  EXPECT_EQ(static_cast<int>(versions.size()), SL_ABI_VERSION - 7);
}

TEST(HandOverNewer, IsRefusedAndLeftUntouched) {
  SL_REQUIRE_NETNS();
  SL_REQUIRE_BPF();
  auto fixture = NodeFixture::Create({.pods = {"web", "db"}, .args = {}, .outside = false});
  ASSERT_TRUE(fixture.ok()) << fixture.status();
  AgentProcess& agent = (*fixture)->agent();
  ASSERT_TRUE(agent
                  .Apply((*fixture)->WorkloadYaml("web", "{app: web}") +
                         (*fixture)->WorkloadYaml("db", "{app: server}") + kDenyServer)
                  .ok());
  ASSERT_TRUE(agent.Stop().ok());
  const bpf::PinLayout ours(agent.bpf_root()), newer(agent.bpf_root(), SL_ABI_VERSION + 1);
  fs::rename(ours.version_dir(), newer.version_dir());
  const auto refused = (*fixture)->Sluiced({});
  ASSERT_TRUE(refused.ok()) << refused.status();
  EXPECT_EQ(refused->exit_code, 1);
  EXPECT_THAT(refused->output, HasSubstr(newer.version_dir() + ": pinned by a newer version"));
  EXPECT_FALSE(fs::exists(ours.version_dir()));
  EXPECT_EQ(TcPrograms((*fixture)->node(), (*fixture)->node().pod("db").host_ifindex), 2);
  EXPECT_EQ((*fixture)->Udp("web", "db", kEcho, false), ProbeOutcome::kTimeout);
  fs::rename(newer.version_dir(), ours.version_dir());
  const Status started = agent.Restart();
  EXPECT_TRUE(started.ok()) << started;
}

}  // namespace
}  // namespace sluice::test
