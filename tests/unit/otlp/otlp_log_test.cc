// Events as log records.
#include "telemetry/otlp/otlp_log.h"

#include <gmock/gmock.h>

#include "telemetry/otlp/otlp_attributes.h"
#include "tests/unit/otlp/events.h"
#include "tests/unit/otlp/wire_reader.h"

namespace sluice::telemetry {
namespace {

using test::DeniedFlow;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Key;
using testing::Not;
using testing::Pair;

otlp_logs::LogRecord RecordOf(const v1::Event& event) {
  otlp_logs::LogRecord record;
  FillLogRecord(event, 7, &record);
  return record;
}

// Numbers as "#5", lists as "[a|b]".
std::map<std::string, std::string> Values(const otlp_logs::LogRecord& record) {
  std::map<std::string, std::string> values;
  for (const otlp::KeyValue& one : record.attributes()) {
    std::string text = one.value().string_value();
    if (one.value().has_int_value()) text = "#" + std::to_string(one.value().int_value());
    if (one.value().has_bool_value()) text = one.value().bool_value() ? "true" : "false";
    if (one.value().has_array_value()) {
      for (const auto& item : one.value().array_value().values())
        text += (text.empty() ? "[" : "|") + item.string_value();
      text += "]";
    }
    EXPECT_TRUE(values.emplace(one.key(), text).second) << "twice: " << one.key();
  }
  return values;
}

TEST(OtlpLog, ADenialHasItsProgramItsEndsAndItsRule) {
  const otlp_logs::LogRecord record = RecordOf(*DeniedFlow());
  EXPECT_EQ(record.time_unix_nano(), 1'772'600'767'123'456'789U);
  EXPECT_EQ(record.observed_time_unix_nano(), 7U);
  EXPECT_EQ(record.severity_number(), otlp_logs::SEVERITY_NUMBER_WARN);
  EXPECT_EQ(record.event_name(), "sluice.flow");
  EXPECT_THAT(record.body().string_value(), HasSubstr("shop/web-0:40112"));
  EXPECT_THAT(record.body().string_value(), Not(HasSubstr("2026-"))) << "the record has the time";
  EXPECT_THAT(Values(record), IsSupersetOf(std::vector<std::pair<const std::string, std::string>>{
                                  {"network.transport", "tcp"},
                                  {"network.type", "ipv4"},
                                  {"source.address", "10.1.0.2"},
                                  {"source.port", "#40112"},
                                  {"destination.address", "10.1.0.3"},
                                  {"destination.port", "#5432"},
                                  {"k8s.namespace.name", "shop"},
                                  {"k8s.pod.name", "web-0"},
                                  {"k8s.deployment.name", "web"},
                                  {"k8s.container.name", "app"},
                                  {"container.id", "c0ffee"},
                                  {"process.pid", "#4242"},
                                  {"process.executable.path", "/usr/bin/psql"},
                                  {"process.executable.name", "psql"},
                                  {"process.command_args", "[/usr/bin/psql|-h|db]"},
                                  {"process.real_user.id", "#1000"},
                                  {"process.user.id", "#1001"},
                                  {"process.creation.time", "2026-03-04T04:53:20Z"},
                                  {"sluice.verdict", "DROPPED"},
                                  {"sluice.drop_reason", "POLICY_DENIED"},
                                  {"sluice.direction", "egress"},
                                  {"security_rule.ruleset.name", "bank/db"},
                                  {"security_rule.name", "ingress[0]"},
                                  {"security_rule.category", "NetworkPolicy"},
                                  {"sluice.policies", "[bank/db ingress[0] DENY]"},
                                  {"sluice.source.k8s.pod.name", "web-0"},
                                  {"sluice.source.process.executable.path", "/usr/bin/psql"},
                                  {"sluice.destination.k8s.namespace.name", "bank"},
                                  {"sluice.destination.k8s.pod.name", "db-0"},
                                  {"sluice.flow.forward.packets", "#1"},
                                  {"sluice.flow.reply", "false"},
                              }));
}

TEST(OtlpLog, WhatIsNotKnownIsAbsent) {
  v1::Event event = *DeniedFlow();
  event.mutable_flow()->clear_source();
  event.mutable_flow()->clear_policies();
  event.mutable_flow()->set_verdict(v1::Flow::FORWARDED);
  const otlp_logs::LogRecord record = RecordOf(event);
  EXPECT_EQ(record.severity_number(), otlp_logs::SEVERITY_NUMBER_INFO);
  const auto values = Values(record);
  EXPECT_THAT(values, Not(Contains(Key(HasSubstr("process.")))));
  EXPECT_THAT(values, Not(Contains(Key(HasSubstr("security_rule")))));
  EXPECT_EQ(values.at("k8s.pod.name"), "db-0") << "the only end that is a workload";
}

TEST(OtlpLog, EachTypeOfEventHasItsNameSeverityAndRule) {
  v1::Event hook;
  hook.mutable_hook()->set_function("openat");
  hook.mutable_hook()->mutable_policy()->set_name("guard");
  hook.mutable_hook()->add_actions(v1::Hook::POST);
  EXPECT_EQ(RecordOf(hook).severity_number(), otlp_logs::SEVERITY_NUMBER_INFO);
  hook.mutable_hook()->add_actions(v1::Hook::SIGNAL);
  hook.mutable_hook()->set_signal("SIGKILL");
  EXPECT_EQ(RecordOf(hook).severity_number(), otlp_logs::SEVERITY_NUMBER_WARN);
  EXPECT_EQ(RecordOf(hook).event_name(), "sluice.hook");
  EXPECT_THAT(Values(RecordOf(hook)), IsSupersetOf(std::vector<std::pair<const std::string, std::string>>{
                                          {"security_rule.ruleset.name", "guard"},
                                          {"sluice.hook.actions", "[POST|SIGNAL]"},
                                          {"sluice.hook.signal", "SIGKILL"}}));

  v1::Event detection;
  detection.mutable_detection()->set_rule("Shell in a pod");
  detection.mutable_detection()->set_priority(v1::Detection::CRITICAL);
  v1::DetectionField& field = *detection.mutable_detection()->add_fields();
  field.set_name("fd.num");
  field.set_int64_value(-1);
  EXPECT_EQ(RecordOf(detection).severity_number(), otlp_logs::SEVERITY_NUMBER_FATAL);
  EXPECT_EQ(RecordOf(detection).severity_text(), "CRITICAL");
  EXPECT_EQ(Values(RecordOf(detection)).at("security_rule.name"), "Shell in a pod");
  EXPECT_EQ(Values(RecordOf(detection)).at("sluice.field.fd.num"), "#-1");

  v1::Event alert;
  alert.mutable_alert()->set_operation(v1::Alert::FILE);
  alert.mutable_alert()->set_action(v1::Alert::BLOCK);
  alert.mutable_alert()->set_resource("/etc/shadow");
  EXPECT_EQ(RecordOf(alert).event_name(), "sluice.alert");
  EXPECT_EQ(Values(RecordOf(alert)).at("sluice.alert.resource"), "/etc/shadow");

  v1::Event response;
  response.mutable_response()->set_response("cut-off");
  response.mutable_response()->set_action(v1::Response::KILL);
  response.mutable_response()->set_outcome(v1::Response::DONE);
  EXPECT_EQ(RecordOf(response).event_name(), "sluice.response");
  EXPECT_EQ(Values(RecordOf(response)).at("sluice.response.action"), "KILL");

  v1::Event exit;
  exit.mutable_exit()->set_exit_code(3);
  EXPECT_EQ(Values(RecordOf(exit)).at("process.exit.code"), "#3");

  v1::Event lost;
  lost.mutable_lost()->set_cause("RING_FULL");
  lost.mutable_lost()->set_count(UINT64_MAX);
  EXPECT_EQ(RecordOf(lost).severity_number(), otlp_logs::SEVERITY_NUMBER_WARN);
  EXPECT_EQ(Values(RecordOf(lost)).at("sluice.lost.count"), "#9223372036854775807");

  v1::Event change;
  change.mutable_change()->set_action("apply");
  change.mutable_change()->set_problem("refused");
  EXPECT_EQ(RecordOf(change).event_name(), "sluice.change");
  EXPECT_EQ(RecordOf(change).severity_number(), otlp_logs::SEVERITY_NUMBER_WARN);
}

TEST(OtlpLog, TheResourceIsTheAgentAndItsNode) {
  otlp::Resource resource;
  FillResource({.node = "node-1", .version = "1.2.3", .cluster = "blue", .kubernetes = true}, &resource);
  std::map<std::string, std::string> values;
  for (const otlp::KeyValue& one : resource.attributes()) values[one.key()] = one.value().string_value();
  EXPECT_EQ(values, (std::map<std::string, std::string>{{"service.name", "sluice"},
                                                        {"service.version", "1.2.3"},
                                                        {"service.instance.id", "node-1"},
                                                        {"host.name", "node-1"},
                                                        {"k8s.node.name", "node-1"},
                                                        {"k8s.cluster.name", "blue"}}));
}

}  // namespace
}  // namespace sluice::telemetry
