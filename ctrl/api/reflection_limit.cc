#include "ctrl/api/reflection_limit.h"

#include <string_view>

namespace sluice::api {
namespace {

using namespace grpc::experimental;  // NOLINT(google-build-using-namespace): all of gRPC's interception is there

class Counted final : public Interceptor {
 public:
  Counted(ServerRpcInfo* info, Calls* calls) : info_(info), calls_(calls) {}

  // Only at this hook point is the caller known.
  void Intercept(InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_INITIAL_METADATA)) {
      auto call = calls_->Begin(info_->server_context(), CallKind::kReflection);
      if (call.ok()) {
        call_.emplace(*std::move(call));
      } else {
        info_->server_context()->TryCancel();
      }
    }
    methods->Proceed();
  }

 private:
  ServerRpcInfo* const info_;
  Calls* const calls_;
  std::optional<Call> call_;
};

}  // namespace

Interceptor* ReflectionLimit::CreateServerInterceptor(ServerRpcInfo* info) {
  const bool reflection = std::string_view(info->method()).starts_with("/grpc.reflection.");
  return reflection ? new Counted(info, calls_) : nullptr;  // gRPC owns it
}

}  // namespace sluice::api
