#include "ctrl/api/service.h"

#include "api/grpc_status.h"
#include "api/kinds.h"
#include "base/log.h"
#include "ctrl/api/changes.h"
#include "ctrl/api/convert.h"
#include "ctrl/api/freed_memory.h"
#include "ctrl/api/links_of_change.h"
#include "ctrl/api/resource_ids.h"
#include "ctrl/api/running_processes.h"
#include "ctrl/api/status.h"
#include "ctrl/api/workload_programs.h"
#include "ctrl/explain/explain.h"
#include "ctrl/explain/operation.h"
#include "telemetry/event/flow_text.h"
#include "telemetry/flow/event_reader.h"

namespace sluice::api {
namespace {

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

const char* ActionOf(const v1::QuarantineRequest& request) { return request.release() ? "release" : "quarantine"; }

}  // namespace

// Returns from a method whose caller may not call it, or not now.
#define SL_BEGIN_CALL(call, context, ...)                                    \
  const StatusOr<Call> call = calls_->Begin(context, CallKind::__VA_ARGS__); \
  if (!call.ok()) return ToGrpc(call.status())

Served Service::served() {
  return {.services = {this, &web_},
          .admit = [this](Calls* calls) { calls_ = calls; },
          .refused =
              [this](const char* action, const Caller& caller, const std::string& why) {
                teller_.Tell(action, caller.name, MakeError(absl::StatusCode::kPermissionDenied, "{}", why), {});
              }};
}

StatusOr<std::uint64_t> Service::Timed(const Change& change) {
  const auto begin = std::chrono::steady_clock::now();
  auto revision = change();
  sources_.telemetry->metrics().ObserveApply(std::chrono::steady_clock::now() - begin, revision.ok());
  return revision;
}

grpc::Status Service::Apply(grpc::ServerContext* context, const v1::ApplyRequest* request, v1::ApplyReply* reply) {
  SL_BEGIN_CALL(call, context, kChange, {.action = "apply", .bytes = request->ByteSizeLong()});
  const auto before = sources_.controller->view();
  ReadDocuments read;
  const auto change = [&]() -> StatusOr<std::uint64_t> {
    SL_ASSIGN_OR_RETURN(read, ParseDocuments(request->documents(), request->read()));
    auto revision =
        request->dry_run() ? sources_.controller->Try(read.resources, {}) : sources_.controller->Apply(read.resources);
    return revision.ok() ? std::move(revision) : InItsFile(revision.status(), read);
  };
  const auto revision = request->dry_run() ? change() : Timed(change);
  const std::vector<v1::ResourceChange> changes = ToChanges(*before, read.resources);
  if (revision.ok()) {
    reply->set_revision(*revision);
    reply->mutable_changes()->Assign(changes.begin(), changes.end());
    if (!request->dry_run()) TellLinks(read.resources, reply->mutable_links());
    reply->mutable_notices()->Assign(read.notices.begin(), read.notices.end());
  }
  if (!request->dry_run()) teller_.Tell("apply", call->caller().name, revision, changes);
  return ToGrpc(revision.status());
}

// After the change is in force: all that it needs is known then, and no other change waits for it.
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
  SL_BEGIN_CALL(call, context, kChange, {.action = "delete", .bytes = request->ByteSizeLong()});
  using Missing = reconcile::Missing;
  const Missing missing = request->ignore_not_found() ? Missing::kIgnored : Missing::kRefused;
  const auto before = sources_.controller->view();
  Targets targets;
  const auto change = [&]() -> StatusOr<std::uint64_t> {
    SL_ASSIGN_OR_RETURN(targets, ParseTargets(*request, *before));
    if (targets.ids.empty()) return before->revision;
    if (request->dry_run()) return sources_.controller->Try({}, targets.ids, missing);
    return sources_.controller->Delete(targets.ids, missing);
  };
  const auto revision = request->dry_run() ? change() : Timed(change);
  const std::vector<v1::ResourceChange> changes = ToRemovals(*before, targets.ids, missing);
  if (revision.ok()) {
    reply->set_revision(*revision);
    reply->mutable_changes()->Assign(changes.begin(), changes.end());
    reply->mutable_notices()->Assign(targets.notices.begin(), targets.notices.end());
  }
  const bool is_about_nothing = revision.ok() && changes.empty();
  if (!request->dry_run() && !is_about_nothing) teller_.Tell("delete", call->caller().name, revision, changes);
  return ToGrpc(revision.status());
}

sluice::Status Service::ListFlows(const v1::GetRequest& request, const Emit& emit) const {
  const FreedMemory freed;
  return telemetry::ReadFlows(sources_.datapath, &sources_.telemetry->assembler(), request.limit(), [&](v1::Flow flow) {
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
  const auto is_one_of = [&](const auto& kinds) {
    return std::find(kinds.begin(), kinds.end(), selection.kinds.front()) != kinds.end();
  };
  const bool has_hooks = sources_.hooks != nullptr && is_one_of(policy::kTracingKinds);
  const hooks::PolicyReports hook_policies = has_hooks ? sources_.hooks->reports() : hooks::PolicyReports();
  const bool has_lsm = sources_.lsm != nullptr && is_one_of(policy::kKubeArmorKinds);
  const lsm::LsmReports lsm_policies = has_lsm ? sources_.lsm->reports() : lsm::LsmReports();
  const bool has_responses = sources_.responder != nullptr && selection.kinds.front() == policy::Kind::kResponse;
  const respond::Reports responses = has_responses ? sources_.responder->reports() : respond::Reports();
  for (const auto& [id, resource] : view->resources) {
    if (!IsWanted(id, request, selection)) continue;
    SL_ASSIGN_OR_RETURN(auto converted,
                        ToResource(resource, {*view, quarantine, hook_policies, lsm_policies, responses}, request));
    if (!emit(ToObject(std::move(converted), &v1::Object::mutable_resource))) break;
  }
  return OkStatus();
}

sluice::Status Service::List(const v1::GetRequest& request, const Emit& emit) const {
  SL_ASSIGN_OR_RETURN(const KindSelection selection, ParseKind(request.kind()));
  const auto view = sources_.controller->view();
  switch (selection.listing) {
    case Listing::kFlows:
      return ListFlows(request, emit);
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

StatusOr<v1::Explanation> Service::ExplainFlow(const v1::ExplainRequest& request) const {
  const auto view = sources_.controller->view();
  SL_ASSIGN_OR_RETURN(const policy::Quarantine quarantine, sources_.controller->quarantine());
  WorkloadPrograms programs(sources_.telemetry->processes());
  SL_ASSIGN_OR_RETURN(v1::Explanation explanation,
                      explain::Explain(*view->compiled.snapshot, quarantine, request,
                                       [&](const policy::ObjectName& workload, const std::string& path) {
                                         return programs.Find(workload, path);
                                       }));
  explanation.set_revision(view->revision);
  return explanation;
}

StatusOr<web::Suggestions> Service::SuggestPolicies(const v1::ExplainRequest& request) const {
  const auto view = sources_.controller->view();
  SL_ASSIGN_OR_RETURN(const policy::Quarantine quarantine, sources_.controller->quarantine());
  WorkloadPrograms programs(sources_.telemetry->processes());
  return explain::Suggest(
      *view->compiled.snapshot, quarantine, request,
      [&](const policy::ObjectName& workload, const std::string& path) { return programs.Find(workload, path); });
}

grpc::Status Service::WebService::Suggest(grpc::ServerContext* context, const v1::ExplainRequest* request,
                                          web::Suggestions* reply) {
  const StatusOr<Call> call = service_->calls_->Begin(context, CallKind::kAnswer);
  if (!call.ok()) return ToGrpc(call.status());
  auto suggestions = service_->SuggestPolicies(*request);
  if (!suggestions.ok()) return ToGrpc(suggestions.status());
  *reply = *std::move(suggestions);
  return grpc::Status::OK;
}

grpc::Status Service::Explain(grpc::ServerContext* context, const v1::ExplainRequest* request, v1::Explanation* reply) {
  SL_BEGIN_CALL(call, context, kAnswer);
  auto explanation = ExplainFlow(*request);
  if (!explanation.ok()) return ToGrpc(explanation.status());
  *reply = *std::move(explanation);
  return grpc::Status::OK;
}

grpc::Status Service::ExplainOperation(grpc::ServerContext* context, const v1::ExplainOperationRequest* request,
                                       v1::OperationExplanation* reply) {
  SL_BEGIN_CALL(call, context, kAnswer);
  const auto view = sources_.controller->view();
  WorkloadPrograms programs(sources_.telemetry->processes());
  auto explanation = explain::ExplainOperation(
      view->resources,
      {.name = sources_.constants.node(),
       .labels = sources_.lsm != nullptr ? sources_.lsm->node().labels : std::nullopt},
      *request,
      [&](const policy::ObjectName& workload, const std::string& path) { return programs.Find(workload, path); });
  if (!explanation.ok()) return ToGrpc(explanation.status());
  *reply = *std::move(explanation);
  reply->set_revision(view->revision);
  return grpc::Status::OK;
}

StatusOr<v1::QuarantineReply> Service::SetQuarantine(const v1::QuarantineRequest& request, const std::string& caller) {
  v1::QuarantineReply reply;
  const policy::ObjectName name{request.namespace_(), request.name()};
  const auto revision = request.release() ? sources_.controller->Release(name)
                                          : sources_.controller->Quarantine(name, reply.mutable_unsaved());
  v1::ResourceChange about;
  *about.mutable_resource() = ToRef({policy::Kind::kWorkload, name});
  teller_.Tell(ActionOf(request), caller, revision, {about});
  SL_RETURN_IF_ERROR(revision.status());
  reply.set_revision(*revision);
  return reply;
}

grpc::Status Service::Quarantine(grpc::ServerContext* context, const v1::QuarantineRequest* request,
                                 v1::QuarantineReply* reply) {
  SL_BEGIN_CALL(call, context, kQuarantine, {.action = ActionOf(*request)});
  auto answer = SetQuarantine(*request, call->caller().name);
  if (!answer.ok()) return ToGrpc(answer.status());
  *reply = *std::move(answer);
  return grpc::Status::OK;
}

grpc::Status Service::Top(grpc::ServerContext* context, const v1::TopRequest* request, v1::TopReply* reply) {
  SL_BEGIN_CALL(call, context, kRead);
  const FreedMemory freed;
  auto read = sources_.telemetry->ReadTop(*request);
  if (!read.ok()) return ToGrpc(read.status());
  *reply = *std::move(read);
  return grpc::Status::OK;
}

StatusOr<v1::AgentStatus> Service::ReadStatus() const {
  v1::AgentStatus reply = sources_.constants;
  SL_ASSIGN_OR_RETURN(const policy::Quarantine quarantine, sources_.controller->quarantine());
  for (const policy::ObjectName& name : quarantine.workloads) {
    reply.mutable_quarantine()->add_workloads(name.ToString());
  }
  for (const policy::Prefix& peer : quarantine.allow) reply.mutable_quarantine()->add_allow(peer.ToString());
  if (sources_.hooks != nullptr) AddHookPolicies(sources_.hooks->reports(), &reply);
  if (sources_.lsm != nullptr) AddLsmPolicies(sources_.lsm->reports(), *sources_.controller->view(), &reply);
  if (const auto rules = sources_.detection ? sources_.detection() : std::nullopt) AddDetectionRules(*rules, &reply);
  if (sources_.capture_numbers) *reply.mutable_captures() = sources_.capture_numbers();
  if (sources_.kubernetes) AddSources(sources_.kubernetes_server, sources_.kubernetes(), reply.mutable_kubernetes());
  SL_RETURN_IF_ERROR(AddNumbers(*sources_.controller->view(), *sources_.datapath, *sources_.telemetry, &reply));
  if (sources_.tunnels) AddTunnels(sources_.tunnels(), &reply);
  return reply;
}

grpc::Status Service::Status(grpc::ServerContext* context, const v1::StatusRequest*, v1::AgentStatus* reply) {
  SL_BEGIN_CALL(call, context, kAnswer);
  auto status = ReadStatus();
  if (!status.ok()) return ToGrpc(status.status());
  *reply = *std::move(status);
  return grpc::Status::OK;
}

}  // namespace sluice::api
