// GetEvents: what happens from now on.
#include <chrono>

#include "api/grpc_status.h"
#include "ctrl/tetra/service.h"
#include "telemetry/event/event_owner.h"
#include "telemetry/tetragon/field_filter.h"
#include "telemetry/tetragon/stream_filter.h"
#include "telemetry/tetragon/tetragon_event.h"
#include "telemetry/tetragon/tetragon_process.h"

namespace sluice::tetra {
namespace {

using namespace std::chrono_literals;
using telemetry::StreamFilter;
using telemetry::TetragonEvent;

// How often a follower's thread checks whether its client has gone.
constexpr auto kCancelCheck = 200ms;

// What cannot match is not even queued.
StatusOr<telemetry::EventFilter> HubFilter(const std::set<tetragon::EventType>& types) {
  v1::ObserveRequest::Filter filter;
  const auto wants = [&](std::initializer_list<tetragon::EventType> some) {
    return types.empty() ||
           std::any_of(some.begin(), some.end(), [&](tetragon::EventType type) { return types.contains(type); });
  };
  if (wants({tetragon::PROCESS_EXEC})) filter.add_types("exec");
  if (wants({tetragon::PROCESS_EXIT})) filter.add_types("exit");
  // Also a request for losses, or for what never comes: without a type it would be for all.
  if (wants({tetragon::PROCESS_KPROBE, tetragon::PROCESS_TRACEPOINT, tetragon::PROCESS_LOADER, tetragon::PROCESS_UPROBE,
             tetragon::PROCESS_LSM, tetragon::PROCESS_USDT}) ||
      filter.types_size() == 0)
    filter.add_types("hook");
  return telemetry::EventFilter::Make(filter);
}

// The labels of a pod are those of its workload.
void AddLabels(const policy::ResourceMap& resources, tetragon::Pod* pod) {
  const auto workload = resources.find({policy::Kind::kWorkload, {.ns = pod->namespace_(), .name = pod->name()}});
  if (workload == resources.end()) return;
  for (const auto& [name, value] : workload->second.workload->labels) (*pod->mutable_pod_labels())[name] = value;
}

std::optional<TetragonEvent> Convert(const v1::Event& event, const reconcile::Controller& controller) {
  auto message = telemetry::ToTetragon(event);
  if (!message) return std::nullopt;
  TetragonEvent converted{.message = *std::move(message), .ancestors = {}};
  const v1::Process* const from = telemetry::ProcessOf(event);
  tetragon::Process* const process = telemetry::MutableProcessOf(&converted.message);
  if (from == nullptr || process == nullptr) return converted;
  // The first one is the parent.
  if (from->ancestors_size() > 1) converted.ancestors.assign(from->ancestors().begin() + 1, from->ancestors().end());
  telemetry::FillTetragonCapabilities(*from, process);
  if (process->has_pod()) AddLabels(controller.view()->resources, process->mutable_pod());
  return converted;
}

}  // namespace

grpc::Status Service::GetEvents(Context* context, const tetragon::GetEventsRequest* request,
                                Writer<tetragon::GetEventsResponse>* writer) {
  const StatusOr<api::Call> call = calls_->Begin(context, api::CallKind::kFollow);
  if (!call.ok()) return api::ToGrpc(call.status());
  auto filter = StreamFilter::Make(*request);
  if (!filter.ok()) return api::ToGrpc(filter.status());
  const auto fields = telemetry::FieldFilters::Make(request->field_filters());
  if (!fields.ok()) return api::ToGrpc(fields.status());
  auto hub_filter = HubFilter(filter->types());
  if (!hub_filter.ok()) return api::ToGrpc(hub_filter.status());
  telemetry::EventHub& hub = sources_.telemetry->hub();
  const auto following = hub.Subscribe(*std::move(hub_filter), /*with_parents=*/true);
  if (!following.ok()) return api::ToGrpc(following.status());
  writer->SendInitialMetadata();
  while (!context->IsCancelled()) {
    const telemetry::EventPtr event = (*following)->Next(kCancelCheck);
    if (!event) {
      if (hub.closed()) return {grpc::StatusCode::UNAVAILABLE, "the agent stops"};
      continue;
    }
    if (event->has_lost() && !filter->wants_losses()) continue;
    auto converted = Convert(*event, *sources_.controller);
    if (!converted || !filter->Matches(*converted)) continue;
    fields->Trim(&converted->message);
    if (!call->Write(writer, converted->message)) break;
  }
  return grpc::Status::OK;
}

}  // namespace sluice::tetra
