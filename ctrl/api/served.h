// What a Server serves.
#pragma once

#include <grpcpp/impl/service_type.h>

#include <functional>
#include <string>
#include <vector>

#include "ctrl/api/calls.h"

namespace sluice::api {

struct Served {
  // Each method begins with Calls::Begin. They outlive the server, and get no calls from elsewhere.
  std::vector<grpc::Service*> services;
  // Gets what admits calls, before the first call; null after the last one.
  std::function<void(Calls* calls)> admit;
  Calls::RefusedChange refused;  // may be empty
  // Names that the health service also knows: a client may ask for another one than its service's.
  std::vector<std::string> health = {};
};

}  // namespace sluice::api
