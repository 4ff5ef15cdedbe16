#include "telemetry/kubearmor/kubearmor_event.h"

#include <gmock/gmock.h>

#include <map>
#include <nlohmann/json.hpp>

#include "tests/unit/kubearmor/alerts.h"

namespace sluice::telemetry {
namespace {

using nlohmann::json;
using test::BlockedExec;
using test::EventOf;
using testing::ElementsAre;
using testing::Pair;
using testing::UnorderedElementsAre;

json JsonOf(const v1::Event& event) {
  const auto text = ToKubeArmorJson(event);
  EXPECT_TRUE(text.ok()) << text.status();
  return json::parse(text.ok() ? *text : "");
}

TEST(KubeArmorEvent, AnAlertHasEveryFieldThatIsKnown) {
  EXPECT_EQ(JsonOf(BlockedExec()), json::parse(R"({
    "Timestamp": 1790000000, "UpdatedTime": "2026-09-21T14:13:20.123456Z", "HostName": "n1",
    "NamespaceName": "shop", "PodName": "web-0", "Labels": "app=web,tier=front",
    "Owner": {"Ref": "Deployment", "Name": "web", "Namespace": "shop"},
    "ContainerID": "c0ffee", "ContainerName": "app",
    "HostPPID": 40, "HostPID": 42, "PPID": 1, "PID": 5, "UID": 1001,
    "ParentProcessName": "/usr/bin/bash", "ProcessName": "/usr/bin/cat",
    "PolicyName": "no-cat", "Severity": "7", "Tags": "PCI,NIST", "ATags": ["PCI", "NIST"], "Message": "no cat",
    "Type": "MatchedPolicy", "Source": "/usr/bin/bash", "Operation": "Process",
    "Resource": "/usr/bin/cat /etc/passwd", "Data": "lsm=SECURITY_BPRM_CHECK",
    "EventData": {"Lsm": "SECURITY_BPRM_CHECK"}, "Enforcer": "BPFLSM", "Action": "Block",
    "Result": "Permission denied", "Cwd": "/srv/", "ExecEvent": {"ExecID": "n1:42:7", "ExecutableName": "bash"}})"));
}

feeder::Alert AlertOf(const std::string& fields) {
  auto event = EventOf("alert { " + fields + " }");
  const auto alert = ToKubeArmorAlert(event);
  EXPECT_TRUE(alert.has_value());
  return alert.value_or(feeder::Alert());
}

TEST(KubeArmorEvent, AFileIsOpenedByTheProcessItself) {
  const feeder::Alert alert =
      AlertOf(R"(workload: "w" operation: FILE action: AUDIT resource: "/etc/passwd" hook: "file_open"
                 process { pid: 9 binary: "/bin/cat" arguments: "/etc/passwd" uid: 3 })");
  EXPECT_EQ(alert.operation(), "File");
  EXPECT_EQ(alert.processname(), "/bin/cat");
  EXPECT_EQ(alert.parentprocessname(), "");
  EXPECT_EQ(alert.source(), "/bin/cat /etc/passwd");
  EXPECT_EQ(alert.resource(), "/etc/passwd");
  EXPECT_EQ(alert.data(), "lsm=FILE_OPEN");
  EXPECT_EQ(alert.action(), "Audit");
  EXPECT_EQ(alert.result(), "Passed");
  EXPECT_EQ(alert.pid(), 9) << "the host's, if its own is not known";
  EXPECT_EQ(alert.uid(), 3);
}

TEST(KubeArmorEvent, SocketsCapabilitiesAndCallsAreNamedAsThere) {
  const auto tcp = AlertOf(
      R"(operation: NETWORK hook: "socket_create" socket { family: "AF_INET" type: "SOCK_STREAM" protocol: "IPPROTO_TCP" })");
  EXPECT_EQ(tcp.resource(), "protocol=TCP type=SOCK_STREAM");
  EXPECT_EQ(tcp.data(), "lsm=SOCKET_CREATE protocol=TCP type=SOCK_STREAM");
  EXPECT_THAT((std::map<std::string, std::string>(tcp.eventdata().begin(), tcp.eventdata().end())),
              ElementsAre(Pair("Lsm", "SOCKET_CREATE"), Pair("Protocol", "TCP"), Pair("Type", "SOCK_STREAM")));
  EXPECT_EQ(AlertOf(R"(operation: NETWORK socket { type: "SOCK_RAW" })").resource(), "type=SOCK_RAW");
  const auto capability = AlertOf(R"(operation: CAPABILITIES hook: "capable" resource: "CAP_NET_RAW")");
  EXPECT_EQ(capability.data(), "lsm=CAPABLE CAP_NET_RAW");
  EXPECT_EQ(capability.operation(), "Capabilities");
  const auto call = AlertOf(R"(operation: SYSCALL hook: "sys_enter" resource: "unlink" enforcer: "eBPF Monitor")");
  EXPECT_EQ(call.data(), "syscall=SYS_UNLINK");
  EXPECT_EQ(call.operation(), "Syscall");
  EXPECT_EQ(call.enforcer(), "eBPF Monitor");
}

TEST(KubeArmorEvent, APostureHasNoPolicyAndAPresetItsOwnEnforcer) {
  for (const char* effect : {"effect: DEFAULT_DENY", "effect: AUDIT would: DEFAULT_DENY"}) {
    const auto alert =
        AlertOf(std::string(R"(severity: 3 tags: "a" message: "m" policy { name: "list" )") + effect + "}");
    EXPECT_EQ(alert.policyname(), "DefaultPosture");
    EXPECT_EQ(alert.severity(), "");
    EXPECT_EQ(alert.tags(), "");
    EXPECT_EQ(alert.message(), "");
  }
  EXPECT_EQ(AlertOf(R"(preset: "protectEnv" enforcer: "BPFLSM")").enforcer(), "PRESET-ProtectEnvPreset");
  EXPECT_EQ(AlertOf("").type(), "MatchedHostPolicy") << "no workload: the node's own";
}

TEST(KubeArmorEvent, LostAlertsAreTold) {
  const auto lost =
      ToKubeArmorAlert(EventOf(R"(lost { cause: "ALERT_RING_FULL" event: "alert" count: 3 node: "n1" })"));
  ASSERT_TRUE(lost.has_value());
  EXPECT_EQ(lost->type(), "SystemEvent");
  EXPECT_EQ(lost->message(), "3 alerts are missing: ALERT_RING_FULL");
  EXPECT_FALSE(ToKubeArmorAlert(EventOf(R"(lost { event: "flow" count: 3 })")).has_value());
  EXPECT_EQ(*ToKubeArmorJson(EventOf("exec { }")), "");
}

TEST(KubeArmorEvent, ProgramsAndConnectionsAreLogs) {
  const auto exec = ToKubeArmorLog(EventOf(R"(
    exec { namespace: "shop" workload: "web-0" process { pid: 5 binary: "/bin/ls" arguments: "-l" } }
    parent { pid: 4 binary: "/bin/sh" })"));
  ASSERT_TRUE(exec.has_value());
  EXPECT_EQ(exec->type(), "ContainerLog");
  EXPECT_EQ(exec->operation(), "Process");
  EXPECT_EQ(exec->source(), "/bin/sh");
  EXPECT_EQ(exec->resource(), "/bin/ls -l");
  EXPECT_EQ(exec->hostppid(), 4);
  EXPECT_EQ(exec->result(), "Passed");
  const std::string flow = R"(flow { event: NEW verdict: DROPPED ip { source: "10.0.0.1" destination: "10.0.0.2" }
    l4 { protocol: "TCP" source_port: 4000 destination_port: 80 } source { workload: "web-0" )";
  const auto sent = ToKubeArmorLog(EventOf(flow + R"(process { pid: 5 binary: "/bin/nc" } } })"));
  ASSERT_TRUE(sent.has_value());
  EXPECT_EQ(sent->operation(), "Network");
  EXPECT_EQ(sent->resource(), "remoteip=10.0.0.2 port=80 protocol=TCP");
  EXPECT_EQ(sent->result(), "Permission denied");
  EXPECT_FALSE(ToKubeArmorLog(EventOf(flow + "} }")).has_value()) << "no process is known";
  EXPECT_FALSE(ToKubeArmorLog(EventOf("flow { event: END source { process { pid: 1 } } }")).has_value());
}

// Their clients read by number.
TEST(KubeArmorEvent, FieldsHaveTheNumbersOfKubeArmor) {
  const auto& alert = *feeder::Alert::descriptor();
  EXPECT_EQ(alert.field_count(), 44);
  const std::map<std::string, int> numbers = {
      {"Timestamp", 1}, {"HostName", 4},     {"PodName", 6},    {"PolicyName", 13}, {"Severity", 14},
      {"Source", 18},   {"Operation", 19},   {"Resource", 20},  {"Data", 21},       {"Action", 22},
      {"Result", 23},   {"ProcessName", 26}, {"HostPPID", 27},  {"Enforcer", 28},   {"Labels", 29},
      {"ATags", 30},    {"Owner", 31},       {"ExecEvent", 36}, {"EventData", 43},  {"UserName", 44}};
  for (const auto& [name, number] : numbers) EXPECT_EQ(alert.FindFieldByName(name)->number(), number) << name;
  const auto& log = *feeder::Log::descriptor();
  EXPECT_EQ(log.field_count(), 34);
  EXPECT_EQ(log.FindFieldByName("Result")->number(), 18);
  EXPECT_EQ(log.FindFieldByName("Labels")->number(), 23);
  EXPECT_EQ(log.FindFieldByName("EventData")->number(), 33);
}

}  // namespace
}  // namespace sluice::telemetry
