#include "ctrl/sluice/time_point.h"

#include <absl/time/time.h>

namespace sluice::client {

StatusOr<google::protobuf::Timestamp> ParseTimePoint(const std::string& text,
                                                     std::chrono::system_clock::time_point now) {
  absl::Time time;
  absl::Duration back;
  if (absl::ParseDuration(text, &back) && back >= absl::ZeroDuration()) {
    time = absl::FromChrono(now) - back;
  } else if (!absl::ParseTime(absl::RFC3339_full, text, &time, nullptr)) {
    return InvalidError("{}: expected a time as 2026-07-01T10:00:00Z, or how long ago as 5m or 1h30m", text);
  }
  const absl::Duration since_epoch = time - absl::UnixEpoch();
  google::protobuf::Timestamp timestamp;
  timestamp.set_seconds(absl::ToInt64Seconds(absl::Floor(since_epoch, absl::Seconds(1))));
  timestamp.set_nanos(
      static_cast<std::int32_t>(absl::ToInt64Nanoseconds(since_epoch - absl::Floor(since_epoch, absl::Seconds(1)))));
  return timestamp;
}

}  // namespace sluice::client
