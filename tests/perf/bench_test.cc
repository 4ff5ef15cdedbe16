// sluice-bench in a short form: checks that it runs, that its verdicts are right, and that its JSON has the samples. No
// timing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string_view>
#include <vector>

#include "testbed/command.h"
#include "tests/support/environment.h"
#include "tests/support/node_fixture.h"

namespace sluice::test {
namespace {

std::string Bench() {
  const char* const dir = std::getenv("SLUICE_BIN_DIR");
  return std::string(dir != nullptr ? dir : "build/bin") + "/sluice-bench";
}

struct BenchRun {
  int exit_code = -1;
  std::string output;
  nlohmann::json report;
  std::set<std::string> names;  // of all rows
};

// Runs it with --json; every row must have samples and be in the table.
BenchRun RunBench(Arguments arguments) {
  const std::string path = std::filesystem::temp_directory_path() / fmt::format("sluice-bench-{}.json", getpid());
  arguments.insert(arguments.begin(), Bench());
  arguments.insert(arguments.end(), {"--json", path});
  const auto result = RunCommand(arguments, {}, 300);
  EXPECT_TRUE(result.ok()) << result.status();
  BenchRun run;
  if (!result.ok()) return run;
  run.exit_code = result->exit_code;
  run.output = result->output;
  std::ifstream file(path);
  run.report = nlohmann::json::parse(file, nullptr, false);
  std::filesystem::remove(path);
  if (!run.report.is_object()) return run;
  EXPECT_FALSE(run.report["machine"].value("kernel", "").empty());
  for (const auto& suite : run.report["suites"]) {
    for (const auto& row : suite["rows"]) {
      const std::string name = row["name"];
      EXPECT_TRUE(run.names.insert(name).second) << name;
      EXPECT_FALSE(row["samples"].empty()) << name;
      EXPECT_NE(run.output.find(name + ' '), std::string::npos) << name;
    }
  }
  return run;
}

// "left out: NAME: why"; all rows of that case are left out too.
bool IsLeftOut(const BenchRun& run, const std::string& name) {
  std::istringstream lines(run.output);
  for (std::string line; std::getline(lines, line);) {
    constexpr std::string_view kBegin = "left out: ";
    if (line.starts_with(kBegin) &&
        name.starts_with(line.substr(kBegin.size(), line.find(": ", kBegin.size()) - kBegin.size())))
      return true;
  }
  return false;
}

// Runs the short form of a suite once. It must have exactly the suite's rows, except those it reports as left out.
BenchRun RunShort(const std::string& suite) {
  BenchRun run = RunBench({suite, "--short", "--runs", "1"});
  EXPECT_EQ(run.exit_code, 0) << run.output;
  const auto list = RunCommand({Bench(), suite, "--short", "--list"});
  EXPECT_TRUE(list.ok()) << list.status();
  if (!list.ok()) return run;
  std::set<std::string> listed;
  std::istringstream lines(list->output);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_TRUE(line.starts_with(suite + ": ")) << line;
    listed.insert(line.substr(suite.size() + 2));
  }
  for (const std::string& name : run.names) EXPECT_TRUE(listed.contains(name)) << name << " is measured, not listed";
  for (const std::string& name : listed)
    EXPECT_TRUE(run.names.contains(name) || IsLeftOut(run, name))
        << name << " is listed, neither measured nor left out";
  return run;
}

// The greatest sample of a row of the only suite; -1: no such row.
double Greatest(const BenchRun& run, const std::string& name) {
  if (run.report.value("suites", nlohmann::json::array()).empty()) return -1;
  for (const auto& row : run.report["suites"][0]["rows"])
    if (row["name"] == name) return row["max"];
  return -1;
}

TEST(BenchUsage, SuiteThatDoesNotExistIsRefusedWithTheListOfThoseThatDo) {
  const auto result = RunCommand({Bench(), "nonsense"});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 2) << result->output;
  EXPECT_NE(result->output.find("unknown suite nonsense"), std::string::npos) << result->output;
  EXPECT_NE(result->output.find("\n  program "), std::string::npos) << result->output;
}

TEST(BenchUsage, SuiteIsRequired) {
  const auto result = RunCommand({Bench()});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 2) << result->output;
}

TEST(BenchUsage, FilterThatSelectsNothingIsNoSuccess) {
  for (const std::string suite : {"program", "rate", "all"}) {
    const auto result = RunCommand({Bench(), suite, "--filter", "no-such-row"});
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->exit_code, 1) << result->output;
    EXPECT_NE(result->output.find("no row has \"no-such-row\" in its name"), std::string::npos) << result->output;
  }
}

TEST(BenchUsage, GoalsSelectTheirRowsAndNoOthers) {
  const auto result = RunCommand({Bench(), "all", "--goals", "--list"});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 0) << result->output;
  EXPECT_NE(result->output.find("rate: sluice/uplink/denied/pods:100000\n"), std::string::npos) << result->output;
  EXPECT_NE(result->output.find("program: flow-table/bytes-a-flow\n"), std::string::npos) << result->output;
  EXPECT_EQ(result->output.find("exec: "), std::string::npos) << result->output;
  EXPECT_EQ(result->output.find("two-cores/"), std::string::npos) << result->output;
  const auto none = RunCommand({Bench(), "exec", "--goals"});
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_EQ(none->exit_code, 1) << none->output;
  EXPECT_NE(none->output.find("no goal of --goals has a row in suite exec"), std::string::npos) << none->output;
}

// In all of these, the program exits with 1 when a packet did not get the verdict that its row needs.
TEST(BenchShort, EveryKindOfTrafficGetsItsVerdictAndItsSamples) {
  SL_REQUIRE_BPF();
  SL_REQUIRE_NETNS();
  const BenchRun run = RunShort("program");
  ASSERT_TRUE(run.report.is_object());
  ASSERT_EQ(run.report["suites"].size(), 1U);
  for (const auto& row : run.report["suites"][0]["rows"]) {
    ASSERT_EQ(row["samples"].size(), 1U) << row["name"];
    EXPECT_GT(row["samples"][0], 0) << row["name"];
    if (row["unit"] == "bytes") continue;
    EXPECT_TRUE(row["name"].get<std::string>().ends_with("/bare") || row["ratios"].size() > 0) << row["name"];
  }
  // Every row that runs in the kernel has instructions if the machine counts them; else this is reported once.
  for (const auto& row : run.report["suites"][0]["rows"]) {
    const bool in_kernel = !row["name"].get<std::string>().starts_with("peer/rte_acl") && row["unit"] != "bytes";
    EXPECT_EQ(row.contains("instructions"), in_kernel && !IsLeftOut(run, "instructions")) << row;
  }
  const std::set<std::string>& names = run.names;
  for (const std::string hook : {"xdp_uplink", "tc_from_pod", "tc_to_pod"})
    for (const std::string family : {"v4", "v6"})
      for (const std::string traffic : {"denied", "established", "reply"})
        EXPECT_EQ(names.count(fmt::format("{}/{}/{}/flows:1000/rules:1", hook, family, traffic)), 1U)
            << hook << ' ' << family << ' ' << traffic;
  for (const std::string floor : {"floor/xdp/bare", "floor/tc/bare", "floor/xdp/parse", "floor/tc/hash/flows:100000"})
    EXPECT_EQ(names.count(floor), 1U) << floor;
  EXPECT_EQ(names.count("tc_to_pod/v6/new-into-full/flows:900000/rules:1"), 1U);
}

// Topologies of every kind: their rules are checked with allowed and denied packets, then each packet of a sample is
// checked.
TEST(BenchShort, RealPacketsGetTheirVerdicts) {
  SL_REQUIRE_BPF();
  SL_REQUIRE_NETNS();
  const BenchRun run = RunShort("rate");
  for (const std::string name : {"xdp/drop/bare",
                                 "xdp/redirect/bare",
                                 "pods/redirect-peer/bare",
                                 "kernel/forward/flows:1000",
                                 "sluice/uplink/denied/cidrs:100",
                                 "sluice/uplink/denied/all-new/an-event-each",
                                 "sluice/uplink/denied/all-new/an-event-each/events-read",
                                 "sluice/uplink/redirect/flows:1000",
                                 "sluice/uplink/as-drop/flows:1000",
                                 "sluice/uplink/pass/flows:1000",
                                 "sluice/uplink/flood/sources:1000",
                                 "sluice/uplink/flood/sources:1000000",
                                 "sluice/uplink/bursts/flows:1000",
                                 "sluice/uplink/bursts/flows:1000/beside-flood",
                                 "pods/sluice/denied/flows:1000",
                                 "pods/sluice/redirect-peer/flows:1000",
                                 "pods/kernel/forward/flows:1000",
                                 "v6/sluice/uplink/denied/pods:100",
                                 "v6/sluice/uplink/redirect/flows:1000",
                                 "v6/pods/sluice/redirect-peer/flows:1000"})
    EXPECT_GT(Greatest(run, name), 0) << name;
  for (const std::string receiver : {"two-cores", "af-xdp"}) {
    const std::string name = receiver + "/sluice/uplink/redirect/flows:1000";
    EXPECT_TRUE(Greatest(run, name) > 0 || IsLeftOut(run, name)) << name;
  }
}

TEST(BenchShort, TcpComesThrough) {
  SL_REQUIRE_BPF();
  SL_REQUIRE_NETNS();
  const BenchRun run = RunShort("tcp");
  for (const std::string path : {"route", "bridge", "sluice/rules:0", "sluice/rules:100"})
    for (const std::string measured : {"stream Mbit/s", "request/response a second", "request/response p50 us",
                                       "request/response p99 us", "connect/close a second"})
      EXPECT_GT(Greatest(run, fmt::format("{}/{}", path, measured)), 0) << path << ' ' << measured;
}

// Fails also when an event is neither delivered nor counted as lost.
TEST(BenchShort, EveryExecIsDeliveredOrCounted) {
  SL_REQUIRE_BPF();
  const BenchRun run = RunShort("exec");
  for (const std::string mode : {"on", "slow-reader", "slow-follower"}) {
    EXPECT_EQ(Greatest(run, "lost/" + mode), 0) << run.output;
    EXPECT_EQ(run.names.count("overhead/" + mode), 1U) << run.output;
  }
  EXPECT_EQ(Greatest(run, "true/lost/on"), 0) << run.output;
  EXPECT_EQ(run.names.count("true/overhead/on"), 1U) << run.output;
  for (const std::string row : {"true/rate/on", "rate/off", "rate/on", "flood/rate/on", "kernel-time/exec",
                                "kernel-time/all", "control/reading/own-time", "control/computing/own-time"})
    EXPECT_GT(Greatest(run, row), 0) << row;
}

// Fails also when a policy matches a call that it does not want, or misses one that it wants, or when an event is
// neither read nor counted as lost.
TEST(BenchShort, PoliciesMatchWhatTheyWantAndEveryEventIsRead) {
  SL_REQUIRE_BPF();
  const BenchRun run = RunShort("hooks");
  for (const std::string row : {"call/bare", "call/empty", "call/int", "call/string", "call/path", "files/policies:0",
                                "files/policies:50", "files/empty", "event/exec", "event/hook", "event/hook/read",
                                "flood/read", "memory/policies:0", "memory/policies:100", "memory/a-policy"})
    EXPECT_GT(Greatest(run, row), 0) << row;
  for (const std::string row : {"function/path", "compiler/policies:50"})
    EXPECT_TRUE(Greatest(run, row) > 0 || IsLeftOut(run, row)) << row << ": " << run.output;
  EXPECT_EQ(Greatest(run, "flood/lost"), 0) << run.output;
}

// Fails also when a packet has neither the old nor the new verdict, or never gets the new one.
TEST(BenchShort, EveryChangeReachesItsPacketAndNoPacketIsLost) {
  SL_REQUIRE_BPF();
  SL_REQUIRE_NETNS();
  const BenchRun run = RunShort("update");
  for (const std::string change : {"one-rule", "policies", "namespace-label", "workload-labels", "new-workload"})
    EXPECT_GT(Greatest(run, "enforced/" + change), 0) << change;
  for (const std::string rate : {"1000/s", "max"}) {
    EXPECT_EQ(Greatest(run, "traffic/updates:" + rate + "/lost"), 0) << run.output;
    EXPECT_GT(Greatest(run, "traffic/updates:" + rate + "/achieved"), 0) << rate;
  }
}

TEST(BenchShort, SizesGrowAndTheAgentStarts) {
  SL_REQUIRE_BPF();
  SL_REQUIRE_NETNS();
  const BenchRun run = RunShort("scale");
  for (const std::string row : {"identities:1000/established", "identities:1000/new", "identities:1000/maps",
                                "flows:1000/established", "flows:1000/scan", "load/policy-entries:1000",
                                "idle/workloads:5/resident", "idle/workloads:5/cpu", "floor/xdp/bare"})
    EXPECT_GT(Greatest(run, row), 0) << row;
}

// Fails also when a packet before or after a change has the wrong verdict, a call of the plugin fails, or a backend of
// a Service gets no connection.
TEST(BenchShort, AnAgentFollowsAnApiServer) {
  SL_REQUIRE_BPF();
  SL_REQUIRE_NETNS();
  const BenchRun run = RunShort("kube");
  for (const std::string row :
       {"start/pods:60", "start/pods:60/again", "start/pods:60/resident", "label/pods:60", "cni/add",
        "cni/add/at-once/p99", "floor/cni/start-a-program", "api/list/requests", "api/list/received",
        "growth/pods:200/resident", "growth/pods:200/services", "cluster-ip/direct/stream",
        "cluster-ip/nftables/services:20/connect-close", "cluster-ip/sluice/services:20/request-response"})
    EXPECT_GT(Greatest(run, row), 0) << row;
  // Ten pods changed, of 2.5 KB each; a list of all 60 is 150 KB.
  EXPECT_GT(Greatest(run, "api/changes:10/1s/received"), 20) << run.output;
  EXPECT_LT(Greatest(run, "api/changes:10/1s/received"), 100) << run.output;
  EXPECT_GE(Greatest(run, "growth/pods:200/addresses"), 200);
}

// A running process's directories in these places; their names contain its pid.
std::vector<std::string> PlacesOf(pid_t pid) {
  std::vector<std::string> places;
  for (const char* const directory : {"/var/tmp", "/sys/fs/bpf"})
    for (const auto& entry : std::filesystem::directory_iterator(directory))
      if (entry.path().filename().string().find(fmt::format("bench-{}-", pid)) != std::string::npos)
        places.push_back(entry.path());
  return places;
}

// Far more rounds than can finish; the signal is sent once both directories exist.
void ExpectNothingIsLeft(const std::string& suite, const std::string& filter, int signal) {
  auto bench = ChildProcess::Start({Bench(), suite, "--short", "--runs", "1000", "--filter", filter});
  ASSERT_TRUE(bench.ok()) << bench.status();
  const pid_t pid = bench->pid();
  ASSERT_TRUE(Eventually([&] { return PlacesOf(pid).size() == 2; }, std::chrono::seconds(60))) << suite;
  ASSERT_TRUE(bench->Signal(signal).ok());
  const auto ended = bench->Wait(60);
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->exit_code, 1) << ended->output;
  EXPECT_NE(ended->output.find("interrupted"), std::string::npos) << ended->output;
  EXPECT_THAT(PlacesOf(pid), testing::IsEmpty());
}

TEST(BenchEnd, ASignalLeavesNeitherPinsNorFiles) {
  SL_REQUIRE_BPF();
  SL_REQUIRE_NETNS();
  ExpectNothingIsLeft("update", "enforced/one-rule", SIGINT);
  ExpectNothingIsLeft("scale", "idle/", SIGTERM);
}

TEST(BenchGoals, FigureBesideGoalAndWhatWasNotMeasuredIsSaid) {
  SL_REQUIRE_BPF();
  const BenchRun run = RunBench({"exec", "--runs", "1", "--filter", "kernel-time"});
  ASSERT_EQ(run.exit_code, 0) << run.output;
  EXPECT_EQ(run.names.count("rate/on"), 0U) << "the filter leaves it out";
  int measured = 0;
  for (const auto& goal : run.report["goals"]) {
    const std::string name = goal["name"];
    EXPECT_NE(run.output.find(name), std::string::npos) << name;
    if (!goal.contains("figure")) {
      EXPECT_FALSE(goal.value("notMeasured", "").empty()) << name;
      continue;
    }
    ++measured;
    EXPECT_EQ(name, "exec sensors, kernel time an event, ns");
    EXPECT_EQ(goal["met"], goal["figure"] <= 1500.0);
    EXPECT_NE(goal["met"], goal.contains("why"));
    EXPECT_NE(run.output.find(goal["met"] ? "met\n" : "MISSED\n"), std::string::npos) << run.output;
  }
  EXPECT_EQ(measured, 1);
  EXPECT_NE(run.output.find("not measured: no row "), std::string::npos) << run.output;
}

}  // namespace
}  // namespace sluice::test
