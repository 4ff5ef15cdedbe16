// What Hubble's flows have no field for, for their field `extensions`. Pure.
#pragma once

#include <google/protobuf/any.pb.h>

#include "api/sluice.pb.h"

namespace sluice::telemetry {

// A google.protobuf.Struct: a client that does not know the type of `extensions` cannot print the flow as JSON, and all
// know this one. Its fields are named as those of v1::Flow in JSON. `source` and `destination` are those of Hubble's
// flow. At most 32 arguments of a process, and 1,024 bytes of each.
google::protobuf::Any ToHubbleExtensions(const v1::Flow& flow);

}  // namespace sluice::telemetry
