// sluice-bench in a short form: that it runs, that its verdicts are right, that its JSON holds the samples. No timing.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/support/command.h"
#include "tests/support/environment.h"

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

// With --json; every row has as many samples as it should, and is in the table.
BenchRun RunBench(std::vector<std::string> arguments) {
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
  for (const auto& suite : run.report["suites"]) {
    for (const auto& row : suite["rows"]) {
      const std::string name = row["name"];
      run.names.insert(name);
      EXPECT_FALSE(row["samples"].empty()) << name;
      EXPECT_NE(run.output.find(name + ' '), std::string::npos) << name;
    }
  }
  return run;
}

// The greatest sample of a row of the only suite; -1: there is no such row.
double Greatest(const BenchRun& run, const std::string& name) {
  for (const auto& row : run.report["suites"][0]["rows"])
    if (row["name"] == name) return row["max"];
  return -1;
}

TEST(BenchUsage, SuiteThatDoesNotExistIsRefusedWithTheListOfThoseThatDo) {
  const auto result = RunCommand({Bench(), "nonsense"});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 2) << result->output;
  EXPECT_NE(result->output.find("no suite nonsense"), std::string::npos) << result->output;
  EXPECT_NE(result->output.find("\n  program "), std::string::npos) << result->output;
}

TEST(BenchUsage, SuiteIsRequired) {
  const auto result = RunCommand({Bench()});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 2) << result->output;
}

TEST(BenchUsage, FilterThatSelectsNothingIsNoSuccess) {
  SL_REQUIRE_BPF();
  for (const std::string suite : {"program", "exec"}) {
    const auto result = RunCommand({Bench(), suite, "--filter", "no-such-row"});
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->exit_code, 1) << result->output;
    EXPECT_NE(result->output.find("no row has \"no-such-row\" in its name"), std::string::npos) << result->output;
  }
}

TEST(BenchShort, EveryKindOfTrafficGetsItsVerdictAndItsSamples) {
  SL_REQUIRE_BPF();
  SL_REQUIRE_NETNS();
  // The program ends with 1 when a packet did not get the verdict that its row is about.
  const BenchRun run = RunBench({"program", "--runs", "1",                              //
                                 "--filter", "/flows:1000/",                            //
                                 "--filter", "xdp_uplink/v6/denied/flows:1/cidrs:1",    //
                                 "--filter", "xdp_uplink/v4/new/flows:100000/cidrs:1",  //
                                 "--filter", "tc_to_pod/v6/new-into-full"});
  ASSERT_EQ(run.exit_code, 0) << run.output;
  ASSERT_TRUE(run.report.is_object());
  EXPECT_FALSE(run.report["machine"].value("kernel", "").empty());
  ASSERT_EQ(run.report["suites"].size(), 1U);
  for (const auto& row : run.report["suites"][0]["rows"]) {
    ASSERT_EQ(row["samples"].size(), 1U) << row["name"];
    EXPECT_GT(row["samples"][0], 0) << row["name"];
    EXPECT_TRUE(row["name"].get<std::string>().ends_with("/bare") || row["ratios"].size() > 0) << row["name"];
  }
  const std::set<std::string>& names = run.names;
  for (const std::string hook : {"xdp_uplink", "tc_from_pod", "tc_to_pod"})
    for (const std::string family : {"v4", "v6"})
      for (const std::string traffic : {"denied", "established", "reply"})
        EXPECT_EQ(names.count(fmt::format("{}/{}/{}/flows:1000/rules:1", hook, family, traffic)), 1U)
            << hook << ' ' << family << ' ' << traffic;
  for (const std::string floor : {"floor/xdp/bare", "floor/tc/bare", "floor/xdp/parse", "floor/tc/hash/flows:100000"})
    EXPECT_EQ(names.count(floor), 1U) << floor;
  EXPECT_EQ(names.count("tc_to_pod/v6/new-into-full/flows:500000/rules:1"), 1U);
}

// It ends with 1 when an event is neither delivered nor counted as lost.
TEST(BenchShort, EveryExecIsDeliveredOrCounted) {
  SL_REQUIRE_BPF();
  const BenchRun run = RunBench({"exec", "--short", "--runs", "1"});
  ASSERT_EQ(run.exit_code, 0) << run.output;
  for (const std::string mode : {"on", "slow-reader", "slow-follower"}) {
    EXPECT_EQ(Greatest(run, "lost/" + mode), 0) << run.output;
    EXPECT_EQ(run.names.count("overhead/" + mode), 1U) << run.output;
  }
  for (const std::string row : {"rate/off", "rate/on", "flood/rate/on", "kernel-time/exec", "kernel-time/all"})
    EXPECT_GT(Greatest(run, row), 0) << row;
}

// It ends with 1 when a packet's verdict is not the one of before or after a change, or never becomes the latter.
TEST(BenchShort, EveryChangeReachesItsPacketAndNoPacketIsLost) {
  SL_REQUIRE_BPF();
  SL_REQUIRE_NETNS();
  const BenchRun run = RunBench({"update", "--short", "--runs", "1"});
  ASSERT_EQ(run.exit_code, 0) << run.output;
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
  const BenchRun run = RunBench({"scale", "--short", "--runs", "1"});
  ASSERT_EQ(run.exit_code, 0) << run.output;
  for (const std::string row : {"identities:1000/established", "identities:1000/new", "identities:1000/maps",
                                "flows:1000/established", "flows:1000/scan", "load/policy-entries:1000",
                                "idle/workloads:5/resident", "idle/workloads:5/cpu", "floor/xdp/bare"})
    EXPECT_GT(Greatest(run, row), 0) << row;
  // A peer that is not there is named, never guessed.
  EXPECT_TRUE(run.names.contains("load/nft-set:1000") ||
              run.output.find("left out: load/nft-set:1000: nft is not installed") != std::string::npos)
      << run.output;
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
    EXPECT_NE(run.output.find(goal["met"] ? "met\n" : "MISSED\n"), std::string::npos) << run.output;
  }
  EXPECT_EQ(measured, 1);
  EXPECT_NE(run.output.find("not measured: no row "), std::string::npos) << run.output;
}

}  // namespace
}  // namespace sluice::test
