// What a Server serves.
#pragma once

#include <grpcpp/impl/service_type.h>

#include <functional>
#include <vector>

#include "ctrl/api/calls.h"

namespace sluice::api {

struct Served {
  // Each method begins with Calls::Begin. They outlive the server, and get no calls from elsewhere.
  std::vector<grpc::Service*> services;
  // Gets what admits calls, before the first call; null after the last one.
  std::function<void(Calls* calls)> admit;
  Calls::RefusedChange refused;  // may be empty
};

}  // namespace sluice::api
