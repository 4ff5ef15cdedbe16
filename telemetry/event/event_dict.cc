#include "telemetry/event/event_dict.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/printable.h"
#include "telemetry/event/flow_text.h"
#include "telemetry/event/json.h"

namespace sluice::telemetry {
namespace {

using Json = nlohmann::ordered_json;

std::string ValueText(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

std::string ListText(const Json& list) {
  std::string text;
  for (const Json& value : list) text += (text.empty() ? "" : ", ") + ValueText(value);
  return text;
}

void AddLines(const std::string& path, const Json& value, std::string* lines) {
  const bool nested =
      value.is_object() ||
      (value.is_array() && std::any_of(value.begin(), value.end(), [](const Json& v) { return v.is_structured(); }));
  if (!nested) {
    std::string text = value.is_array() ? ListText(value) : ValueText(value);
    if (path == "dropReason") text = ReasonText(text);
    *lines += fmt::format("{}: {}\n", Printable(path), Printable(text));
    return;
  }
  std::size_t place = 0;
  for (const auto& [key, member] : value.items()) {
    const char* const dot = path.empty() ? "" : ".";
    const std::string below =
        value.is_array() ? fmt::format("{}[{}]", path, place++) : fmt::format("{}{}{}", path, dot, key);
    AddLines(below, member, lines);
  }
}

}  // namespace

StatusOr<std::string> EventDict(const v1::Event& event) {
  SL_ASSIGN_OR_RETURN(const std::string json, EventToJson(event));
  const Json fields = Json::parse(json, nullptr, false);
  if (fields.is_discarded()) return MakeError(absl::StatusCode::kInternal, "an event is not JSON: {}", json);
  std::string lines;
  AddLines("", fields, &lines);
  return lines;
}

}  // namespace sluice::telemetry
