#include "telemetry/json.h"

#include <google/protobuf/util/json_util.h>

#include "ctrl/base/printable.h"

namespace sluice::telemetry {

StatusOr<std::string> ToJson(const google::protobuf::Message& message) {
  std::string out;
  const auto status = google::protobuf::util::MessageToJsonString(message, &out);
  if (!status.ok()) {
    return MakeError(absl::StatusCode::kInternal, "{} as JSON: {}", message.GetTypeName(), status.ToString());
  }
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
    case v1::Event::EVENT_NOT_SET:
      break;
  }
  return MakeError(absl::StatusCode::kUnimplemented, "an event of a newer agent: upgrade this program to see it");
}

}  // namespace sluice::telemetry
