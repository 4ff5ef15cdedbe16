#include "ctrl/hubble/observer_service.h"

#include "api/grpc_status.h"
#include "ctrl/api/freed_memory.h"

namespace sluice::hubble {

using api::Call;
using api::CallKind;
using api::ToGrpc;

// Returns from a method whose caller may not call it, or not now.
#define SL_BEGIN_HUBBLE_CALL(call, context, kind)           \
  const StatusOr<Call> call = calls_->Begin(context, kind); \
  if (!call.ok()) return ToGrpc(call.status());             \
  if (const Status recording = sources_.record(); !recording.ok()) return ToGrpc(recording)

namespace {

CallKind KindOf(bool follows) { return follows ? CallKind::kFollow : CallKind::kRead; }

}  // namespace

// A follower whose client did not go away has to know that flows may be missing from now on.
grpc::Status ObserverService::EndOf(const grpc::ServerContext& context, bool follows) const {
  if (follows && !context.IsCancelled() && sources_.flows->ring().closed()) {
    return {grpc::StatusCode::UNAVAILABLE, "the agent stops"};
  }
  return grpc::Status::OK;
}

grpc::Status ObserverService::GetFlows(grpc::ServerContext* context, const observer::GetFlowsRequest* request,
                                       grpc::ServerWriter<observer::GetFlowsResponse>* writer) {
  SL_BEGIN_HUBBLE_CALL(call, context, KindOf(request->follow()));
  const auto query = telemetry::HubbleQuery::Make(*request);
  if (!query.ok()) return ToGrpc(query.status());
  const api::FreedMemory freed;
  if (query->follows()) writer->SendInitialMetadata();
  query->Run(
      *sources_.flows, sources_.complete,
      [&](const observer::GetFlowsResponse& response) { return call->Write(writer, response); },
      [&] { return context->IsCancelled(); });
  return EndOf(*context, query->follows());
}

grpc::Status ObserverService::GetAgentEvents(grpc::ServerContext* context,
                                             const observer::GetAgentEventsRequest* request,
                                             grpc::ServerWriter<observer::GetAgentEventsResponse>* writer) {
  SL_BEGIN_HUBBLE_CALL(call, context, KindOf(request->follow()));
  const auto window = telemetry::RingWindow::Make(*request);
  if (!window.ok()) return ToGrpc(window.status());
  if (window->follow) writer->SendInitialMetadata();
  sources_.agent_events->Read(
      *window, [&](const observer::GetAgentEventsResponse& response) { return call->Write(writer, response); },
      [&] { return context->IsCancelled(); });
  return EndOf(*context, window->follow);
}

grpc::Status ObserverService::GetDebugEvents(grpc::ServerContext* context,
                                             const observer::GetDebugEventsRequest* request,
                                             grpc::ServerWriter<observer::GetDebugEventsResponse>* writer) {
  SL_BEGIN_HUBBLE_CALL(call, context, KindOf(request->follow()));
  const auto window = telemetry::RingWindow::Make(*request);
  if (!window.ok()) return ToGrpc(window.status());
  if (!window->follow) return grpc::Status::OK;
  writer->SendInitialMetadata();
  const telemetry::EventRing<int> none({});
  telemetry::RingDelivery<int> nothing;
  // Ends with the agent, too.
  nothing.is_cancelled = [&] { return context->IsCancelled() || sources_.flows->ring().closed(); };
  telemetry::RingReader<int>(&none, *window, std::move(nothing)).Run();
  return EndOf(*context, true);
}

grpc::Status ObserverService::GetNodes(grpc::ServerContext* context, const observer::GetNodesRequest*,
                                       observer::GetNodesResponse* reply) {
  SL_BEGIN_HUBBLE_CALL(call, context, CallKind::kAnswer);
  const observer::ServerStatusResponse status = sources_.flows->Status();
  observer::Node& node = *reply->add_nodes();
  node = sources_.self;
  node.set_state(relay::NODE_CONNECTED);
  node.set_uptime_ns(status.uptime_ns());
  node.set_num_flows(status.num_flows());
  node.set_max_flows(status.max_flows());
  node.set_seen_flows(status.seen_flows());
  return grpc::Status::OK;
}

grpc::Status ObserverService::GetNamespaces(grpc::ServerContext* context, const observer::GetNamespacesRequest*,
                                            observer::GetNamespacesResponse* reply) {
  SL_BEGIN_HUBBLE_CALL(call, context, CallKind::kAnswer);
  *reply = sources_.flows->Namespaces();
  return grpc::Status::OK;
}

grpc::Status ObserverService::ServerStatus(grpc::ServerContext* context, const observer::ServerStatusRequest*,
                                           observer::ServerStatusResponse* reply) {
  SL_BEGIN_HUBBLE_CALL(call, context, CallKind::kAnswer);
  *reply = sources_.flows->Status();
  return grpc::Status::OK;
}

}  // namespace sluice::hubble
