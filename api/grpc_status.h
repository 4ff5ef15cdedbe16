// Converts errors between the agent's Status and gRPC's. Codes are the same numbers; the message is kept.
#pragma once

#include <grpcpp/support/status.h>

#include "base/status.h"

namespace sluice::api {

grpc::Status ToGrpc(const Status& status);
Status FromGrpc(const grpc::Status& status);

}  // namespace sluice::api
