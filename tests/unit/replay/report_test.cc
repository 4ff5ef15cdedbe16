#include "ctrl/replay/report.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/unit/policy/world.h"
#include "tests/unit/replay/capture.h"

namespace sluice::replay {
namespace {

using namespace test;  // the layers of packets
using nlohmann::json;
using policy::PolicyYaml;
using policy::SluicePolicyYaml;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class ReportTest : public ::testing::Test {
 protected:
  ReportTest() : resources_(dir_.File("resources")), capture_(dir_.File("a.pcap")) {
    std::filesystem::create_directory(resources_);
    Resource("world.yaml", policy::kBaseScenario);
  }
  void Resource(const std::string& name, const std::string& yaml) { dir_.Write("resources/" + name, yaml); }
  void AddTcp(double seconds, const char* from, std::uint16_t sport, const char* to, std::uint16_t dport,
              std::uint8_t flags = kSyn) {
    capture_.Add(seconds, Eth{} / Ipv4{.src = from, .dst = to} / Tcp{.sport = sport, .dport = dport, .flags = flags});
  }
  std::string Run(const std::string& output) {
    capture_.Close();
    ::testing::internal::CaptureStdout();
    const Status status = RunReplay(dir_.File("a.pcap"), resources_, output);
    std::cout.flush();
    std::string printed = ::testing::internal::GetCapturedStdout();
    EXPECT_TRUE(status.ok()) << status;
    return printed;
  }
  std::vector<std::string> RunTable() {
    std::vector<std::string> lines;
    std::istringstream text(Run("table"));
    for (std::string line; std::getline(text, line);) lines.push_back(line);
    return lines;
  }
  std::vector<json> RunJson() {
    std::vector<json> flows;
    std::istringstream text(Run("json"));
    for (std::string line; std::getline(text, line);) flows.push_back(json::parse(line));
    return flows;
  }
  Status Fails() {
    capture_.Close();
    ::testing::internal::CaptureStdout();
    Status status = RunReplay(dir_.File("a.pcap"), resources_, "table");
    EXPECT_EQ(::testing::internal::GetCapturedStdout(), "") << "nothing half done";
    EXPECT_FALSE(status.ok());
    return status;
  }

  TempDir dir_;
  std::string resources_;
  Capture capture_;
};

TEST_F(ReportTest, TableNamesEndsVerdictsAndPolicies) {
  Resource("db.yaml", PolicyYaml("shop", "db",
                                 "podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {}}], ports: "
                                 "[{port: 5432}]}]"));
  Resource("vault.yaml", SluicePolicyYaml("bank", "trial", "podSelector: {matchLabels: {app: vault}}, mode: Audit"));
  AddTcp(0, kWeb, 40000, kDb, 5432);
  AddTcp(0.1, kDb, 5432, kWeb, 40000, kSyn | kAck);
  AddTcp(1, kWeb, 40001, kDb, 22);
  AddTcp(2, kWeb, 40002, "10.0.1.2", 80);
  AddTcp(3, kWeb, 40003, policy::kOutside4, 443);
  const auto lines = RunTable();
  ASSERT_THAT(lines, SizeIs(6));
  EXPECT_THAT(lines[0], ContainsRegex("^VERDICT +PROTO +SOURCE +DESTINATION +PACKETS +BYTES +POLICIES$"));
  EXPECT_THAT(lines[1],
              ContainsRegex("^FORWARDED +TCP +shop/web:40000 +shop/db:5432 +2 +80 +shop/db ingress\\[0\\] ALLOW$"));
  EXPECT_THAT(
      lines[2],
      ContainsRegex("^DROPPED/POLICY_DENIED +TCP +shop/web:40001 +shop/db:22 +1 +40 +shop/db ingress DEFAULT_DENY$"));
  EXPECT_THAT(lines[3], ContainsRegex("^AUDIT +TCP +shop/web:40002 +bank/vault:80 +1 +40 +bank/trial ingress AUDIT"));
  EXPECT_THAT(lines[3], HasSubstr("(would DEFAULT_DENY)"));
  EXPECT_THAT(lines[4],
              ContainsRegex("^FORWARDED +TCP +shop/web:40003 +203.0.113.7:443 .world. +1 +40 +no policy isolates$"));
  EXPECT_EQ(lines[5], "4 flows: 3 would be allowed, 1 dropped");
}

TEST_F(ReportTest, TableSaysWhatIsGuessedOrLeftOut) {
  AddTcp(0, kWeb, 40000, kDb, 5432, kAck);
  capture_.Add(1, Frame(13));
  const auto lines = RunTable();
  EXPECT_THAT(lines, ::testing::Contains("1 TCP flows began before the capture: their initiator is a guess"));
  EXPECT_THAT(lines, ::testing::Contains("1 frames left out: MALFORMED_ETHERNET"));
}

TEST_F(ReportTest, ProcessesAreNotKnown) {
  Resource("db.yaml", SluicePolicyYaml("shop", "db",
                                       "podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: 5432}], "
                                       "processes: {binaries: [/usr/bin/postgres]}}, {ports: [{port: 53}]}]"));
  AddTcp(0, kWeb, 40000, kDb, 5432);
  AddTcp(1, kWeb, 40001, kDb, 53);
  const auto lines = RunTable();
  EXPECT_THAT(lines, ::testing::Contains("2 flows: 1 would be allowed, 1 dropped"));
  EXPECT_THAT(lines,
              ::testing::Contains(
                  "1 flows meet rules that name processes: a capture has no processes, so they count as not known"));
}

TEST_F(ReportTest, FramesThatTheCaptureCutShortAreSaidToBe) {
  {
    Capture cut(dir_.File("cut.pcap"), DLT_EN10MB, 40);
    cut.Add(0, Eth{} / Ipv4{.src = kWeb, .dst = kDb} / Tcp{});
  }
  ::testing::internal::CaptureStdout();
  const Status status = RunReplay(dir_.File("cut.pcap"), resources_, "table");
  EXPECT_THAT(::testing::internal::GetCapturedStdout(), HasSubstr("1 frames left out: the capture has too few"));
  EXPECT_TRUE(status.ok()) << status;
}

TEST_F(ReportTest, JsonIsAFlowALine) {
  Resource("db.yaml", PolicyYaml("shop", "db", "podSelector: {matchLabels: {app: db}}"));
  AddTcp(0.5, kWeb, 40000, kDb, 5432);
  AddTcp(2, policy::kOutside4, 1, "198.51.100.2", 2);
  const auto flows = RunJson();
  ASSERT_THAT(flows, SizeIs(2));
  const json expected = {
      {"time", "2020-09-13T12:26:40.500Z"},
      {"startTime", "2020-09-13T12:26:40.500Z"},
      {"type", "flow"},
      {"event", "END"},
      {"verdict", "DROPPED"},
      {"dropReason", "POLICY_DENIED"},
      {"direction", "INGRESS"},
      {"ip", {{"version", 4}, {"source", kWeb}, {"destination", kDb}}},
      {"l4", {{"protocol", "TCP"}, {"sourcePort", 40000}, {"destinationPort", 5432}, {"tcpFlags", {"SYN"}}}},
      {"source", {{"namespace", "shop"}, {"workload", "web"}, {"labels", {{"app", "web"}, {"tier", "front"}}}}},
      {"destination", {{"namespace", "shop"}, {"workload", "db"}, {"labels", {{"app", "db"}}}}},
      {"policies", json::array({{{"kind", "NetworkPolicy"},
                                 {"apiVersion", "networking.k8s.io/v1"},
                                 {"namespace", "shop"},
                                 {"name", "db"},
                                 {"effect", "DEFAULT_DENY"},
                                 {"direction", "INGRESS"}}})},
      {"forward", {{"packets", 1}, {"bytes", 40}}},
      {"backward", {{"packets", 0}, {"bytes", 0}}},
  };
  EXPECT_EQ(flows[0], expected) << json::diff(expected, flows[0]).dump(1);
  EXPECT_EQ(flows[1]["source"], (json{{"entity", "world"}}));
  EXPECT_EQ(flows[1]["verdict"], "FORWARDED");
  EXPECT_FALSE(flows[1].contains("direction")) << "no pod, no direction";
  EXPECT_FALSE(flows[1].contains("policies"));
}

TEST_F(ReportTest, OfADeniedFlowOnlyTheEndThatDeniesIsNamed) {
  Resource("a.yaml",
           PolicyYaml("shop", "out", "podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{}]") +
               "---\n" + PolicyYaml("shop", "db", "podSelector: {matchLabels: {app: db}}"));
  AddTcp(0, kWeb, 40000, kDb, 5432);
  const auto flows = RunJson();
  ASSERT_THAT(flows, SizeIs(1));
  EXPECT_EQ(flows[0]["direction"], "INGRESS");
  ASSERT_THAT(flows[0]["policies"], SizeIs(1));
  EXPECT_EQ(flows[0]["policies"][0]["name"], "db");
}

TEST_F(ReportTest, HostNetworkPodsAreTheNode) {
  Resource(
      "host.yaml",
      "{apiVersion: v1, kind: Pod, metadata: {name: agent, namespace: shop, labels: {app: web}}, spec: {hostNetwork: "
      "true, containers: [{name: c}]}, status: {phase: Running, podIPs: [{ip: 10.0.0.254}]}}");
  Resource("db.yaml", PolicyYaml("shop", "db", "podSelector: {matchLabels: {app: db}}"));
  AddTcp(0, "10.0.0.254", 40000, kDb, 5432);
  const auto flows = RunJson();
  ASSERT_THAT(flows, SizeIs(1));
  EXPECT_EQ(flows[0]["source"], (json{{"entity", "node"}}));
  EXPECT_EQ(flows[0]["verdict"], "FORWARDED") << "probes must get in";
}

TEST_F(ReportTest, PcapNg) {
  capture_.Close();
  PcapNg capture;
  capture.Add(1'600'000'000'000'000'001, Eth{} / Ipv4{.src = kWeb, .dst = kDb} / Udp{});
  dir_.Write("a.pcap", capture.bytes());
  const auto flows = RunJson();
  ASSERT_THAT(flows, SizeIs(1));
  EXPECT_EQ(flows[0]["time"], "2020-09-13T12:26:40.000000001Z");
}

TEST_F(ReportTest, EmptyCaptureIsNoFlows) { EXPECT_EQ(RunTable().back(), "0 flows: 0 would be allowed, 0 dropped"); }

TEST_F(ReportTest, ErrorInTheResourcesNamesFileAndLine) {
  Resource("broken.yaml", "apiVersion: v1\nkind: Namespace\nmetadata:\n  nam: x\n");
  EXPECT_THAT(Message(Fails()), AllOf(HasSubstr(resources_ + "/broken.yaml:4"), HasSubstr("nam")));
}

TEST_F(ReportTest, MissingResourcesAreNamed) {
  resources_ = dir_.File("nowhere");
  EXPECT_THAT(Message(Fails()), HasSubstr("nowhere"));
}

TEST_F(ReportTest, TwoWorkloadsWithOneAddressAreNamed) {
  Resource("twice.yaml",
           "{apiVersion: sluice.dev/v1alpha1, kind: Workload, metadata: {name: twin, namespace: shop}, "
           "spec: {netns: /run/netns/twin, ips: [10.0.0.2]}}");
  EXPECT_THAT(Message(Fails()), AllOf(HasSubstr("shop/twin"), HasSubstr("shop/db"), HasSubstr("10.0.0.2")));
}

TEST_F(ReportTest, DamagedCaptureIsAnErrorAndNoReport) {
  AddTcp(0, kWeb, 40000, kDb, 5432);
  AddTcp(1, kWeb, 40001, kDb, 5432);
  capture_.Close();
  std::filesystem::resize_file(dir_.File("a.pcap"), std::filesystem::file_size(dir_.File("a.pcap")) - 1);
  EXPECT_THAT(Message(Fails()), HasSubstr("frame 2"));
}

}  // namespace
}  // namespace sluice::replay
