#include "tests/calls/call_fixture.h"

#include <gtest/gtest.h>

#include <variant>

#include "policy/rules/bind.h"
#include "policy/rules/condition_parser.h"
#include "policy/rules/event_sets.h"
#include "policy/rules/output_format.h"

namespace sluice::test {

using policy::rules::Event;
using policy::rules::Rule;
using policy::rules::Ruleset;

std::shared_ptr<const Ruleset> RulesOf(const std::vector<std::string>& conditions) {
  std::vector<Rule> rules;
  for (const std::string& condition : conditions) {
    auto parsed = policy::rules::ParseCondition(condition);
    if (const auto* error = std::get_if<policy::rules::ConditionError>(&parsed)) {
      ADD_FAILURE() << condition << ": " << error->what;
      continue;
    }
    const auto bound = policy::rules::Bind(std::get<policy::rules::ConditionPtr>(parsed));
    if (bound.error) {
      ADD_FAILURE() << condition << ": " << bound.error->what;
      continue;
    }
    Rule rule;
    rule.name = rule.condition_text = condition;
    rule.condition = bound.condition;
    rule.event_types = policy::rules::EventTypesOf(*bound.condition);
    rules.push_back(std::move(rule));
  }
  return Ruleset::Compile(rules);
}

StatusOr<std::unique_ptr<CallFixture>> CallFixture::Create(Options options) {
  std::unique_ptr<CallFixture> made(new CallFixture);
  SL_ASSIGN_OR_RETURN(made->sensors_, SensorFixture::Create({.node = "node-1"}));
  telemetry::ProcessSensor& sensor = made->sensors_->sensor();
  SL_ASSIGN_OR_RETURN(made->store_, calls::CallStore::Create({.processes_fd = sensor.map_fd("processes"),
                                                              .ring_bytes = options.ring_bytes}));
  made->source_ = std::make_unique<telemetry::CallSource>(
      telemetry::CallSource::Options{.node = "node-1",
                                     .owner = std::move(options.owner),
                                     .catch_up = [&sensor] { sensor.CatchUp(std::chrono::seconds(10)); },
                                     .names = {},
                                     .max_batch = options.max_batch},
      made->store_.get(), &sensor.tree(),
      [raw = made.get()](const Event& event, const telemetry::ProcessInstance* instance,
                         const telemetry::CallOwner& owner) { raw->See(event, instance, owner); });
  return made;
}

CallFixture::~CallFixture() = default;

Status CallFixture::Require(const std::vector<std::string>& conditions) {
  return store_->Require({RulesOf(conditions)});
}

void CallFixture::Drain() {
  while (store_->Drain([&](const void* record, std::size_t size) { source_->Consume(record, size); }) != 0) {
  }
  source_->Tick();
}

void CallFixture::See(const Event& event, const telemetry::ProcessInstance* instance,
                      const telemetry::CallOwner& owner) {
  SeenCall call{.pid = event.process->pid,
                .tid = event.thread.value_or(0),
                .process_known = instance != nullptr,
                .workload = owner.workload,
                .fields = {}};
  for (const std::string& field : fields_) {
    const auto format = policy::rules::OutputFormat::Parse("%" + field);
    const auto* const right = std::get_if<policy::rules::OutputFormat>(&format);
    ASSERT_NE(right, nullptr) << field;
    call.fields[field] = right->ToText(event);
  }
  seen_.push_back(std::move(call));
}

std::vector<std::string> CallFixture::Lines(pid_t pid, const std::vector<std::string>& fields) {
  std::vector<std::string> lines;
  for (const SeenCall& call : seen_) {
    if (call.pid != pid) continue;
    std::string line;
    for (const std::string& field : fields) line += (line.empty() ? "" : " ") + call.fields.at(field);
    lines.push_back(line);
  }
  return lines;
}

}  // namespace sluice::test
