// Which fields of a flow a client wants. A value; const calls may come from several threads. Pure.
#pragma once

#include <google/protobuf/field_mask.pb.h>

#include "api/hubble_flow.pb.h"
#include "base/status.h"

namespace sluice::telemetry {

class HubbleMask {
 public:
  HubbleMask() = default;  // all fields
  // Paths as "source.pod_name"; none: all fields. InvalidArgument names a path that flows do not have.
  static StatusOr<HubbleMask> Make(const google::protobuf::FieldMask& mask);

  bool WantsExtensions() const { return wants_extensions_; }
  // Removes what is not wanted. Of a policy's verdict, `event_type` includes the direction, the kind of match and the
  // policies' names: Hubble's client prints these, but does not ask for them.
  void Apply(flow::Flow* flow) const;

 private:
  google::protobuf::FieldMask mask_;  // empty: all fields
  bool wants_extensions_ = true;
};

}  // namespace sluice::telemetry
