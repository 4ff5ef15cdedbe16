// The table and the JSON of made-up reports, with and without instructions.
#include "perf/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "perf/program/floors.h"
#include "perf/program/generator_share.h"

namespace sluice::perf {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr Suite kSuite = {"made-up", "of this test", nullptr, nullptr};

std::string Printed(const Report& report) {
  std::ostringstream out;
  PrintTable(kSuite, report, out);
  return out.str();
}

nlohmann::json RowsOf(const Report& report) { return ToJson(kSuite, report)["rows"]; }

Report WithAndWithout() {
  Report report{.unit = "ns a packet"};
  report.rows.push_back(
      {.name = "counted", .samples = {30, 10, 20}, .instructions = {.samples = {500, 300.5, 400}, .generator = 100}});
  report.rows.push_back({.name = "peer", .samples = {7}});
  return report;
}

TEST(BenchReport, InstructionsAreAColumnWhereARowHasThem) {
  const std::string table = Printed(WithAndWithout());
  EXPECT_THAT(table, HasSubstr("runs instructions  ratios\n"));
  EXPECT_THAT(table, HasSubstr("counted      20.0      10.0      30.0    3        300.0 \n"));
  EXPECT_THAT(table, HasSubstr("peer          7.0       7.0       7.0    1            - \n"));
}

TEST(BenchReport, WithoutInstructionsThereIsNoColumn) {
  Report report = WithAndWithout();
  report.rows[0].instructions = {};
  EXPECT_THAT(Printed(report), HasSubstr("runs  ratios\n"));
  EXPECT_THAT(Printed(report), Not(HasSubstr("instructions")));
}

TEST(BenchReport, TheJsonHasEverySampleOfInstructions) {
  const nlohmann::json rows = RowsOf(WithAndWithout());
  const nlohmann::json& counted = rows[0]["instructions"];
  EXPECT_THAT(counted["samples"].get<std::vector<double>>(), ElementsAre(500, 300.5, 400));
  EXPECT_EQ(counted["generator"], 100);
  EXPECT_EQ(counted["median"], 300);
  EXPECT_EQ(counted["min"], 200.5);
  EXPECT_EQ(counted["max"], 400);
  EXPECT_FALSE(rows[1].contains("instructions")) << rows[1];
}

// The wrapper takes 3 ns and 40 instructions in front of XDP, 5 and 50 in front of tc.
TEST(BenchReport, TheGeneratorsShareIsTakenFromRowsThatRotate) {
  const Case many{.hook = Hook::kXdpUplink, .traffic = Traffic::kEstablished, .flows = 1000, .world = {.rules = 1}};
  Case one = many, tc = many;
  one.flows = 1;
  tc.hook = Hook::kTcToPod;
  Report report;
  const auto add = [&](const std::string& name, double ns, double instructions) {
    report.rows.push_back({.name = name, .samples = {ns}, .instructions = {.samples = {instructions}}});
  };
  add(BareFloor(true), 20, 60);
  add(GeneratorRow(true), 23, 100);
  add(BareFloor(false), 30, 80);
  add(GeneratorRow(false), 35, 130);
  add(many.Name(), 103, 640);
  add(one.Name(), 90, 600);
  add(tc.Name(), 105, 650);
  add(HashFloor(true, 1), 50, 200);
  add(HashFloor(true, kManyFlows), 403, 240);
  const std::string slot = std::string(kSlotFloors) + "280/flows:100000";
  add(slot, 203, 140);
  SubtractGenerator({many, one, tc}, &report);

  const auto expect = [&](const std::string& name, double ns, double instructions) {
    const Row* const row = FindRow(report, name);
    ASSERT_NE(row, nullptr) << name;
    EXPECT_EQ(FiguresOf(*row).median, ns) << name;
    ASSERT_TRUE(InstructionsOf(*row).has_value()) << name;
    EXPECT_EQ(InstructionsOf(*row)->median, instructions) << name;
  };
  expect(many.Name(), 100, 600);
  expect(one.Name(), 90, 600);
  expect(tc.Name(), 100, 600);
  expect(HashFloor(true, 1), 50, 200);
  expect(HashFloor(true, kManyFlows), 400, 200);
  expect(slot, 200, 100);
  expect(GeneratorRow(true), 23, 100);
}

}  // namespace
}  // namespace sluice::perf
