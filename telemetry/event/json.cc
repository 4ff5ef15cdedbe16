#include "telemetry/event/json.h"

#include <google/protobuf/util/json_util.h>

#include "base/printable.h"

namespace sluice::telemetry {
namespace {

// These precede the numbers that protobuf writes as strings. They cannot occur inside a string, where quotes are
// escaped.
constexpr std::string_view kTraffics[] = {"\"forward\":{", "\"backward\":{"};
constexpr std::string_view kCount = "\"count\":";

// Removes the quotes from the values in `members`, which are all numbers.
std::string WithNumbers(std::string_view members) {
  std::string out;
  for (std::size_t i = 0; i < members.size(); i++) {
    const bool opens = i > 0 && members[i - 1] == ':';
    const bool closes = i + 1 == members.size() || members[i + 1] == ',';
    if (members[i] != '"' || !(opens || closes)) out += members[i];
  }
  return out;
}

// Converts the text from the last character of `before` up to one of `ends`.
void MakeNumbers(std::string_view before, const char* ends, std::string* json) {
  const std::size_t found = json->find(before);
  if (found == std::string::npos) return;
  const std::size_t begin = found + before.size() - 1;
  const std::size_t end = json->find_first_of(ends, begin);
  json->replace(begin, end - begin, WithNumbers(std::string_view(*json).substr(begin, end - begin)));
}

StatusOr<std::string> ToText(const google::protobuf::Message& message) {
  std::string out;
  const auto status = google::protobuf::util::MessageToJsonString(message, &out);
  if (status.ok()) return out;
  return MakeError(absl::StatusCode::kInternal, "{} as JSON: {}", message.GetTypeName(), status.ToString());
}

StatusOr<std::string> ToJson(const v1::Lost& lost) {
  SL_ASSIGN_OR_RETURN(std::string out, ToText(lost));
  MakeNumbers(kCount, ",}", &out);
  return PrintableJson(out);
}

}  // namespace

StatusOr<std::string> ToJson(const google::protobuf::Message& message) {
  SL_ASSIGN_OR_RETURN(const std::string out, ToText(message));
  return PrintableJson(out);
}

StatusOr<std::string> ToJson(const v1::Flow& flow) {
  SL_ASSIGN_OR_RETURN(std::string out, ToText(flow));
  for (const std::string_view traffic : kTraffics) MakeNumbers(traffic, "}", &out);
  return PrintableJson(out);
}

StatusOr<std::string> EventToJson(const v1::Event& event) {
  switch (event.event_case()) {
    case v1::Event::kFlow:
      return ToJson(event.flow());
    case v1::Event::kLost:
      return ToJson(event.lost());
    case v1::Event::kExec:
      return ToJson(event.exec());
    case v1::Event::kFork:
      return ToJson(event.fork());
    case v1::Event::kExit:
      return ToJson(event.exit());
    case v1::Event::kChange:
      return ToJson(event.change());
    case v1::Event::kHook:
      return ToJson(event.hook());
    case v1::Event::kAlert:
      return ToJson(event.alert());
    case v1::Event::kDetection:
      return ToJson(event.detection());
    case v1::Event::kResponse:
      return ToJson(event.response());
    case v1::Event::EVENT_NOT_SET:
      break;
  }
  return MakeError(absl::StatusCode::kUnimplemented, "an event of a newer agent: upgrade this program to see it");
}

}  // namespace sluice::telemetry
