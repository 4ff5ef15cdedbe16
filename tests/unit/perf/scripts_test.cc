// scripts/bench-compare and scripts/bench-plot on small runs; and errors of scripts/build-cilium-objects.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "testbed/command.h"

namespace sluice::test {
namespace {

using nlohmann::json;

json Row(const std::string& name, const std::vector<double>& samples, const std::string& floor = "") {
  json row = {{"name", name}, {"samples", samples}, {"generator", 0}, {"unit", "ns"}, {"against", json::array()}};
  if (!floor.empty()) row["against"].push_back(floor);
  return row;
}

json RunOf(const std::string& suite, const std::vector<json>& rows) {
  return {{"machine", {{"cpus", 2}}}, {"suites", {{{"suite", suite}, {"unit", "ns"}, {"rows", rows}}}}};
}

class BenchScripts : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(directory_); }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(directory_ / name) << text;
    return directory_ / name;
  }

  static CommandResult Script(const std::string& name, const Arguments& arguments) {
    const char* const source = std::getenv("SLUICE_SOURCE_DIR");
    Arguments all = {std::string(source != nullptr ? source : ".") + "/scripts/" + name};
    all.insert(all.end(), arguments.begin(), arguments.end());
    const auto result = RunCommand(all);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *result : CommandResult{};
  }

  CommandResult Compare(const json& old_run, const json& new_run, Arguments options = {}) const {
    options.insert(options.begin(), {Write("old.json", old_run.dump()), Write("new.json", new_run.dump())});
    return Script("bench-compare", options);
  }

  const std::filesystem::path directory_ =
      std::filesystem::temp_directory_path() / ("sluice-bench-scripts-" + std::to_string(getpid()));
};

// The machine is half as fast in the second run, the program is unchanged.
TEST_F(BenchScripts, RatiosToTheFloorAreCompared) {
  const auto result = Compare(RunOf("program", {Row("bare", {20, 21, 22}), Row("new", {105, 100, 110}, "bare")}),
                              RunOf("program", {Row("bare", {42}), Row("new", {231}, "bare")}), {"--fail", "--all"});
  // The floor itself has no ratio, so its median is compared.
  EXPECT_EQ(result.exit_code, 1) << result.output;
  EXPECT_NE(result.output.find("program: bare      21.00      42.00     2.00 *  ns"), std::string::npos)
      << result.output;
  EXPECT_NE(result.output.find("program: new        5.00       5.50     1.10  x bare"), std::string::npos)
      << result.output;
}

TEST_F(BenchScripts, ChangesBeyondTheThresholdFailBothWaysAndOnlyWhenAsked) {
  const auto run = [](double figure) { return RunOf("program", {Row("bare", {20}), Row("new", {figure}, "bare")}); };
  EXPECT_EQ(Compare(run(100), run(126), {"--fail"}).exit_code, 1);
  EXPECT_EQ(Compare(run(126), run(100), {"--fail"}).exit_code, 1);
  EXPECT_EQ(Compare(run(100), run(124), {"--fail"}).exit_code, 0);
  EXPECT_EQ(Compare(run(100), run(126)).exit_code, 0);
  EXPECT_EQ(Compare(run(100), run(126), {"--fail", "--threshold", "1.3"}).exit_code, 0);
}

TEST_F(BenchScripts, TheGeneratorsShareIsNoCost) {
  json row = Row("new", {110}, "bare");
  row["generator"] = 10;
  const json plain = RunOf("program", {Row("bare", {20}), Row("new", {100}, "bare")});
  const auto result = Compare(plain, RunOf("program", {Row("bare", {20}), row}), {"--all"});
  EXPECT_NE(result.output.find("5.00       5.00     1.00"), std::string::npos) << result.output;
}

TEST_F(BenchScripts, FromNothingToSomethingIsAChange) {
  const auto result = Compare(RunOf("exec", {Row("lost", {0})}), RunOf("exec", {Row("lost", {3})}), {"--fail"});
  EXPECT_EQ(result.exit_code, 1) << result.output;
  EXPECT_EQ(Compare(RunOf("exec", {Row("lost", {0})}), RunOf("exec", {Row("lost", {0})}), {"--fail"}).exit_code, 0);
}

TEST_F(BenchScripts, RowsOfOneRunOnlyAreNamed) {
  const auto result = Compare(RunOf("program", {Row("bare", {20}), Row("gone", {20})}),
                              RunOf("program", {Row("bare", {20}), Row("came", {20})}), {"--fail"});
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_NE(result.output.find("new.json: program: gone"), std::string::npos) << result.output;
  EXPECT_NE(result.output.find("old.json: program: came"), std::string::npos) << result.output;
}

TEST_F(BenchScripts, WhatIsNoRunIsRefusedByItsName) {
  const std::string good = Write("good.json", RunOf("program", {Row("bare", {20})}).dump());
  for (const char* const text : {"", "{}", "[1]", R"({"suites": [{"rows": [1]}]})"}) {
    const std::string bad = Write("bad.json", text);
    const auto compared = Script("bench-compare", {good, bad});
    EXPECT_EQ(compared.exit_code, 2) << text << ": " << compared.output;
    EXPECT_NE(compared.output.find("bad.json"), std::string::npos) << compared.output;
    EXPECT_EQ(Script("bench-plot", {bad, directory_}).exit_code, 2) << text;
  }
  EXPECT_EQ(Script("bench-compare", {good, good, "--threshold", "1"}).exit_code, 2);
  EXPECT_EQ(Script("bench-compare", {good}).exit_code, 2);
}

TEST_F(BenchScripts, ObjectsOfCiliumAreMadeOfItsSourcesOnly) {
  const std::string object = directory_ / "out.o";
  const auto built = Script("build-cilium-objects", {directory_, object});
  EXPECT_EQ(built.exit_code, 1) << built.output;
  EXPECT_NE(built.output.find(directory_.string() + "/bpf/bpf_lxc.c is missing"), std::string::npos) << built.output;
  EXPECT_FALSE(std::filesystem::exists(object));
  EXPECT_EQ(Script("build-cilium-objects", {directory_}).exit_code, 1);
}

TEST_F(BenchScripts, AThingThatGrowsBecomesALine) {
  const std::string run =
      Write("run.json", RunOf("scale", {Row("cidrs:100/new", {300, 310, 290}), Row("cidrs:1000/new", {400}),
                                        Row("rules:10/new", {200}), Row("floor/xdp/bare", {20})})
                            .dump());
  const auto plotted = Script("bench-plot", {run, directory_ / "out"});
  ASSERT_EQ(plotted.exit_code, 0) << plotted.output;
  std::ifstream file(directory_ / "out/scale-new.svg");
  const std::string svg(std::istreambuf_iterator<char>(file), {});
  EXPECT_EQ(svg.find("<svg "), 0U) << svg;
  EXPECT_NE(svg.find("cidrs 100: 300.0 ns"), std::string::npos) << svg;
  EXPECT_NE(svg.find("cidrs 1000: 400.0 ns"), std::string::npos) << svg;
  EXPECT_EQ(svg.find("rules 10"), std::string::npos) << "one point is no line: " << svg;
  const std::string nothing = Write("nothing.json", RunOf("program", {Row("bare", {20})}).dump());
  EXPECT_EQ(Script("bench-plot", {nothing, directory_}).exit_code, 1);
}

}  // namespace
}  // namespace sluice::test
