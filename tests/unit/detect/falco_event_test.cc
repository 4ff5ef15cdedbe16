#include "telemetry/falco/falco_event.h"

#include <gmock/gmock.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "policy/rules/alert.h"
#include "tests/unit/detect/rules.h"

namespace sluice::telemetry {
namespace {

using nlohmann::json;
using testing::HasSubstr;

policy::rules::Rule RuleWithOutput(const std::string& output) {
  policy::rules::Rule rule;
  rule.name = "A shell";
  rule.source = "syscall";
  rule.priority = policy::rules::Priority::kCritical;
  rule.tags = {"container", "shell"};
  rule.output = std::get<policy::rules::OutputFormat>(policy::rules::OutputFormat::Parse(output));
  return rule;
}

v1::Event DetectionOf(const policy::rules::Alert& alert) {
  v1::Event event;
  FillDetection(alert, event.mutable_detection());
  return event;
}

// A detection says all that Falco's alert does, with the types of its values.
TEST(FalcoEvent, ADetectionKeepsAllOfTheAlert) {
  policy::rules::Scene scene;
  scene.event.result = -2;
  const auto rule = RuleWithOutput(
      "Shell %proc.name | %user.uid %evt.is_open_read %container.name %evt.rawres %fd.num %proc.aname[2] %evt.time");
  const auto alert = MakeAlert(rule, scene.event);
  const auto shown = ToFalcoJson(DetectionOf(alert));
  ASSERT_TRUE(shown.ok()) << shown.status();
  EXPECT_EQ(json::parse(*shown), json::parse(AlertJson(alert)));
  EXPECT_EQ(json::parse(*shown)["output_fields"]["evt.rawres"], -2);
  EXPECT_EQ(json::parse(*shown)["output_fields"]["container.name"], nullptr);
  EXPECT_EQ(json::parse(*shown)["time"], "2025-12-01T09:40:10.123456789Z");
}

TEST(FalcoEvent, BytesThatAreNoTextAreEscaped) {
  policy::rules::Scene scene;
  scene.shell.name = "a\xff";
  const auto event = DetectionOf(MakeAlert(RuleWithOutput("%proc.name"), scene.event));
  EXPECT_EQ(event.detection().output(), "a\\xff");
  std::string bytes;
  EXPECT_TRUE(event.SerializeToString(&bytes));
  EXPECT_EQ(json::parse(*ToFalcoJson(event))["output_fields"]["proc.name"], "a\\xff");
}

TEST(FalcoEvent, LossesAreAnAlertOfTheirOwn) {
  v1::Event event;
  v1::Lost& lost = *event.mutable_lost();
  lost.set_node("n1");
  lost.set_cause("RULES_RATE");
  lost.set_event("detection");
  lost.set_count(7);
  lost.set_namespace_("shop");
  lost.set_workload("web-0");
  const json alert = json::parse(*ToFalcoJson(event));
  EXPECT_EQ(alert["source"], "internal");
  EXPECT_EQ(alert["output_fields"]["lost.count"], 7);
  EXPECT_EQ(alert["output_fields"]["k8s.pod.name"], "web-0");
  EXPECT_THAT(alert["output"].get<std::string>(), HasSubstr("7 detections are missing: RULES_RATE"));
  lost.set_event("flow");
  EXPECT_EQ(*ToFalcoJson(event), "");
}

TEST(FalcoEvent, AnExportWritesDetectionsOnly) {
  const test::Directory directory;
  EventHub hub({.node = "node-1"}, [](bool) {});
  EventExport::Options options{.node = "node-1", .file = {.path = directory.path("alerts")}};
  ExportAsFalco(&options);
  auto exporting = EventExport::Start(std::move(options), &hub);
  ASSERT_TRUE(exporting.ok()) << exporting.status();
  auto exec = std::make_shared<v1::Event>();
  exec->mutable_exec()->set_type("exec");
  hub.Publish(exec);
  hub.Publish(test::Detection("R", "web-0"));
  hub.Close();
  exporting->reset();
  std::ifstream in(directory.path("alerts"));
  std::string line, more;
  ASSERT_TRUE(std::getline(in, line));
  EXPECT_EQ(json::parse(line)["rule"], "R");
  EXPECT_EQ(json::parse(line)["priority"], "Critical");
  EXPECT_FALSE(std::getline(in, more));
}

}  // namespace
}  // namespace sluice::telemetry
