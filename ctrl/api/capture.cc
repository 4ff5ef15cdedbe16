// Capture: a workload's packets, from before the call and from then on.
#include <thread>

#include "api/grpc_status.h"
#include "api/observe_metadata.h"
#include "base/log.h"
#include "ctrl/api/freed_memory.h"
#include "ctrl/api/service.h"

namespace sluice::api {
namespace {

using namespace std::chrono_literals;

// Between two looks at the rings.
constexpr auto kPoll = 50ms;

std::chrono::nanoseconds ToNanoseconds(const google::protobuf::Duration& duration) {
  return std::chrono::seconds(duration.seconds()) + std::chrono::nanoseconds(duration.nanos());
}

StatusOr<telemetry::FollowOptions> OptionsOf(const v1::CaptureRequest& request) {
  constexpr std::int64_t kLongest = 365 * 86400;
  for (const auto* const duration : {&request.before(), &request.after()}) {
    if (duration->seconds() < 0 || duration->nanos() < 0 || duration->seconds() > kLongest)
      return InvalidError("capture: before and after must be from 0 to {} seconds", kLongest);
  }
  v1::ObserveRequest observed;
  *observed.mutable_filter() = request.filter();
  *observed.mutable_except() = request.except();
  telemetry::FollowOptions options{.snaplen = request.snaplen()};
  SL_ASSIGN_OR_RETURN(options.filter, telemetry::EventFilter::Make(observed));
  if (request.has_before()) options.before = ToNanoseconds(request.before());
  return options;
}

}  // namespace

// Packets may hold secrets, and keeping them uses the kernel's memory.
grpc::Status Service::Capture(grpc::ServerContext* context, const v1::CaptureRequest* request,
                              grpc::ServerWriter<v1::CaptureReply>* writer) {
  const StatusOr<Call> call = calls_->Begin(context, CallKind::kFollow);
  if (!call.ok()) return ToGrpc(call.status());
  if (call->caller().right < Right::kChange) {
    const std::string why = call->caller().name + " may not capture packets here, as it may not change anything";
    calls_->Count(Refusal::kCallRight);
    calls_->ReportRefused("capture", call->caller(), why);
    return {grpc::StatusCode::PERMISSION_DENIED, why};
  }
  if (sources_.captures == nullptr) return {grpc::StatusCode::FAILED_PRECONDITION, "this agent keeps no packets"};
  auto options = OptionsOf(*request);
  if (!options.ok()) return ToGrpc(options.status());
  std::vector<policy::ObjectName> workloads;
  if (!request->namespace_().empty() || !request->name().empty())
    workloads.push_back({request->namespace_(), request->name()});
  auto stream = sources_.captures->Follow(workloads, *std::move(options));
  if (!stream.ok()) return ToGrpc(stream.status());
  LogInfo("{} captures packets of {}", call->caller().name,
          workloads.empty() ? "all workloads whose packets are kept" : workloads[0].ToString());
  telemetry::Telemetry& telemetry = *sources_.telemetry;
  context->AddInitialMetadata(kNodeKey, telemetry.assembler().node());
  writer->SendInitialMetadata();
  const auto end = std::chrono::steady_clock::now() + ToNanoseconds(request->after());
  const auto pass_on = [&](v1::CaptureReply&& reply) { return call->Write(writer, reply); };
  bool caught_up = false;
  while (!context->IsCancelled()) {
    // Before the read, so that what came until the end is in it.
    const bool last = request->has_after() && std::chrono::steady_clock::now() >= end;
    {
      const FreedMemory freed;
      if (!(*stream)->Read(pass_on)) break;
    }
    if (!std::exchange(caught_up, true)) {
      v1::CaptureReply reply;
      reply.set_caught_up(true);
      if (!call->Write(writer, reply)) break;
    }
    if (last) break;
    if (telemetry.hub().closed()) return {grpc::StatusCode::UNAVAILABLE, "the agent stops"};
    std::this_thread::sleep_for(kPoll);
  }
  return grpc::Status::OK;
}

}  // namespace sluice::api
