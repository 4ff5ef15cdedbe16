#include "ctrl/hubble/peer_service.h"

#include <chrono>
#include <thread>

#include "api/grpc_status.h"

namespace sluice::hubble {
namespace {

using namespace std::chrono_literals;

// How often a call looks whether its client has gone.
constexpr auto kLookAgain = 200ms;

}  // namespace

grpc::Status PeerService::Notify(grpc::ServerContext* context, const peer::NotifyRequest*,
                                 grpc::ServerWriter<peer::ChangeNotification>* writer) {
  const StatusOr<api::Call> call = calls_->Begin(context, api::CallKind::kFollow);
  if (!call.ok()) return api::ToGrpc(call.status());
  for (const peer::ChangeNotification& one : peers_) {
    if (!call->Write(writer, one)) return grpc::Status::OK;
  }
  // A relay takes the end of the stream for a failure, and asks again.
  while (!context->IsCancelled() && !stopping_) std::this_thread::sleep_for(kLookAgain);
  return stopping_ ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "the agent stops") : grpc::Status::OK;
}

}  // namespace sluice::hubble
