#include "ctrl/tetra/service.h"

#include "api/grpc_status.h"
#include "base/log.h"
#include "ctrl/api/changes.h"
#include "ctrl/api/convert.h"
#include "ctrl/api/freed_memory.h"
#include "ctrl/api/resource_ids.h"
#include "ctrl/api/running_processes.h"
#include "ctrl/tetra/policy_status.h"
#include "telemetry/tetragon/tetragon_process.h"

namespace sluice::tetra {
namespace {

using api::Call;
using api::CallKind;
using api::ToGrpc;
using policy::ResourceId;

// `tetra` takes no reply above 10 MiB.
constexpr std::size_t kMaxDumpBytes = 8U << 20;
constexpr const char* kDomains[] = {"grpc", "static", "k8s"};

grpc::Status Unimplemented(const char* why) { return {grpc::StatusCode::UNIMPLEMENTED, why}; }

grpc::Status NoSensors() {
  return Unimplemented("there are no sensors to list or to switch: one set of programs serves all policies");
}

// The only policy of `yaml`, as an `apply` of it would have it.
StatusOr<policy::Resource> ParsePolicy(const std::string& yaml) {
  api::Documents documents;
  documents.Add()->set_yaml(yaml);
  SL_ASSIGN_OR_RETURN(const api::ReadDocuments read, api::ParseDocuments(documents));
  if (read.resources.size() != 1)
    return InvalidError("there are {} documents: add policies one by one", read.resources.size());
  const policy::Resource& resource = read.resources.front();
  if (!resource.tracing)
    return InvalidError("{}: only a TracingPolicy or a TracingPolicyNamespaced can be added here: use `sluice apply`",
                        resource.id.ToString());
  return resource;
}

}  // namespace

// All that run, oldest first. Tetragon's agent tells how often each is referred to; nothing counts that here.
Status DumpProcesses(telemetry::ProcessSensor* sensor, tetragon::DumpProcessCacheResArgs* out) {
  if (sensor == nullptr) return MakeError(absl::StatusCode::kFailedPrecondition, "this agent sees no processes");
  const api::FreedMemory freed;
  sensor->Refresh();
  std::size_t bytes = 0;
  Status full = OkStatus();
  api::ListRunningProcesses(sensor->tree(), sensor->events(), {}, [&](const v1::RunningProcess& one) {
    tetragon::Process& process = *out->add_processes()->mutable_process();
    telemetry::FillTetragonProcess(one.process(), nullptr, &process);
    telemetry::FillTetragonCapabilities(one.process(), &process);
    telemetry::FillTetragonPod(one.namespace_(), one.workload(), {}, one.process(), &process);
    bytes += process.ByteSizeLong();
    if (bytes <= kMaxDumpBytes) return true;
    full = MakeError(absl::StatusCode::kResourceExhausted,
                     "more processes run than fit into a reply of {} MiB: use `sluice get processes`",
                     kMaxDumpBytes >> 20);
    return false;
  });
  return full;
}

// Returns from a method whose caller may not call it, or not now.
#define SL_BEGIN_CALL(call, context, ...)                                    \
  const StatusOr<Call> call = calls_->Begin(context, CallKind::__VA_ARGS__); \
  if (!call.ok()) return ToGrpc(call.status())

api::CallLimits Limits() {
  api::CallLimits limits;
  // Followers are the larger part of the memory: each has a queue of its own.
  limits.total = {16, 8, 16, 32, 1, 1, 4};
  limits.of_one = {8, 4, 8, 16, 1, 1, 2};
  limits.of_root = {4, 2, 4, 8, 0, 0, 1};
  limits.change_bytes = 16U << 20;
  return limits;
}

api::Served Service::served() {
  return {.services = {this},
          .admit = [this](api::Calls* calls) { calls_ = calls; },
          .refused =
              [this](const char* action, const api::Caller& caller, const std::string& why) {
                teller_.Tell(action, caller.name, MakeError(absl::StatusCode::kPermissionDenied, "{}", why), {});
              }};
}

grpc::Status Service::Finish(const char* action, const Call& call, const StatusOr<std::uint64_t>& revision,
                             const std::vector<v1::ResourceChange>& changes) const {
  teller_.Tell(action, call.caller().name, revision, changes);
  return ToGrpc(revision.status());
}

grpc::Status Service::AddTracingPolicy(Context* context, const tetragon::AddTracingPolicyRequest* request,
                                       tetragon::AddTracingPolicyResponse*) {
  SL_BEGIN_CALL(call, context, kChange, {.action = "apply", .bytes = request->ByteSizeLong()});
  std::vector<v1::ResourceChange> changes;
  const auto add = [&]() -> StatusOr<std::uint64_t> {
    if (!request->domain().empty() && request->domain() != kDomains[0])
      return InvalidError("domain {}: policies are added to the domain {} only", request->domain(), kDomains[0]);
    SL_ASSIGN_OR_RETURN(const policy::Resource resource, ParsePolicy(request->yaml()));
    const std::lock_guard lock(add_mutex_);
    const auto before = sources_.controller->view();
    changes = api::ToChanges(*before, {resource});
    if (before->resources.contains(resource.id)) {
      const auto reports = sources_.hooks->reports();
      const auto report = reports.find(resource.id);
      if (report == reports.end() || report->second.state != hooks::ReportedState::kError)
        return MakeError(absl::StatusCode::kAlreadyExists, "{} exists already: delete it first, or use `sluice apply`",
                         resource.id.ToString());
    }
    return sources_.controller->Apply({resource});
  };
  return Finish("apply", *call, add(), changes);
}

// In any domain, unless the request names one.
template <typename Request>
StatusOr<ResourceId> Service::Find(const Request& request) const {
  if (request.name().empty()) return InvalidError("name: the request has none");
  const ResourceId id{
      .kind = request.namespace_().empty() ? policy::Kind::kTracingPolicy : policy::Kind::kTracingPolicyNamespaced,
      .name = {.ns = request.namespace_(), .name = request.name()}};
  const auto view = sources_.controller->view();
  if (!view->resources.contains(id)) return MakeError(absl::StatusCode::kNotFound, "{} does not exist", id.ToString());
  if (const char* const domain = DomainOf(id, *view); !request.domain().empty() && request.domain() != domain)
    return MakeError(absl::StatusCode::kNotFound, "{} is in the domain {}, not in {}", id.ToString(), domain,
                     request.domain());
  return id;
}

grpc::Status Service::DeleteTracingPolicy(Context* context, const tetragon::DeleteTracingPolicyRequest* request,
                                          tetragon::DeleteTracingPolicyResponse*) {
  SL_BEGIN_CALL(call, context, kChange, {.action = "delete", .bytes = request->ByteSizeLong()});
  const auto before = sources_.controller->view();
  const auto id = Find(*request);
  if (!id.ok()) return Finish("delete", *call, id.status(), {});
  const auto changes = api::ToRemovals(*before, {*id}, reconcile::Missing::kRefused);
  return Finish("delete", *call, sources_.controller->Delete({*id}), changes);
}

grpc::Status Service::ListTracingPolicies(Context* context, const tetragon::ListTracingPoliciesRequest* request,
                                          tetragon::ListTracingPoliciesResponse* reply) {
  SL_BEGIN_CALL(call, context, kRead);
  ListPolicies(*sources_.controller->view(), sources_.hooks->reports(), request->domain(), reply);
  return grpc::Status::OK;
}

template <typename Request>
grpc::Status Service::Configure(Context* context, const Request& request, const char* action,
                                const hooks::HookSettingChange& change) const {
  SL_BEGIN_CALL(call, context, kChange, {.action = action, .bytes = request.ByteSizeLong()});
  const auto id = Find(request);
  if (!id.ok()) return Finish(action, *call, id.status(), {});
  v1::ResourceChange about;
  *about.mutable_resource() = api::ToRef(*id);
  return Finish(action, *call, sources_.controller->SetHookPolicy(*id, change), {about});
}

grpc::Status Service::ConfigureTracingPolicy(Context* context, const tetragon::ConfigureTracingPolicyRequest* request,
                                             tetragon::ConfigureTracingPolicyResponse*) {
  hooks::HookSettingChange change;
  if (request->has_enable()) change.enabled = request->enable();
  if (request->has_mode()) {
    const auto mode = request->mode();
    if (mode != tetragon::TP_MODE_ENFORCE && mode != tetragon::TP_MODE_MONITOR)
      return ToGrpc(InvalidError("mode: {} can be neither set nor left: use TP_MODE_ENFORCE or TP_MODE_MONITOR",
                                 static_cast<int>(mode)));
    change.monitor = mode == tetragon::TP_MODE_MONITOR;
  }
  const char* const action = !change.enabled ? "set-mode" : *change.enabled ? "enable" : "disable";
  return Configure(context, *request, action, change);
}

grpc::Status Service::EnableTracingPolicy(Context* context, const tetragon::EnableTracingPolicyRequest* request,
                                          tetragon::EnableTracingPolicyResponse*) {
  return Configure(context, *request, "enable", {.enabled = true, .monitor = {}});
}

grpc::Status Service::DisableTracingPolicy(Context* context, const tetragon::DisableTracingPolicyRequest* request,
                                           tetragon::DisableTracingPolicyResponse*) {
  return Configure(context, *request, "disable", {.enabled = false, .monitor = {}});
}

grpc::Status Service::ListDomains(Context* context, const tetragon::ListDomainsRequest*,
                                  tetragon::ListDomainsResponse* reply) {
  SL_BEGIN_CALL(call, context, kAnswer);
  for (const char* const domain : kDomains) reply->add_domains(domain);
  return grpc::Status::OK;
}

// An agent that answers runs; what is wrong with enforcement is in the details.
grpc::Status Service::GetHealth(Context* context, const tetragon::GetHealthStatusRequest*,
                                tetragon::GetHealthStatusResponse* reply) {
  SL_BEGIN_CALL(call, context, kAnswer);
  const std::string holding = sources_.controller->view()->holding;
  tetragon::HealthStatus& health = *reply->add_health_status();
  health.set_event(tetragon::HEALTH_STATUS_TYPE_STATUS);
  health.set_status(holding.empty() ? tetragon::HEALTH_STATUS_RUNNING : tetragon::HEALTH_STATUS_ERROR);
  health.set_details(holding.empty() ? "running" : "running, and holding: " + holding);
  return grpc::Status::OK;
}

grpc::Status Service::GetVersion(Context* context, const tetragon::GetVersionRequest*,
                                 tetragon::GetVersionResponse* reply) {
  SL_BEGIN_CALL(call, context, kAnswer);
  reply->set_version("sluice " + sources_.version);
  return grpc::Status::OK;
}

grpc::Status Service::GetInfo(Context* context, const tetragon::GetInfoRequest*, tetragon::GetInfoResponse* reply) {
  SL_BEGIN_CALL(call, context, kAnswer);
  reply->set_name("sluice");
  reply->set_version(sources_.version);
  for (const auto& [name, present] : sources_.features) {
    tetragon::GetInfoResponse::Probe& probe = *reply->add_probes();
    probe.set_name(name);
    probe.mutable_enabled()->set_value(present);
  }
  // `tetra` reads it without asking whether it is there.
  reply->mutable_build();
  return grpc::Status::OK;
}

grpc::Status Service::GetDebug(Context* context, const tetragon::GetDebugRequest* request,
                               tetragon::GetDebugResponse* reply) {
  if (request->flag() == tetragon::CONFIG_FLAG_DUMP_PROCESS_CACHE) {
    SL_BEGIN_CALL(call, context, kRead);
    reply->set_flag(request->flag());
    return ToGrpc(DumpProcesses(sources_.telemetry->processes(), reply->mutable_processes()));
  }
  SL_BEGIN_CALL(call, context, kAnswer);
  if (request->flag() != tetragon::CONFIG_FLAG_LOG_LEVEL)
    return ToGrpc(InvalidError("flag: {} does not exist", static_cast<int>(request->flag())));
  reply->set_flag(request->flag());
  reply->set_level(LogsDebug() ? tetragon::LOG_LEVEL_DEBUG : tetragon::LOG_LEVEL_INFO);
  return grpc::Status::OK;
}

// Never below INFO: who has changed what must be in the log.
grpc::Status Service::SetDebug(Context* context, const tetragon::SetDebugRequest* request,
                               tetragon::SetDebugResponse* reply) {
  SL_BEGIN_CALL(call, context, kChange, {.action = "set-log-level", .bytes = request->ByteSizeLong()});
  if (request->flag() != tetragon::CONFIG_FLAG_LOG_LEVEL || !request->has_level())
    return ToGrpc(InvalidError("flag: only CONFIG_FLAG_LOG_LEVEL can be set, with a level"));
  const tetragon::LogLevel level = request->level();
  if (level < tetragon::LOG_LEVEL_INFO || level > tetragon::LOG_LEVEL_TRACE)
    return ToGrpc(InvalidError("level: {}: the log has the level INFO at least, as it says who has changed what",
                               tetragon::LogLevel_Name(level)));
  SetLogsDebug(level != tetragon::LOG_LEVEL_INFO);
  reply->set_flag(request->flag());
  reply->set_level(level == tetragon::LOG_LEVEL_INFO ? level : tetragon::LOG_LEVEL_DEBUG);
  LogInfo("{}: set-log-level: {}", call->caller().name, tetragon::LogLevel_Name(reply->level()));
  return grpc::Status::OK;
}

grpc::Status Service::RuntimeHook(Context* context, const tetragon::RuntimeHookRequest*,
                                  tetragon::RuntimeHookResponse*) {
  SL_BEGIN_CALL(call, context, kAnswer);
  return Unimplemented("a runtime hook is not needed: the CNI plugin covers a pod before its first process runs");
}

grpc::Status Service::ListSensors(Context* context, const tetragon::ListSensorsRequest*,
                                  tetragon::ListSensorsResponse*) {
  SL_BEGIN_CALL(call, context, kAnswer);
  return NoSensors();
}
grpc::Status Service::EnableSensor(Context* context, const tetragon::EnableSensorRequest*,
                                   tetragon::EnableSensorResponse*) {
  SL_BEGIN_CALL(call, context, kAnswer);
  return NoSensors();
}
grpc::Status Service::DisableSensor(Context* context, const tetragon::DisableSensorRequest*,
                                    tetragon::DisableSensorResponse*) {
  SL_BEGIN_CALL(call, context, kAnswer);
  return NoSensors();
}
grpc::Status Service::RemoveSensor(Context* context, const tetragon::RemoveSensorRequest*,
                                   tetragon::RemoveSensorResponse*) {
  SL_BEGIN_CALL(call, context, kAnswer);
  return NoSensors();
}

}  // namespace sluice::tetra
