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

TEST(BenchShort, EveryKindOfTrafficGetsItsVerdictAndItsSamples) {
  SL_REQUIRE_BPF();
  SL_REQUIRE_NETNS();
  const std::string path = std::filesystem::temp_directory_path() / fmt::format("sluice-bench-{}.json", getpid());
  // The program ends with 1 when a packet did not get the verdict that its row is about.
  const auto result = RunCommand({Bench(), "program", "--runs", "1", "--json", path,     //
                                  "--filter", "/flows:1000/",                            //
                                  "--filter", "xdp_uplink/v6/denied/flows:1/cidrs:1",    //
                                  "--filter", "xdp_uplink/v4/new/flows:100000/cidrs:1",  //
                                  "--filter", "tc_to_pod/v6/new-into-full"},
                                 {}, 300);
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_EQ(result->exit_code, 0) << result->output;
  std::ifstream file(path);
  const nlohmann::json report = nlohmann::json::parse(file, nullptr, false);
  std::filesystem::remove(path);
  ASSERT_TRUE(report.is_object());
  EXPECT_FALSE(report["machine"].value("kernel", "").empty());
  ASSERT_EQ(report["suites"].size(), 1U);
  std::set<std::string> names;
  for (const auto& row : report["suites"][0]["rows"]) {
    names.insert(row["name"]);
    ASSERT_EQ(row["samples"].size(), 1U) << row["name"];
    EXPECT_GT(row["samples"][0], 0) << row["name"];
    EXPECT_TRUE(row["name"].get<std::string>().ends_with("/bare") || row["ratios"].size() > 0) << row["name"];
    EXPECT_NE(result->output.find(row["name"].get<std::string>() + ' '), std::string::npos) << row["name"];
  }
  for (const std::string hook : {"xdp_uplink", "tc_from_pod", "tc_to_pod"})
    for (const std::string family : {"v4", "v6"})
      for (const std::string traffic : {"denied", "established", "reply"})
        EXPECT_EQ(names.count(fmt::format("{}/{}/{}/flows:1000/rules:1", hook, family, traffic)), 1U)
            << hook << ' ' << family << ' ' << traffic;
  for (const std::string floor : {"floor/xdp/bare", "floor/tc/bare", "floor/xdp/parse", "floor/tc/hash/flows:100000"})
    EXPECT_EQ(names.count(floor), 1U) << floor;
  EXPECT_EQ(names.count("tc_to_pod/v6/new-into-full/flows:500000/rules:1"), 1U);
}

}  // namespace
}  // namespace sluice::test
