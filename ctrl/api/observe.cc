// Observe: past events, and what happens from now on.
#include "api/grpc_status.h"
#include "api/observe_metadata.h"
#include "ctrl/api/freed_memory.h"
#include "ctrl/api/service.h"
#include "ctrl/api/unknown_names.h"
#include "telemetry/flow/event_reader.h"
#include "telemetry/process/past_parents.h"

namespace sluice::api {
namespace {

using namespace std::chrono_literals;

// How often a follower's thread checks whether its client has gone or its time is over.
constexpr auto kCancelCheck = 200ms;

bool IsOver(const v1::ObserveRequest& request) {
  if (!request.has_until()) return false;
  const auto now =
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch());
  const auto until =
      std::chrono::seconds(request.until().seconds()) + std::chrono::nanoseconds(request.until().nanos());
  return now > until;
}

}  // namespace

grpc::Status Service::Observe(grpc::ServerContext* context, const v1::ObserveRequest* request,
                              grpc::ServerWriter<v1::Event>* writer) {
  const StatusOr<Call> call = calls_->Begin(context, request->follow() ? CallKind::kFollow : CallKind::kRead);
  if (!call.ok()) return ToGrpc(call.status());
  const auto filter = telemetry::EventFilter::Make(*request);
  if (!filter.ok()) return ToGrpc(filter.status());
  telemetry::Telemetry& telemetry = *sources_.telemetry;
  context->AddInitialMetadata(kNodeKey, telemetry.assembler().node());
  for (const std::string& line : TellUnknownNames(*sources_.controller->view(), filter->Names())) {
    context->AddInitialMetadata(kNoticeKey, line);
  }
  std::unique_ptr<telemetry::Subscription> following;
  if (request->follow()) {
    auto subscribed = telemetry.hub().Subscribe(*filter, request->with_parents());
    if (!subscribed.ok()) return ToGrpc(subscribed.status());
    following = *std::move(subscribed);
    writer->SendInitialMetadata();
  }
  if (!following || request->last() != 0 || request->has_since()) {
    const auto* const processes = telemetry.processes();
    std::optional<telemetry::PastParents> parents;
    if (request->with_parents() && processes != nullptr) parents.emplace(&processes->tree(), &processes->events());
    const sluice::Status read = ReadPast(context, *request, *filter, [&](const v1::Event& event) {
      return call->Write(writer, parents ? parents->Complete(event) : event);
    });
    if (!read.ok()) return ToGrpc(read);
  }
  while (following && !context->IsCancelled() && !IsOver(*request)) {
    const telemetry::EventPtr event = following->Next(kCancelCheck);
    if (event && !call->Write(writer, *event)) break;
    if (!event && telemetry.hub().closed()) return {grpc::StatusCode::UNAVAILABLE, "the agent stops"};
  }
  return grpc::Status::OK;
}

sluice::Status Service::ReadPast(grpc::ServerContext* context, const v1::ObserveRequest& request,
                                 const telemetry::EventFilter& filter,
                                 const std::function<bool(const v1::Event&)>& consume) {
  const FreedMemory freed;
  std::optional<StatusOr<Call>> large;  // ends with the read, also for a follower
  if (telemetry::IsLargeRead(filter, request.last())) {
    large.emplace(calls_->Begin(context, CallKind::kLarge));
    if (!large->ok()) return large->status();
  }
  telemetry::Telemetry& telemetry = *sources_.telemetry;
  return telemetry::ReadEvents(sources_.datapath, &telemetry.assembler(), telemetry.history(), filter, request.last(),
                               consume);
}

}  // namespace sluice::api
