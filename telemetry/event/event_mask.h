// Some fields of events: "time,source.workload,l4.destinationPort". A value.
#pragma once

#include <string>
#include <vector>

#include "api/sluice.pb.h"
#include "base/status.h"

namespace sluice::telemetry {

class EventMask {
 public:
  // Paths by commas, as JSON names the fields. InvalidArgument: no event has such a field. Lists and maps are whole.
  static StatusOr<EventMask> Parse(const std::string& text);
  // Takes away all other fields. Losses stay whole, as they are about events that are missing. False: nothing is left.
  bool Trim(v1::Event* event) const;

 private:
  std::vector<std::string> paths_;  // as protobuf names the fields
};

}  // namespace sluice::telemetry
