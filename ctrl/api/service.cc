#include "ctrl/api/service.h"

#include "api/grpc_status.h"
#include "api/kinds.h"
#include "base/log.h"
#include "ctrl/api/convert.h"
#include "ctrl/api/links_of_change.h"
#include "ctrl/api/resource_ids.h"
#include "ctrl/api/running_processes.h"
#include "ctrl/api/status.h"
#include "ctrl/api/workload_programs.h"
#include "ctrl/explain/explain.h"
#include "telemetry/event/flow_text.h"
#include "telemetry/flow/event_reader.h"

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

// "created NetworkPolicy shop/db, removed Pod shop/x and 12 more".
std::string ChangeSummary(const google::protobuf::RepeatedPtrField<v1::ResourceChange>& changes) {
  constexpr int kNamed = 10;
  std::string text;
  for (int i = 0; i < std::min(changes.size(), kNamed); ++i) {
    const v1::ResourceChange& change = changes[i];
    std::string word = v1::ResourceChange::Change_Name(change.change());
    std::transform(word.begin(), word.end(), word.begin(), [](unsigned char c) { return std::tolower(c); });
    const v1::ResourceRef& ref = change.resource();
    text += fmt::format("{}{} {} {}", text.empty() ? "" : ", ", word, ref.kind(),
                        policy::ObjectName{ref.namespace_(), ref.name()}.ToString());
  }
  return changes.size() > kNamed ? fmt::format("{} and {} more", text, changes.size() - kNamed) : text;
}

void LogChange(const Caller& caller, const char* verb, const StatusOr<std::uint64_t>& revision,
               const std::string& what) {
  if (revision.ok()) {
    LogInfo("{}: {}: {}; revision {}", caller.name, verb, what, *revision);
  } else {
    LogWarn("{}: {}: {}{}refused: {}", caller.name, verb, what, what.empty() ? "" : "; ", Message(revision.status()));
  }
}

}  // namespace

// Returns from a method whose caller may not call it, or not now.
#define SL_BEGIN_CALL(call, context, ...)                                    \
  const StatusOr<Call> call = calls_->Begin(context, CallKind::__VA_ARGS__); \
  if (!call.ok()) return ToGrpc(call.status())

StatusOr<std::uint64_t> Service::Timed(const Change& change) {
  const auto begin = std::chrono::steady_clock::now();
  auto revision = change();
  sources_.telemetry->metrics().ObserveApply(std::chrono::steady_clock::now() - begin, revision.ok());
  return revision;
}

grpc::Status Service::Apply(grpc::ServerContext* context, const v1::ApplyRequest* request, v1::ApplyReply* reply) {
  SL_BEGIN_CALL(call, context, kChange, request->ByteSizeLong());
  const auto before = sources_.controller->view();
  ReadDocuments read;
  const auto revision = Timed([&]() -> StatusOr<std::uint64_t> {
    SL_ASSIGN_OR_RETURN(read, ParseDocuments(request->documents(), request->read()));
    return sources_.controller->Apply(read.resources);
  });
  if (revision.ok()) {
    reply->set_revision(*revision);
    for (v1::ResourceChange& change : ToChanges(before->resources, read.resources))
      *reply->add_changes() = std::move(change);
    TellLinks(read.resources, reply->mutable_links());
    reply->mutable_notices()->Assign(read.notices.begin(), read.notices.end());
  }
  LogChange(call->caller(), "apply", revision, ChangeSummary(reply->changes()));
  return ToGrpc(revision.status());
}

// After the change is in force: what it needs is known then, and nobody waits for it.
void Service::TellLinks(const std::vector<policy::Resource>& changed, explain::ProgramLinks* links) const {
  WorkloadPrograms programs(sources_.telemetry->processes());
  AddLinksOfChange(
      *sources_.controller->view(), changed,
      [&](const policy::ObjectName& workload, const std::string& path) { return programs.Find(workload, path); },
      links);
  for (const v1::ProgramLink& link : *links) LogWarn("{}", telemetry::LinkText(link));
}

void Service::LogLinks() const {
  const auto view = sources_.controller->view();
  std::vector<policy::Resource> workloads;
  for (const auto& [id, resource] : view->resources.of(policy::Kind::kWorkload)) workloads.push_back(resource);
  explain::ProgramLinks links;
  TellLinks(workloads, &links);
}

grpc::Status Service::Delete(grpc::ServerContext* context, const v1::DeleteRequest* request, v1::DeleteReply* reply) {
  SL_BEGIN_CALL(call, context, kChange, request->ByteSizeLong());
  const auto before = sources_.controller->view();
  Targets targets;
  const auto revision = Timed([&]() -> StatusOr<std::uint64_t> {
    SL_ASSIGN_OR_RETURN(targets, ParseTargets(*request, before->resources, before->unbound));
    return sources_.controller->Delete(targets.ids);
  });
  if (revision.ok()) {
    reply->set_revision(*revision);
    reply->mutable_notices()->Assign(targets.notices.begin(), targets.notices.end());
    for (const policy::ResourceId& id : targets.ids) {
      v1::ResourceChange& change = *reply->add_changes();
      *change.mutable_resource() = ToRef(id);
      change.set_change(v1::ResourceChange::REMOVED);
    }
  }
  LogChange(call->caller(), "delete", revision, ChangeSummary(reply->changes()));
  return ToGrpc(revision.status());
}

sluice::Status Service::ListFlows(const Emit& emit) const {
  return telemetry::ReadFlows(sources_.datapath, &sources_.telemetry->assembler(), [&](v1::Flow flow) {
    return emit(ToObject(std::move(flow), &v1::Object::mutable_flow));
  });
}

sluice::Status Service::ListProcesses(const v1::GetRequest& request, const Emit& emit) const {
  telemetry::ProcessSensor* sensor = sources_.telemetry->processes();
  if (sensor == nullptr) {
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     "this agent sees no processes: `sluice status` and its log say why");
  }
  sensor->Refresh();
  ListRunningProcesses(sensor->tree(), sensor->events(), request, [&](v1::RunningProcess process) {
    return emit(ToObject(std::move(process), &v1::Object::mutable_process));
  });
  return OkStatus();
}

sluice::Status Service::ListResources(const v1::GetRequest& request, const KindSelection& selection,
                                      const Emit& emit) const {
  const auto view = sources_.controller->view();
  SL_ASSIGN_OR_RETURN(const policy::Quarantine quarantine, sources_.controller->quarantine());
  for (const auto& [id, resource] : view->resources) {
    if (!IsWanted(id, request, selection)) continue;
    SL_ASSIGN_OR_RETURN(auto converted, ToResource(resource, *view, quarantine, request));
    if (!emit(ToObject(std::move(converted), &v1::Object::mutable_resource))) break;
  }
  return OkStatus();
}

sluice::Status Service::List(const v1::GetRequest& request, const Emit& emit) const {
  SL_ASSIGN_OR_RETURN(const KindSelection selection, ParseKind(request.kind()));
  const auto view = sources_.controller->view();
  switch (selection.listing) {
    case Listing::kFlows:
      return ListFlows(emit);
    case Listing::kProcesses:
      return ListProcesses(request, emit);
    case Listing::kIdentities:
      for (auto& identity : ToIdentities(view->compiled)) {
        if (!emit(ToObject(std::move(identity), &v1::Object::mutable_identity))) break;
      }
      return OkStatus();
    case Listing::kRulesets:
      for (const auto& [id, info] : view->compiled.rulesets) {
        if (!emit(ToObject(ToRuleset(info), &v1::Object::mutable_ruleset))) break;
      }
      return OkStatus();
    case Listing::kResources:
      break;
  }
  return ListResources(request, selection, emit);
}

grpc::Status Service::Get(grpc::ServerContext* context, const v1::GetRequest* request,
                          grpc::ServerWriter<v1::Object>* writer) {
  SL_BEGIN_CALL(call, context, kRead);
  return ToGrpc(List(*request, [&](const v1::Object& object) { return call->Write(writer, object); }));
}

grpc::Status Service::Explain(grpc::ServerContext* context, const v1::ExplainRequest* request, v1::Explanation* reply) {
  SL_BEGIN_CALL(call, context, kAnswer);
  const auto view = sources_.controller->view();
  const auto quarantine = sources_.controller->quarantine();
  if (!quarantine.ok()) return ToGrpc(quarantine.status());
  WorkloadPrograms programs(sources_.telemetry->processes());
  auto explanation = explain::Explain(
      *view->compiled.snapshot, *quarantine, *request,
      [&](const policy::ObjectName& workload, const std::string& path) { return programs.Find(workload, path); });
  if (!explanation.ok()) return ToGrpc(explanation.status());
  *reply = *std::move(explanation);
  reply->set_revision(view->revision);
  return grpc::Status::OK;
}

grpc::Status Service::Quarantine(grpc::ServerContext* context, const v1::QuarantineRequest* request,
                                 v1::QuarantineReply* reply) {
  SL_BEGIN_CALL(call, context, kQuarantine);
  const policy::ObjectName name{request->namespace_(), request->name()};
  const auto revision = request->release() ? sources_.controller->Release(name)
                                           : sources_.controller->Quarantine(name, reply->mutable_unsaved());
  LogChange(call->caller(), request->release() ? "release from quarantine" : "quarantine", revision, name.ToString());
  if (revision.ok()) reply->set_revision(*revision);
  return ToGrpc(revision.status());
}

grpc::Status Service::Observe(grpc::ServerContext* context, const v1::ObserveRequest* request,
                              grpc::ServerWriter<v1::Event>* writer) {
  const StatusOr<Call> call = calls_->Begin(context, request->follow() ? CallKind::kFollow : CallKind::kRead);
  if (!call.ok()) return ToGrpc(call.status());
  telemetry::Telemetry& telemetry = *sources_.telemetry;
  std::unique_ptr<telemetry::Subscription> following;
  if (request->follow()) {
    auto subscribed = telemetry.hub().Subscribe(request->filter());
    if (!subscribed.ok()) return ToGrpc(subscribed.status());
    following = *std::move(subscribed);
    writer->SendInitialMetadata();
  }
  if (!following || request->last() != 0) {
    std::optional<StatusOr<Call>> large;  // its end is that of the reading, the follower goes on
    if (telemetry::IsLargeRead(*request)) {
      large.emplace(calls_->Begin(context, CallKind::kLarge));
      if (!large->ok()) return ToGrpc(large->status());
    }
    const sluice::Status read =
        telemetry::ReadEvents(sources_.datapath, &telemetry.assembler(), telemetry.history(), *request,
                              [&](const v1::Event& event) { return call->Write(writer, event); });
    if (!read.ok()) return ToGrpc(read);
  }
  while (following && !context->IsCancelled()) {
    const telemetry::EventPtr event = following->Next(kCancelCheck);
    if (event && !call->Write(writer, *event)) break;
    if (!event && telemetry.hub().closed()) return {grpc::StatusCode::UNAVAILABLE, "the agent stops"};
  }
  return grpc::Status::OK;
}

grpc::Status Service::Status(grpc::ServerContext* context, const v1::StatusRequest*, v1::AgentStatus* reply) {
  SL_BEGIN_CALL(call, context, kAnswer);
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
