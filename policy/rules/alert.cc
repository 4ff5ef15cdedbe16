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

std::string Prefix(const Alert& alert, const AlertOptions& options) {
  const Event at{.time_ns = alert.time_ns};
  return PrefixOf(options).ToText(at) + ": " + std::string(NameOf(alert.priority));
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

// With the time that is in front of the output.
Json FieldsOf(const Alert& alert, const AlertOptions& options) {
  Json fields = Json::object();
  for (const auto& [name, value] : alert.fields) fields[name] = ToJson(value);
  for (const OutputField& field : PrefixOf(options).fields()) fields[field.name] = alert.time_ns;
  return fields;
}

// "2026-12-01T09:40:10.123456789Z"
std::string JsonTime(const Alert& alert) {
  std::string text = IsoTime().ToText({.time_ns = alert.time_ns});
  text.resize(text.find('+'));
  return text + "Z";
}

std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace

Alert MakeAlert(const Rule& rule, const Event& event) {
  Alert alert{.host = std::string(event.host),
              .rule = rule.name,
              .source = rule.source,
              .priority = rule.priority,
              .tags = rule.tags,
              .time_ns = event.time_ns,
              .message = rule.output.ToText(event)};
  alert.fields.reserve(rule.output.fields().size());
  for (const OutputField& field : rule.output.fields()) {
    alert.fields.emplace_back(field.name, OutputValueOf(*field.value, event));
  }
  return alert;
}

std::string AlertJson(const Alert& alert, const AlertOptions& options) {
  Json json = {{"hostname", alert.host},
               {"priority", std::string(NameOf(alert.priority))},
               {"rule", alert.rule},
               {"source", alert.source},
               {"time", JsonTime(alert)}};
  if (options.output) json["output"] = Prefix(alert, options) + " " + alert.message;
  if (options.tags) json["tags"] = alert.tags;
  if (options.message) json["message"] = alert.message;
  if (options.output_fields) json["output_fields"] = FieldsOf(alert, options);
  return Dump(json);
}

std::string AlertText(const Alert& alert, const AlertOptions& options) {
  const std::string quoted = Dump(Prefix(alert, options) + " " + alert.message);
  return quoted.substr(1, quoted.size() - 2);
}

}  // namespace sluice::policy::rules
