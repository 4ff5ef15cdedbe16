#include "tests/suites/suite_alerts.h"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <set>

namespace sluice::test {
namespace {

using nlohmann::json;

std::string LowerCase(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

// 64-bit numbers are texts.
const char* const kValues[] = {"text", "uint64Value", "int64Value", "boolValue"};

std::map<std::string, std::string> FieldsOf(const json& detection) {
  std::map<std::string, std::string> fields;
  for (const json& field : detection.value("fields", json::array())) {
    for (const char* const kind : kValues) {
      const auto value = field.find(kind);
      if (value == field.end()) continue;
      fields[field.value("name", "")] = value->is_string() ? value->get<std::string>() : value->dump();
    }
  }
  return fields;
}

std::string Difference(const Expectation& expected, const SuiteAlert& alert) {
  std::string text;
  const auto add = [&](const std::string& name, const std::string& want, const std::string& got) {
    text += fmt::format("{}{} is {}, not {}", text.empty() ? "" : "; ", name, got.empty() ? "not known" : got, want);
  };
  if (expected.source && *expected.source != alert.source) add("source", *expected.source, alert.source);
  if (expected.hostname && *expected.hostname != alert.hostname) add("hostname", *expected.hostname, alert.hostname);
  if (expected.priority && LowerCase(*expected.priority) != alert.priority)
    add("priority", *expected.priority, alert.priority);
  for (const auto& [field, value] : expected.fields) {
    const auto found = alert.fields.find(field);
    if (found == alert.fields.end())
      add(field, value, "");
    else if (found->second != value)
      add(field, value, found->second);
  }
  return text;
}

}  // namespace

SuiteAlerts ReadAlerts(std::string_view lines) {
  SuiteAlerts alerts;
  std::size_t at = 0;
  for (std::size_t end = 0; (end = lines.find('\n', at)) != std::string_view::npos; at = end + 1) {
    const json event = json::parse(lines.substr(at, end - at), nullptr, false);
    if (!event.is_object() || event.value("type", "") != "detection") continue;
    const auto process = event.value("process", json::object());
    alerts.emplace(process.value("pid", 0), SuiteAlert{.rule = event.value("rule", ""),
                                                       .source = event.value("source", ""),
                                                       .hostname = event.value("node", ""),
                                                       .priority = LowerCase(event.value("priority", "")),
                                                       .fields = FieldsOf(event)});
  }
  return alerts;
}

std::string Judge(const Expectation& expected, const std::vector<pid_t>& processes, const SuiteAlerts& alerts) {
  std::set<std::string> differences, others;
  for (const pid_t process : processes) {
    const auto [begin, end] = alerts.equal_range(process);
    for (auto one = begin; one != end; ++one) {
      if (one->second.rule != expected.rule) {
        others.insert(one->second.rule);
        continue;
      }
      const std::string difference = Difference(expected, one->second);
      if (difference.empty()) return "";
      differences.insert(difference);
    }
  }
  if (!differences.empty()) return *differences.begin();
  std::string text = "no alert of the rule";
  for (const std::string& other : others) text += ", but one of " + other;
  return text;
}

}  // namespace sluice::test
