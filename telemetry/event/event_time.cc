#include "telemetry/event/event_time.h"

#include <absl/time/time.h>

namespace sluice::telemetry {
namespace {

absl::Time ToAbsl(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
}

}  // namespace

const google::protobuf::Timestamp& TimeOf(const v1::Event& event) {
  switch (event.event_case()) {
    case v1::Event::kFlow:
      return event.flow().time();
    case v1::Event::kLost:
      return event.lost().time();
    case v1::Event::kExec:
      return event.exec().time();
    case v1::Event::kFork:
      return event.fork().time();
    case v1::Event::kExit:
      return event.exit().time();
    case v1::Event::kHook:
      return event.hook().time();
    case v1::Event::kAlert:
      return event.alert().time();
    case v1::Event::kDetection:
      return event.detection().time();
    case v1::Event::kResponse:
      return event.response().time();
    case v1::Event::kChange:
      return event.change().time();
    case v1::Event::EVENT_NOT_SET:
      break;
  }
  return google::protobuf::Timestamp::default_instance();
}

std::int64_t NanosecondsOf(const google::protobuf::Timestamp& time) { return absl::ToUnixNanos(ToAbsl(time)); }

std::string TimeText(const google::protobuf::Timestamp& time) {
  return absl::FormatTime("%Y-%m-%d%ET%H:%M:%E3SZ", ToAbsl(time), absl::UTCTimeZone());
}

}  // namespace sluice::telemetry
