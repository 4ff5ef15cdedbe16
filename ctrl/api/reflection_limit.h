// Applies the call limits to streams of gRPC's own reflection service: each occupies a thread for as long as its client
// likes.
#pragma once

#include <grpcpp/support/server_interceptor.h>

#include "ctrl/api/calls.h"

namespace sluice::api {

class ReflectionLimit final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  // `calls` outlives the server.
  explicit ReflectionLimit(Calls* calls) : calls_(calls) {}
  grpc::experimental::Interceptor* CreateServerInterceptor(grpc::experimental::ServerRpcInfo* info) override;

 private:
  Calls* const calls_;
};

}  // namespace sluice::api
