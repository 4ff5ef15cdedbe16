#include "ctrl/api/service.h"

#include "ctrl/api/convert.h"
#include "ctrl/api/explain.h"
#include "ctrl/api/kinds.h"
#include "ctrl/api/resource_ids.h"
#include "ctrl/api/running_processes.h"
#include "ctrl/api/status.h"

namespace sluice::api {
namespace {

using namespace std::chrono_literals;

// How often a follower's thread looks whether its client is still there.
constexpr auto kCancelCheck = 200ms;

template <typename Message>
v1::Object ToObject(Message message, Message* (v1::Object::*member)()) {
  v1::Object object;
  *(object.*member)() = std::move(message);
  return object;
}

bool IsWanted(const policy::ResourceId& id, const v1::GetRequest& request, const KindSelection& selection) {
  return std::find(selection.kinds.begin(), selection.kinds.end(), id.kind) != selection.kinds.end() &&
         (request.name().empty() || request.name() == id.name.name) &&
         (request.namespace_().empty() || id.name.ns.empty() || request.namespace_() == id.name.ns);
}

}  // namespace

StatusOr<std::uint64_t> Service::Timed(const Change& change) {
  const auto begin = std::chrono::steady_clock::now();
  auto revision = change();
  sources_.telemetry->metrics().ObserveApply(std::chrono::steady_clock::now() - begin, revision.ok());
  return revision;
}

grpc::Status Service::Apply(grpc::ServerContext*, const v1::ApplyRequest* request, v1::ApplyReply* reply) {
  const auto before = sources_.controller->view();
  std::vector<policy::Resource> resources;
  const auto revision = Timed([&]() -> StatusOr<std::uint64_t> {
    SL_ASSIGN_OR_RETURN(resources, ParseDocuments(request->documents()));
    return sources_.controller->Apply(resources);
  });
  if (!revision.ok()) return ToGrpc(revision.status());
  reply->set_revision(*revision);
  for (v1::ResourceChange& change : ToChanges(before->resources, resources)) *reply->add_changes() = std::move(change);
  return grpc::Status::OK;
}

grpc::Status Service::Delete(grpc::ServerContext*, const v1::DeleteRequest* request, v1::DeleteReply* reply) {
  const auto before = sources_.controller->view();
  std::vector<policy::ResourceId> ids;
  const auto revision = Timed([&]() -> StatusOr<std::uint64_t> {
    SL_ASSIGN_OR_RETURN(ids, ParseTargets(*request, before->resources));
    return sources_.controller->Delete(ids);
  });
  if (!revision.ok()) return ToGrpc(revision.status());
  reply->set_revision(*revision);
  for (const policy::ResourceId& id : ids) {
    v1::ResourceChange& change = *reply->add_changes();
    *change.mutable_resource() = ToRef(id);
    change.set_change(v1::ResourceChange::REMOVED);
  }
  return grpc::Status::OK;
}

StatusOr<std::vector<v1::Object>> Service::ListFlows() const {
  v1::ObserveRequest live;
  live.mutable_filter()->set_type("flow");
  SL_ASSIGN_OR_RETURN(const auto events, telemetry::ReadEvents(sources_.datapath, &sources_.telemetry->assembler(),
                                                               telemetry::History(0), live));
  std::vector<v1::Object> objects;
  for (const auto& event : events) objects.push_back(ToObject(event->flow(), &v1::Object::mutable_flow));
  return objects;
}

StatusOr<std::vector<v1::Object>> Service::ListProcesses(const v1::GetRequest& request) const {
  const telemetry::ProcessSensor* sensor = sources_.telemetry->processes();
  if (sensor == nullptr) {
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     "this agent sees no processes: `sluice status` and its log say why");
  }
  std::vector<v1::Object> objects;
  for (auto& process : ToRunningProcesses(sensor->tree(), sensor->events(), request)) {
    objects.push_back(ToObject(std::move(process), &v1::Object::mutable_process));
  }
  return objects;
}

StatusOr<std::vector<v1::Object>> Service::List(const v1::GetRequest& request) const {
  SL_ASSIGN_OR_RETURN(const KindSelection selection, ParseKind(request.kind()));
  const auto view = sources_.controller->view();
  std::vector<v1::Object> objects;
  switch (selection.listing) {
    case Listing::kFlows:
      return ListFlows();
    case Listing::kProcesses:
      return ListProcesses(request);
    case Listing::kIdentities:
      for (auto& identity : ToIdentities(view->compiled)) {
        objects.push_back(ToObject(std::move(identity), &v1::Object::mutable_identity));
      }
      return objects;
    case Listing::kRulesets:
      for (const auto& [id, info] : view->compiled.rulesets) {
        objects.push_back(ToObject(ToRuleset(info), &v1::Object::mutable_ruleset));
      }
      return objects;
    case Listing::kResources:
      break;
  }
  SL_ASSIGN_OR_RETURN(const policy::Quarantine quarantine, sources_.controller->quarantine());
  for (const auto& [id, resource] : view->resources) {
    if (!IsWanted(id, request, selection)) continue;
    SL_ASSIGN_OR_RETURN(auto converted, ToResource(resource, *view, quarantine, request));
    objects.push_back(ToObject(std::move(converted), &v1::Object::mutable_resource));
  }
  return objects;
}

grpc::Status Service::Get(grpc::ServerContext*, const v1::GetRequest* request, grpc::ServerWriter<v1::Object>* writer) {
  const auto objects = List(*request);
  if (!objects.ok()) return ToGrpc(objects.status());
  for (const v1::Object& object : *objects) {
    if (!writer->Write(object)) break;  // the client has gone
  }
  return grpc::Status::OK;
}

grpc::Status Service::Explain(grpc::ServerContext*, const v1::ExplainRequest* request, v1::Explanation* reply) {
  const auto view = sources_.controller->view();
  const auto quarantine = sources_.controller->quarantine();
  if (!quarantine.ok()) return ToGrpc(quarantine.status());
  auto explanation = api::Explain(*view->compiled.snapshot, *quarantine, *request);
  if (!explanation.ok()) return ToGrpc(explanation.status());
  *reply = *std::move(explanation);
  reply->set_revision(view->revision);
  return grpc::Status::OK;
}

grpc::Status Service::Quarantine(grpc::ServerContext*, const v1::QuarantineRequest* request,
                                 v1::QuarantineReply* reply) {
  const policy::ObjectName name{request->namespace_(), request->name()};
  const auto revision = request->release() ? sources_.controller->Release(name) : sources_.controller->Quarantine(name);
  if (!revision.ok()) return ToGrpc(revision.status());
  reply->set_revision(*revision);
  return grpc::Status::OK;
}

grpc::Status Service::Observe(grpc::ServerContext* context, const v1::ObserveRequest* request,
                              grpc::ServerWriter<v1::Event>* writer) {
  telemetry::Telemetry& telemetry = *sources_.telemetry;
  std::unique_ptr<telemetry::Subscription> following;
  if (request->follow()) {
    auto subscribed = telemetry.hub().Subscribe(request->filter());
    if (!subscribed.ok()) return ToGrpc(subscribed.status());
    following = *std::move(subscribed);
    writer->SendInitialMetadata();
  }
  if (!following || request->last() != 0) {
    const auto past = telemetry::ReadEvents(sources_.datapath, &telemetry.assembler(), telemetry.history(), *request);
    if (!past.ok()) return ToGrpc(past.status());
    for (const auto& event : *past) {
      if (!writer->Write(*event)) return grpc::Status::OK;
    }
  }
  while (following && !context->IsCancelled()) {
    const telemetry::EventPtr event = following->Next(kCancelCheck);
    if (event && !writer->Write(*event)) break;
    if (!event && telemetry.hub().closed()) return {grpc::StatusCode::UNAVAILABLE, "the agent stops"};
  }
  return grpc::Status::OK;
}

grpc::Status Service::Status(grpc::ServerContext*, const v1::StatusRequest*, v1::AgentStatus* reply) {
  *reply = sources_.constants;
  const auto quarantine = sources_.controller->quarantine();
  if (!quarantine.ok()) return ToGrpc(quarantine.status());
  for (const policy::ObjectName& name : quarantine->workloads) {
    reply->mutable_quarantine()->add_workloads(name.ToString());
  }
  for (const policy::Prefix& peer : quarantine->allow) reply->mutable_quarantine()->add_allow(peer.ToString());
  return ToGrpc(AddNumbers(*sources_.controller->view(), *sources_.datapath, *sources_.telemetry, reply));
}

}  // namespace sluice::api
