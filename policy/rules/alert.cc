#include "policy/rules/alert.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "policy/rules/text_match.h"

namespace sluice::policy::rules {
namespace {

using Json = nlohmann::json;

const OutputFormat& IsoTime() {
  static const OutputFormat format = std::get<OutputFormat>(OutputFormat::Parse("%evt.time.iso8601"));
  return format;
}

const OutputFormat& PrefixOf(const AlertOptions& options) {
  static const OutputFormat clock = std::get<OutputFormat>(OutputFormat::Parse("%evt.time"));
  return options.iso_time ? IsoTime() : clock;
}

std::string Prefix(const Rule& rule, const Event& event, const AlertOptions& options) {
  return PrefixOf(options).ToText(event) + ": " + std::string(NameOf(rule.priority));
}

Json ToJson(const OutputValue& value) {
  switch (value.kind) {
    case OutputValue::Kind::kText:
      return value.text;
    case OutputValue::Kind::kNumber:
      return value.number;
    case OutputValue::Kind::kSignedNumber:
      return static_cast<std::int64_t>(value.number);
    case OutputValue::Kind::kBool:
      return value.number != 0;
    case OutputValue::Kind::kList:
      return value.list;
    case OutputValue::Kind::kMissing:
      break;
  }
  return nullptr;
}

Json FieldsOf(const Rule& rule, const Event& event, const AlertOptions& options) {
  Json fields = Json::object();
  for (const OutputField& field : rule.output.fields()) fields[field.name] = ToJson(OutputValueOf(*field.value, event));
  for (const OutputField& field : PrefixOf(options).fields()) {
    fields[field.name] = ToJson(OutputValueOf(*field.value, event));
  }
  return fields;
}

// "2026-12-01T09:40:10.123456789Z"
std::string JsonTime(const Event& event) {
  std::string text = IsoTime().ToText(event);
  text.resize(text.find('+'));
  return text + "Z";
}

std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace

std::string AlertJson(const Rule& rule, const Event& event, const AlertOptions& options) {
  const std::string message = rule.output.ToText(event);
  Json alert = {{"hostname", event.host},
                {"priority", std::string(NameOf(rule.priority))},
                {"rule", rule.name},
                {"source", rule.source},
                {"time", JsonTime(event)}};
  if (options.output) alert["output"] = Prefix(rule, event, options) + " " + message;
  if (options.tags) alert["tags"] = rule.tags;
  if (options.message) alert["message"] = message;
  if (options.output_fields) alert["output_fields"] = FieldsOf(rule, event, options);
  return Dump(alert);
}

std::string AlertText(const Rule& rule, const Event& event, const AlertOptions& options) {
  const std::string quoted = Dump(Prefix(rule, event, options) + " " + rule.output.ToText(event));
  return quoted.substr(1, quoted.size() - 2);
}

}  // namespace sluice::policy::rules
