// Record: events of system calls as the detection rules see them.
#include "api/grpc_status.h"
#include "api/observe_metadata.h"
#include "ctrl/api/service.h"

namespace sluice::api {
namespace {

using namespace std::chrono_literals;

// How often a recorder's thread checks whether its client has gone.
constexpr auto kRecordCheck = 200ms;

StatusOr<policy::rules::EventSet> TypesOf(const v1::RecordRequest& request) {
  policy::rules::EventSet types;
  for (const std::string& name : request.types()) {
    const auto type = policy::rules::FindEventType(name);
    if (!type) return InvalidError("{}: there is no such type of events", name);
    types.set(*type);
  }
  return types;
}

}  // namespace

grpc::Status Service::Record(grpc::ServerContext* context, const v1::RecordRequest* request,
                             grpc::ServerWriter<v1::EventRecords>* writer) {
  const StatusOr<Call> call = calls_->Begin(context, CallKind::kFollow);
  if (!call.ok()) return ToGrpc(call.status());
  const auto types = TypesOf(*request);
  if (!types.ok()) return ToGrpc(types.status());
  if (!sources_.record)
    return ToGrpc(MakeError(absl::StatusCode::kFailedPrecondition, "there are no sensors of system calls"));
  const auto recording = sources_.record(*types, {request->namespace_(), request->workload()});
  if (!recording.ok()) return ToGrpc(recording.status());
  context->AddInitialMetadata(kNodeKey, sources_.telemetry->assembler().node());
  writer->SendInitialMetadata();
  while (!context->IsCancelled()) {
    telemetry::EventRecording::Batch batch = (*recording)->Next(kRecordCheck);
    if (batch.records.empty() && batch.lost == 0) {
      if (sources_.telemetry->hub().closed()) return {grpc::StatusCode::UNAVAILABLE, "the agent stops"};
      continue;
    }
    v1::EventRecords message;
    message.set_lost(batch.lost);
    for (std::string& record : batch.records) message.add_records(std::move(record));
    if (!call->Write(writer, message)) break;
  }
  return grpc::Status::OK;
}

}  // namespace sluice::api
