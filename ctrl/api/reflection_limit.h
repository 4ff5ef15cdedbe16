// Bounds the streams of gRPC's own reflection service, each of which takes a thread for as long as its client likes.
#pragma once

#include <grpcpp/support/server_interceptor.h>

#include <atomic>

namespace sluice::api {

class ReflectionLimit final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  static constexpr int kStreams = 8;
  grpc::experimental::Interceptor* CreateServerInterceptor(grpc::experimental::ServerRpcInfo* info) override;

 private:
  std::shared_ptr<std::atomic<int>> open_ = std::make_shared<std::atomic<int>>(0);
};

}  // namespace sluice::api
