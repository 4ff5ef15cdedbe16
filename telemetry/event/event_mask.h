// A selection of event fields: "time,source.workload,l4.destinationPort". A value.
#pragma once

#include <string>
#include <vector>

#include "api/sluice.pb.h"
#include "base/status.h"

namespace sluice::telemetry {

class EventMask {
 public:
  // Paths with commas between them, in JSON's field names. A list or map is selected as a whole. InvalidArgument: no
  // event has such a field.
  static StatusOr<EventMask> Parse(const std::string& text);
  // Removes all other fields. Losses are not trimmed, because they stand for missing events. False: nothing is left.
  bool Trim(v1::Event* event) const;

 private:
  std::vector<std::string> paths_;  // in protobuf's field names
};

}  // namespace sluice::telemetry
