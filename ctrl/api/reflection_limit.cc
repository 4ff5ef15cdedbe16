#include "ctrl/api/reflection_limit.h"

#include <grpcpp/server_context.h>

#include <string_view>

namespace sluice::api {
namespace {

using namespace grpc::experimental;  // NOLINT(google-build-using-namespace): all of gRPC's interception is there

class Counted final : public Interceptor {
 public:
  Counted(ServerRpcInfo* info, std::shared_ptr<std::atomic<int>> open) : info_(info), open_(std::move(open)) {
    too_many_ = ++*open_ > ReflectionLimit::kStreams;
  }
  ~Counted() override { --*open_; }

  void Intercept(InterceptorBatchMethods* methods) override {
    if (too_many_ && methods->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_INITIAL_METADATA)) {
      info_->server_context()->TryCancel();
    }
    methods->Proceed();
  }

 private:
  ServerRpcInfo* const info_;
  const std::shared_ptr<std::atomic<int>> open_;
  bool too_many_ = false;
};

}  // namespace

Interceptor* ReflectionLimit::CreateServerInterceptor(ServerRpcInfo* info) {
  const bool reflection = std::string_view(info->method()).starts_with("/grpc.reflection.");
  return reflection ? new Counted(info, open_) : nullptr;  // gRPC owns it
}

}  // namespace sluice::api
