#include "ctrl/sluice/object_json.h"

#include "base/printable.h"
#include "telemetry/event/json.h"

namespace sluice::client {

StatusOr<std::string> ToJsonLine(const v1::Object& object) {
  switch (object.object_case()) {
    case v1::Object::kResource:
      return PrintableJson(object.resource().json());
    case v1::Object::kIdentity:
      return telemetry::ToJson(object.identity());
    case v1::Object::kRuleset:
      return telemetry::ToJson(object.ruleset());
    case v1::Object::kFlow:
      return telemetry::ToJson(object.flow());
    case v1::Object::kProcess:
      return telemetry::ToJson(object.process());
    case v1::Object::OBJECT_NOT_SET:
      break;
  }
  return MakeError(absl::StatusCode::kUnimplemented, "an object of a newer agent: upgrade this program to see it");
}

}  // namespace sluice::client
