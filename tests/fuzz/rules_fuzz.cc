// Any bytes as a rules file, a condition, an output and a recorded event: no crash, no hang. What a condition's text
// reads as reads back as the same, and its compiled form decides the event as the reference evaluator does.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "policy/rules/alert.h"
#include "policy/rules/bind.h"
#include "policy/rules/check_report.h"
#include "policy/rules/evaluate.h"
#include "policy/rules/event_record.h"
#include "policy/rules/event_sets.h"
#include "policy/rules/loader.h"
#include "policy/rules/ruleset.h"

namespace {

using namespace sluice::policy::rules;  // NOLINT(google-build-using-namespace): all of this file is about it

constexpr std::string_view kRecord =
    R"({"type":"openat","result":3,"process":{"pid":2,"name":"cat","exe":"/bin/cat","arguments":["/etc/shadow"],)"
    R"("parent":{"pid":1,"name":"bash"}},"container":{"id":"c1"},"descriptor":{"kind":"file","name":"/etc/shadow"},)"
    R"("arguments":[["flags","O_RDONLY"]],"open":{"read":true},"descriptorNumber":3})";

void Decide(const std::vector<Rule>& rules, const Event& event) {
  const auto ruleset = Ruleset::Compile(rules);
  Matcher matcher(ruleset);
  std::size_t at = 0;
  const auto matches = matcher.Match(event, MatchMode::kAll);
  for (std::uint32_t i = 0; i < ruleset->rules().size(); ++i) {
    const Rule& rule = ruleset->rules()[i];
    const bool expected = Evaluate(*rule.condition, event);
    const bool matched = at < matches.size() && matches[at] == i;
    if (matched != expected) std::abort();
    if (expected && !rule.event_types.test(event.type)) std::abort();
    if (matched) {
      ++at;
      if (AlertJson(MakeAlert(rule, event)).empty() || AlertText(MakeAlert(rule, event)).empty()) std::abort();
    }
  }
}

void ReadCondition(std::string_view text, const Event& event) {
  auto parsed = ParseCondition(text);
  const auto* const condition = std::get_if<ConditionPtr>(&parsed);
  if (condition == nullptr) return;
  const std::string written = ToText(**condition);
  auto again = ParseCondition(written);
  // Parentheses around each part may make the text deeper than a condition may be.
  if (const auto* const same = std::get_if<ConditionPtr>(&again); same != nullptr && ToText(**same) != written) {
    std::abort();
  }
  const BindResult bound = Bind(*condition);
  if (bound.condition == nullptr) return;
  Rule rule;
  rule.condition = bound.condition;
  rule.event_types = EventTypesOf(*bound.condition);
  rule.output = std::get<OutputFormat>(OutputFormat::Parse("%proc.name"));
  Decide({rule}, event);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto record = *ParseEventRecord(kRecord);
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  ReadCondition(text, record->event);
  if (auto format = OutputFormat::Parse(text); std::holds_alternative<OutputFormat>(format)) {
    std::get<OutputFormat>(format).ToText(record->event);
  }
  if (const auto event = ParseEventRecord(text); event.ok() && (*event)->event.process != nullptr) {
    Decide({}, (*event)->event);
  }
  Loader loader;
  const CheckedFile file{.result = loader.Load("fuzz", text), .text = std::string(text)};
  if (file.result.ok() != file.result.errors.empty()) std::abort();
  if (ReportText(file).empty() || ReportJson({file}).empty()) std::abort();
  if (file.result.ok()) Decide(loader.rules(), record->event);
  return 0;
}
