// An error as both ends of the API know it. Codes are the same numbers; the message is ours.
#pragma once

#include <grpcpp/support/status.h>

#include "base/status.h"

namespace sluice::api {

grpc::Status ToGrpc(const Status& status);
Status FromGrpc(const grpc::Status& status);

}  // namespace sluice::api
