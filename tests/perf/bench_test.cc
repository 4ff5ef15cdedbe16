// sluice-bench in a short form: that it runs, that its verdicts are right, that its JSON holds the samples. No timing.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "tests/support/command.h"
#include "tests/support/environment.h"

namespace sluice::test {
namespace {

std::string Bench() {
  const char* const dir = std::getenv("SLUICE_BIN_DIR");
  return std::string(dir != nullptr ? dir : "build/bin") + "/sluice-bench";
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

// One suite once, to its end; null with failures when that is not what happened.
nlohmann::json RunSuite(const std::string& suite, const std::vector<std::string>& filters, std::string* output) {
  const std::string path = std::filesystem::temp_directory_path() / fmt::format("sluice-bench-{}.json", getpid());
  Arguments arguments = {Bench(), suite, "--runs", "1", "--json", path};
  for (const std::string& filter : filters) arguments.insert(arguments.end(), {"--filter", filter});
  // The program ends with 1 when a packet did not get the verdict that its row is about.
  const auto result = RunCommand(arguments, {}, 300);
  EXPECT_TRUE(result.ok()) << result.status();
  if (!result.ok()) return {};
  EXPECT_EQ(result->exit_code, 0) << result->output;
  std::ifstream file(path);
  nlohmann::json report = nlohmann::json::parse(file, nullptr, false);
  std::filesystem::remove(path);
  EXPECT_TRUE(report.is_object());
  if (!report.is_object() || result->exit_code != 0) return {};
  EXPECT_FALSE(report["machine"].value("kernel", "").empty());
  EXPECT_EQ(report["suites"].size(), 1U);
  *output = result->output;
  return report["suites"][0];
}

// Names of all rows, each with its one sample, in the table too.
std::set<std::string> CheckedRows(const nlohmann::json& suite, const std::string& output) {
  std::set<std::string> names;
  for (const auto& row : suite["rows"]) {
    names.insert(row["name"]);
    EXPECT_EQ(row["samples"].size(), 1U) << row["name"];
    EXPECT_GT(row["samples"][0], 0) << row["name"];
    EXPECT_NE(output.find(row["name"].get<std::string>() + ' '), std::string::npos) << row["name"];
  }
  return names;
}

TEST(BenchShort, EveryKindOfTrafficGetsItsVerdictAndItsSamples) {
  SL_REQUIRE_BPF();
  SL_REQUIRE_NETNS();
  std::string output;
  const nlohmann::json suite = RunSuite("program",
                                        {"/flows:1000/", "xdp_uplink/v6/denied/flows:1/cidrs:1",
                                         "xdp_uplink/v4/new/flows:100000/cidrs:1", "tc_to_pod/v6/new-into-full"},
                                        &output);
  const std::set<std::string> names = CheckedRows(suite, output);
  for (const auto& row : suite["rows"])
    EXPECT_TRUE(row["name"].get<std::string>().ends_with("/bare") || row["ratios"].size() > 0) << row["name"];
  for (const std::string hook : {"xdp_uplink", "tc_from_pod", "tc_to_pod"})
    for (const std::string family : {"v4", "v6"})
      for (const std::string traffic : {"denied", "established", "reply"})
        EXPECT_EQ(names.count(fmt::format("{}/{}/{}/flows:1000/rules:1", hook, family, traffic)), 1U)
            << hook << ' ' << family << ' ' << traffic;
  for (const std::string floor : {"floor/xdp/bare", "floor/tc/bare", "floor/xdp/parse", "floor/tc/hash/flows:100000"})
    EXPECT_EQ(names.count(floor), 1U) << floor;
  EXPECT_EQ(names.count("tc_to_pod/v6/new-into-full/flows:500000/rules:1"), 1U);
}

// Lanes of every kind: their rules are checked with packets of both fates, then every packet of a sample is.
TEST(BenchShort, RealPacketsGetTheirVerdicts) {
  SL_REQUIRE_BPF();
  SL_REQUIRE_NETNS();
  std::string output;
  const nlohmann::json suite = RunSuite(
      "rate", {"kernel/forward", "sluice/uplink/denied/cidrs", "all-new/an-event-each", "flows:1000"}, &output);
  const std::set<std::string> names = CheckedRows(suite, output);
  for (const std::string name :
       {"xdp/drop/bare", "xdp/redirect/bare", "pods/redirect-peer/bare", "kernel/forward/flows:1000",
        "sluice/uplink/denied/cidrs:10000", "sluice/uplink/denied/all-new/an-event-each",
        "sluice/uplink/denied/all-new/an-event-each/events-read", "sluice/uplink/redirect/flows:1000",
        "sluice/uplink/as-drop/flows:1000", "pods/sluice/redirect-peer/flows:1000", "pods/kernel/forward/flows:1000"})
    EXPECT_EQ(names.count(name), 1U) << name;
}

TEST(BenchShort, TcpComesThrough) {
  SL_REQUIRE_BPF();
  SL_REQUIRE_NETNS();
  std::string output;
  const nlohmann::json suite = RunSuite("tcp", {"sluice/rules:0/", "sluice/rules:100/", "bridge/"}, &output);
  const std::set<std::string> names = CheckedRows(suite, output);
  for (const std::string path : {"route", "bridge", "sluice/rules:0", "sluice/rules:100"})
    for (const std::string measured : {"stream Mbit/s", "request/response a second", "request/response p50 us",
                                       "request/response p99 us", "connect/close a second"})
      EXPECT_EQ(names.count(fmt::format("{}/{}", path, measured)), 1U) << path << ' ' << measured;
}

TEST(BenchUsage, FilterThatMatchesNothingIsAnError) {
  SL_REQUIRE_BPF();
  SL_REQUIRE_NETNS();
  for (const std::string suite : {"rate", "tcp"}) {
    const auto result = RunCommand({Bench(), suite, "--filter", "nonsense"});
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->exit_code, 1) << result->output;
    EXPECT_NE(result->output.find("no row has \"nonsense\""), std::string::npos) << result->output;
  }
}

}  // namespace
}  // namespace sluice::test
