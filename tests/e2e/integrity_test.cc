// Foreign changes in the kernel are repaired within seconds, counted, and reported.
#include <bpf/bpf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <set>
#include <thread>

#include "bpf/abi/events.h"
#include "bpf/abi/policy.h"
#include "kernel/bpf/hook.h"
#include "kernel/bpf/link.h"
#include "kernel/bpf/map.h"
#include "kernel/bpf/object.h"
#include "kernel/bpf/pin_layout.h"
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

constexpr const char* kEverythingAtDb = R"(---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress: [{}]
)";

// A program of any type that passes every packet.
StatusOr<Fd> LoadPassAll(bpf_prog_type type, int expected_attach_type) {
  const bpf_insn passes[] = {
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = type == BPF_PROG_TYPE_XDP ? 2 : -1},
      {.code = BPF_JMP | BPF_EXIT}};
  LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = static_cast<bpf_attach_type>(expected_attach_type));
  Fd program(bpf_prog_load(type, "pass_all", "GPL", passes, std::size(passes), &options));
  if (!program.valid()) return ErrnoError(errno, "load a program that lets everything pass");
  return program;
}

// Else an answer to a datagram that passed while nothing was attached would open a flow, whose "answers" may pass: the
// next datagram that happens to have the same port.
constexpr char kWebTakesNothing[] = R"(---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress]}
)";

class Integrity : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!MissingNetNsRight().empty() || !MissingBpfRight().empty()) return;
    auto fixture =
        NodeFixture::Create({.pods = {"web", "db", "jail"}, .args = {"--uplink", "uplink"}, .outside = true});
    ASSERT_TRUE(fixture.ok()) << fixture.status();
    fixture_ = *std::move(fixture);
    const Status applied = fixture_->agent().Apply(
        fixture_->WorkloadYaml("web", "{app: web}") + fixture_->WorkloadYaml("db", "{app: db}") +
        fixture_->WorkloadYaml("jail", "{app: jail}") + kDbAtUdp1000 + kWebTakesNothing);
    ASSERT_TRUE(applied.ok()) << applied;
    auto echo = EchoServer::Start(fixture_->netns_fd("db"), {kOpen, kClosed});
    ASSERT_TRUE(echo.ok()) << echo.status();
    echo_ = *std::move(echo);
  }
  static void TearDownTestSuite() {
    echo_.reset();
    fixture_.reset();
  }
  void SetUp() override {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
    ASSERT_NE(fixture_, nullptr);
    auto denied = Pinger::Start({.netns_fd = fixture_->netns_fd("web"),
                                 .destination = fixture_->ip4("db"),
                                 .port = kClosed,
                                 .new_flows = true,
                                 .patience = 0ms});
    ASSERT_TRUE(denied.ok()) << denied.status();
    denied_ = *std::move(denied);
    before_ = Passed();
  }
  void TearDown() override { denied_.reset(); }

  static bpf::PinLayout pins() { return bpf::PinLayout(fixture_->agent().bpf_root()); }
  static std::uint32_t ifindex(const std::string& pod) { return fixture_->node().pod(pod).host_ifindex; }
  static std::uint32_t uplink() { return fixture_->node().outside().host_ifindex; }
  static std::uint64_t Passed() { return echo_->Received(kClosed); }

  static std::string Http(const std::string& path) {
    const auto result = fixture_->Run({"curl", "--silent", "--noproxy", "*", "--write-out", "\n%{http_code}",
                                       "http://" + fixture_->agent().metrics_address() + path});
    return result.ok() ? result->output : "";
  }
  static int Repairs(const std::string& what) {
    const std::string metrics = Http("/metrics");
    const std::string name = fmt::format("sluice_repairs_total{{what=\"{}\"}} ", what);
    const std::size_t at = metrics.find(name);
    return at == std::string::npos ? -1 : std::atoi(metrics.c_str() + at + name.size());
  }
  // `damage` is repaired, counted and reported.
  static void ExpectRepaired(const std::string& what, const std::function<void()>& damage) {
    const int before = Repairs(what);
    ASSERT_GE(before, 0);
    damage();
    EXPECT_TRUE(Eventually([&] { return Repairs(what) > before; }, 30s)) << fixture_->agent().Log();
    const auto status = fixture_->agent().Sluice({"status"});
    ASSERT_TRUE(status.ok());
    EXPECT_EQ(status->exit_code, 0) << status->err;
    EXPECT_THAT(status->out, HasSubstr("CHANGED BY OTHERS AND PUT BACK"));
    EXPECT_THAT(status->out, HasSubstr(what));
  }
  static Fd OpenLink(const std::string& program, std::uint32_t ifindex) {
    auto link = bpf::OpenPinned(pins().link(program, ifindex));
    EXPECT_TRUE(link.ok()) << link.status();
    return link.ok() ? *std::move(link) : Fd();
  }
  void ExpectNothingMorePasses() {
    const std::uint64_t begun = denied_->counts().sent;  // what has passed before is counted by then
    EXPECT_TRUE(Eventually([&] { return denied_->counts().sent > begun + 100; }));
    const std::uint64_t passed = Passed(), sent = denied_->counts().sent;
    EXPECT_TRUE(Eventually([&] { return denied_->counts().sent > sent + 300; }));
    EXPECT_EQ(Passed(), passed);
  }
  void ExpectNothingPassed() {
    ExpectNothingMorePasses();
    EXPECT_EQ(Passed(), before_);
  }
  static void ExpectAllowedPasses() { EXPECT_EQ(fixture_->Udp("web", "db", kOpen, true), ProbeOutcome::kAllowed); }

  template <typename K, typename V>
  static bpf::Map<K, V> Bind(const std::string& name, Fd* fd) {
    auto opened = bpf::OpenPinnedMap(pins().map(name));
    EXPECT_TRUE(opened.ok()) << opened.status();
    if (!opened.ok()) return {};
    *fd = *std::move(opened);
    auto map = bpf::Map<K, V>::Bind(fd->get(), name);
    EXPECT_TRUE(map.ok()) << map.status();
    return map.ok() ? *map : bpf::Map<K, V>();
  }

  // Both epochs are equal once nothing of the previous policy is left.
  static bool BothEpochsAgree() {
    Fd fd;
    const auto ports = Bind<__u32, sl_port_entry>("ports", &fd);
    std::vector<sl_port_entry> entries(ports.capacity());
    const Status read = ports.ForEachBatch([&](const __u32& index, const sl_port_entry& one) { entries[index] = one; });
    const std::size_t half = entries.size() / SL_EPOCHS;
    return read.ok() && std::memcmp(entries.data(), entries.data() + half, half * sizeof(sl_port_entry)) == 0;
  }

  static inline std::unique_ptr<NodeFixture> fixture_;
  static inline std::unique_ptr<EchoServer> echo_;
  std::unique_ptr<Pinger> denied_;
  std::uint64_t before_ = 0;
};

TEST_F(Integrity, DetachedProgramsAreAttachedAgain) {
  ExpectRepaired("attachment", [&] {
    for (const char* const program : {"tc_from_pod", "tc_to_pod"})
      for (const char* const pod : {"web", "db"}) EXPECT_EQ(bpf_link_detach(OpenLink(program, ifindex(pod)).get()), 0);
  });
  EXPECT_TRUE(Eventually([] { return TcPrograms(fixture_->node(), ifindex("web")) == 2; }));
  EXPECT_TRUE(Eventually([] { return TcPrograms(fixture_->node(), ifindex("db")) == 2; }));
  ExpectNothingMorePasses();
  ExpectAllowedPasses();
  EXPECT_THAT(fixture_->agent().Log(), HasSubstr("was no longer attached: attached again"));
}

TEST_F(Integrity, ADetachedUplinkIsAttachedAgain) {
  ExpectRepaired("attachment", [&] { EXPECT_EQ(bpf_link_detach(OpenLink("xdp_uplink", uplink()).get()), 0); });
  EXPECT_TRUE(HasXdp(fixture_->node(), uplink()));
}

TEST_F(Integrity, AnotherProgramInOurLinkIsReplaced) {
  const auto other = LoadPassAll(BPF_PROG_TYPE_SCHED_CLS, 0);
  ASSERT_TRUE(other.ok()) << other.status();
  const int before = Repairs("attachment");
  ExpectRepaired("attachment", [&] {
    for (const char* const program : {"tc_from_pod", "tc_to_pod"})
      for (const char* const pod : {"web", "db"})
        EXPECT_EQ(bpf_link_update(OpenLink(program, ifindex(pod)).get(), other->get(), nullptr), 0);
  });
  EXPECT_TRUE(Eventually([before] { return Repairs("attachment") >= before + 4; }));
  ExpectNothingMorePasses();
  ExpectAllowedPasses();
}

TEST_F(Integrity, RemovedPinsOfLinksEndNothing) {
  ExpectRepaired("pin", [&] {
    for (const char* const program : {"tc_from_pod", "tc_to_pod"})
      for (const char* const pod : {"web", "db"}) EXPECT_TRUE(fs::remove(pins().link(program, ifindex(pod))));
  });
  EXPECT_TRUE(Eventually([] { return fs::exists(pins().link("tc_to_pod", ifindex("db"))); }));
  ExpectNothingPassed();
  ExpectAllowedPasses();
}

TEST_F(Integrity, ARemovedRootEndsNothingAndComesBackWhole) {
  std::set<std::string> before;
  for (const auto& entry : fs::recursive_directory_iterator(pins().root())) before.insert(entry.path());
  ExpectRepaired("pin", [&] { fs::remove_all(pins().root()); });
  EXPECT_TRUE(Eventually([&] {
    std::set<std::string> after;
    for (const auto& entry : fs::recursive_directory_iterator(pins().root())) after.insert(entry.path());
    return after == before;
  }));
  ExpectNothingPassed();
  // The renewed pin keeps enforcing after the agent ends; and another agent may not use the root.
  const auto refused = fixture_->Sluiced({"--uninstall"});
  ASSERT_TRUE(refused.ok());
  EXPECT_THAT(refused->output, HasSubstr("in use by another agent"));
  ASSERT_TRUE(fixture_->agent().Kill().ok());
  ExpectNothingPassed();
  ExpectAllowedPasses();
  const Status started = fixture_->agent().Restart();
  ASSERT_TRUE(started.ok()) << started;
  ExpectNothingPassed();
  ExpectAllowedPasses();
}

TEST_F(Integrity, AGenerationThatWasMovedBringsNoPolicyBack) {
  // The previous generation allowed everything.
  ASSERT_TRUE(fixture_->agent().Apply(kEverythingAtDb).ok());
  ASSERT_TRUE(Eventually([&] { return Passed() > before_; }));
  ASSERT_TRUE(fixture_->agent().Apply(kDbAtUdp1000).ok());
  ASSERT_TRUE(Eventually([] { return BothEpochsAgree(); })) << "the old policy goes from the kernel";
  // A workload that had no flow while everything was allowed.
  const auto jail = Pinger::Start({.netns_fd = fixture_->netns_fd("jail"),
                                   .destination = fixture_->ip4("db"),
                                   .port = kClosed,
                                   .new_flows = true,
                                   .patience = 0ms});
  ASSERT_TRUE(jail.ok()) << jail.status();
  const std::uint64_t from_jail = echo_->ReceivedFrom(fixture_->ip4("jail"));
  Fd fd;
  const auto generation = Bind<__u32, __u64>("generation", &fd);
  const std::uint64_t passed = Passed();
  for (const int by : {-1, 1, 2, 7, -3}) {
    SCOPED_TRACE(by);
    ExpectRepaired("generation", [&] {
      const auto now = generation.Get(0);
      ASSERT_TRUE(now.ok() && *now);
      ASSERT_TRUE(generation.Put(0, **now + by).ok());
    });
    ExpectAllowedPasses();
  }
  ExpectNothingMorePasses();
  EXPECT_EQ(echo_->ReceivedFrom(fixture_->ip4("jail")), from_jail);
  (*jail)->Stop();
  // And the next change takes effect.
  ASSERT_TRUE(fixture_->agent().Apply(kEverythingAtDb).ok());
  EXPECT_TRUE(Eventually([&] { return Passed() > passed + 10; }));
  ASSERT_TRUE(fixture_->agent().Apply(kDbAtUdp1000).ok());
  ExpectNothingMorePasses();
}

TEST_F(Integrity, EmptiedSettingsComeBack) {
  ExpectRepaired("settings", [] {
    Fd fd;
    EXPECT_TRUE((Bind<__u32, sl_settings>("settings", &fd).Put(0, {}).ok()));
  });
  ExpectAllowedPasses();
  ExpectNothingPassed();
}

TEST_F(Integrity, DamageThatTheAgentsOwnWriteRepairsIsReportedToo) {
  ApiClient api(fixture_->agent().api_address());
  grpc::ClientContext context;
  v1::ObserveRequest request;
  request.set_follow(true);
  std::unique_ptr<grpc::ClientReader<v1::Event>> reader;
  ExpectRepaired("settings", [&] {
    Fd fd;
    EXPECT_TRUE((Bind<__u32, sl_settings>("settings", &fd).Put(0, {}).ok()));
    reader = api.stub().Observe(&context, request);  // writes the settings: events are on
    reader->WaitForInitialMetadata();
  });
  context.TryCancel();
}

TEST_F(Integrity, ChangedVerdictsAndLostAddressesComeBack) {
  ExpectRepaired("policy_table", [] {
    Fd fd;
    const auto ports = Bind<__u32, sl_port_entry>("ports", &fd);
    std::vector<std::pair<__u32, sl_port_entry>> entries;
    ASSERT_TRUE(ports
                    .ForEachBatch([&](const __u32& index, const sl_port_entry& entry) {
                      if (entry.decision != 0) entries.emplace_back(index, entry);
                    })
                    .ok());
    ASSERT_FALSE(entries.empty());
    for (auto& [index, entry] : entries) {
      entry.verdict = SL_VERDICT_ALLOW;
      EXPECT_TRUE(ports.Put(index, entry).ok());
    }
  });
  ExpectNothingMorePasses();
  ExpectAllowedPasses();
  ExpectRepaired("policy_table", [] {
    Fd fd;
    const auto addresses = Bind<__u32, sl_address_entry>("addresses", &fd);
    std::vector<__u32> places;
    ASSERT_TRUE(addresses
                    .ForEachBatch([&](const __u32& place, const sl_address_entry& entry) {
                      if (entry.value.endpoint != 0) places.push_back(place);
                    })
                    .ok());
    ASSERT_FALSE(places.empty());
    for (const __u32 place : places) EXPECT_TRUE(addresses.Put(place, {}).ok());
  });
  ExpectAllowedPasses();
  ExpectNothingMorePasses();
}

TEST_F(Integrity, LostAndChangedFactsOfInterfacesComeBack) {
  Fd fds[3];
  const auto interfaces = Bind<__u32, sl_interface>("interfaces", &fds[0]);
  const auto macs = Bind<__u32, sl_endpoint_mac>("endpoint_macs", &fds[1]);
  const auto devices = Bind<__u32, __u32>("pod_devices", &fds[2]);
  const std::uint32_t web = ifindex("web");
  const sl_interface facts = interfaces.Get(web)->value();
  const sl_endpoint_mac mac = macs.Get(facts.endpoint)->value();
  const auto device = *devices.Get(web);
  const auto expect_as_before = [&] {
    const auto now = *interfaces.Get(web);
    EXPECT_TRUE(now && std::memcmp(&*now, &facts, sizeof(facts)) == 0);
    const auto mac_now = *macs.Get(facts.endpoint);
    EXPECT_TRUE(mac_now && std::memcmp(&*mac_now, &mac, sizeof(mac)) == 0);
    EXPECT_EQ(*devices.Get(web), device);
    ExpectAllowedPasses();
  };
  ExpectRepaired("interface", [&] { EXPECT_TRUE(interfaces.Delete(web).ok()); });
  expect_as_before();
  ExpectRepaired("interface", [&] {
    sl_interface changed = facts;
    changed.pod_mac[5] ^= 1;
    changed.endpoint = 0;
    EXPECT_TRUE(interfaces.Put(web, changed).ok());
  });
  expect_as_before();
  ExpectRepaired("interface", [&] {
    sl_endpoint_mac changed = mac;
    changed.mac[5] ^= 1;
    EXPECT_TRUE(macs.Put(facts.endpoint, changed).ok());
  });
  expect_as_before();
  ExpectRepaired("interface", [&] { EXPECT_TRUE((device ? devices.Delete(web) : devices.Put(web, web)).ok()); });
  expect_as_before();
}

TEST_F(Integrity, AQuarantineThatWasLiftedByHandHolds) {
  ASSERT_EQ(fixture_->agent().Sluice({"quarantine", "shop/jail"})->exit_code, 0);
  EXPECT_EQ(fixture_->Udp("jail", "db", kOpen, false), ProbeOutcome::kTimeout);
  ExpectRepaired("quarantine", [] {
    Fd fd;
    const auto quarantine = Bind<__u32, __u32>("quarantine", &fd);
    for (__u32 endpoint = 0; endpoint < SL_MAX_ENDPOINTS; ++endpoint) EXPECT_TRUE(quarantine.Put(endpoint, 0).ok());
  });
  EXPECT_EQ(fixture_->Udp("jail", "db", kOpen, false), ProbeOutcome::kTimeout);
  // The reverse: a released workload stays released.
  ASSERT_EQ(fixture_->agent().Sluice({"quarantine", "--release", "shop/jail"})->exit_code, 0);
  // Wait for a whole pass of the keeper: the second repair belongs to a pass that began later.
  for (int turn = 0; turn < 2; ++turn) {
    ExpectRepaired("interface", [] {
      Fd fd;
      EXPECT_TRUE((Bind<__u32, sl_interface>("interfaces", &fd).Delete(ifindex("web")).ok()));
    });
  }
  EXPECT_EQ(fixture_->Udp("jail", "db", kOpen, true), ProbeOutcome::kAllowed);
}

TEST_F(Integrity, WhatCannotBePutBackIsSaidUntilItIs) {
  const auto other = LoadPassAll(BPF_PROG_TYPE_XDP, BPF_XDP);
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_THAT(Http("/readyz"), HasSubstr("\n200"));
  ASSERT_TRUE(fixture_->node()
                  .Run([&]() -> Status {
                    EXPECT_EQ(bpf_link_detach(OpenLink("xdp_uplink", uplink()).get()), 0);
                    const Fd link(bpf_link_create(other->get(), static_cast<int>(uplink()), BPF_XDP, nullptr));
                    EXPECT_TRUE(link.valid());
                    EXPECT_TRUE(Eventually([] { return Http("/readyz").find("\n503") != std::string::npos; }));
                    EXPECT_THAT(Http("/readyz"), HasSubstr("another program is attached there"));
                    EXPECT_THAT(Http("/metrics"), HasSubstr("sluice_ready 0"));
                    const auto status = fixture_->agent().Sluice({"status"});
                    EXPECT_TRUE(status.ok());
                    EXPECT_NE(status->exit_code, 0);
                    EXPECT_THAT(status->out, HasSubstr("NOT PUT BACK YET"));
                    EXPECT_THAT(status->err, HasSubstr("another program is attached there"));
                    return OkStatus();
                  })
                  .ok());
  EXPECT_TRUE(Eventually([] { return Http("/readyz").find("\n200") != std::string::npos; }));
  EXPECT_TRUE(HasXdp(fixture_->node(), uplink()));
  ExpectNothingPassed();
}

// The state is lost: the owners of the interfaces are unknown, and their links stay as they were found.
TEST(IntegrityWhileHolding, WhatAnEarlierAgentAttachedIsKeptToo) {
  SL_REQUIRE_NETNS();
  SL_REQUIRE_BPF();
  auto fixture = NodeFixture::Create({.pods = {"web", "db"}, .args = {}, .outside = false});
  ASSERT_TRUE(fixture.ok()) << fixture.status();
  AgentProcess& agent = (*fixture)->agent();
  const Status applied = agent.Apply((*fixture)->WorkloadYaml("web", "{app: web}") +
                                     (*fixture)->WorkloadYaml("db", "{app: db}") + kDbAtUdp1000);
  ASSERT_TRUE(applied.ok()) << applied;
  auto echo = EchoServer::Start((*fixture)->netns_fd("db"), {kOpen, kClosed});
  ASSERT_TRUE(echo.ok()) << echo.status();
  ASSERT_TRUE(agent.Kill().ok());
  fs::remove_all(agent.state_dir());
  const Status holds = agent.RestartHolding();
  ASSERT_TRUE(holds.ok()) << holds;
  const bpf::PinLayout pins(agent.bpf_root());
  const std::uint32_t db = (*fixture)->node().pod("db").host_ifindex;
  const auto expect_enforced = [&] {
    EXPECT_EQ((*fixture)->Udp("web", "db", kOpen, true), ProbeOutcome::kAllowed);
    EXPECT_EQ((*fixture)->Udp("web", "db", kClosed, false), ProbeOutcome::kTimeout);
  };
  fs::remove_all(pins.links_dir());
  EXPECT_EQ(TcPrograms((*fixture)->node(), db), 2) << "held by descriptors";
  EXPECT_TRUE(Eventually([&] { return fs::exists(pins.link("tc_to_pod", db)); })) << agent.Log();
  expect_enforced();
  for (const char* const program : {"tc_from_pod", "tc_to_pod"}) {
    const auto link = bpf::OpenPinned(pins.link(program, db));
    ASSERT_TRUE(link.ok()) << link.status();
    EXPECT_EQ(bpf_link_detach(link->get()), 0);
  }
  EXPECT_TRUE(Eventually([&] { return TcPrograms((*fixture)->node(), db) == 2; })) << agent.Log();
  expect_enforced();
  ASSERT_TRUE(agent.Kill().ok());
  expect_enforced();
}

}  // namespace
}  // namespace sluice::test
