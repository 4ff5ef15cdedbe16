// tetragon.FineGuidanceSensors over the controller and telemetry, for Tetragon's client `tetra`: conversion only.
// Called from gRPC's threads, several at once. `Calls` admits each call first; each change is reported with its caller.
//   auto server = api::Server::Start({.flag = "--tetragon-api", .address = "unix:///..."}, service->served());
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "api/tetragon_service.grpc.pb.h"
#include "ctrl/api/change_teller.h"
#include "ctrl/api/served.h"
#include "ctrl/reconcile/controller.h"
#include "telemetry/telemetry.h"

namespace sluice::tetra {

// What the service reads and changes. All outlive it.
struct ServiceSources {
  reconcile::Controller* controller = nullptr;
  telemetry::Telemetry* telemetry = nullptr;
  const hooks::HookController* hooks = nullptr;
  std::string node;
  std::string version;
  std::map<std::string, bool> features;  // of the kernel, by Tetragon's names; what is not known is absent
};

// How many calls of all clients, and of one user, may run at the same time.
api::CallLimits Limits();

class Service final : public tetragon::FineGuidanceSensors::Service {
 public:
  explicit Service(ServiceSources sources) : sources_(std::move(sources)), teller_(sources_.telemetry, sources_.node) {}

  // For one Server.
  api::Served served();

  template <typename Message>
  using Writer = grpc::ServerWriter<Message>;
  using Context = grpc::ServerContext;

  // Events from now on, until the client ends the call. A loss is told only if RATE_LIMIT_INFO is asked for by name:
  // Tetragon's agent never sends it here, and `tetra -o compact` ends at an event that it does not know.
  grpc::Status GetEvents(Context*, const tetragon::GetEventsRequest*, Writer<tetragon::GetEventsResponse>*) override;
  grpc::Status GetHealth(Context*, const tetragon::GetHealthStatusRequest*,
                         tetragon::GetHealthStatusResponse*) override;

  // ALREADY_EXISTS: a policy of this name is there, and is not in error.
  grpc::Status AddTracingPolicy(Context*, const tetragon::AddTracingPolicyRequest*,
                                tetragon::AddTracingPolicyResponse*) override;
  grpc::Status DeleteTracingPolicy(Context*, const tetragon::DeleteTracingPolicyRequest*,
                                   tetragon::DeleteTracingPolicyResponse*) override;
  grpc::Status ListTracingPolicies(Context*, const tetragon::ListTracingPoliciesRequest*,
                                   tetragon::ListTracingPoliciesResponse*) override;
  grpc::Status ConfigureTracingPolicy(Context*, const tetragon::ConfigureTracingPolicyRequest*,
                                      tetragon::ConfigureTracingPolicyResponse*) override;
  grpc::Status EnableTracingPolicy(Context*, const tetragon::EnableTracingPolicyRequest*,
                                   tetragon::EnableTracingPolicyResponse*) override;
  grpc::Status DisableTracingPolicy(Context*, const tetragon::DisableTracingPolicyRequest*,
                                    tetragon::DisableTracingPolicyResponse*) override;
  grpc::Status ListDomains(Context*, const tetragon::ListDomainsRequest*, tetragon::ListDomainsResponse*) override;

  grpc::Status GetVersion(Context*, const tetragon::GetVersionRequest*, tetragon::GetVersionResponse*) override;
  grpc::Status GetInfo(Context*, const tetragon::GetInfoRequest*, tetragon::GetInfoResponse*) override;
  grpc::Status GetDebug(Context*, const tetragon::GetDebugRequest*, tetragon::GetDebugResponse*) override;
  grpc::Status SetDebug(Context*, const tetragon::SetDebugRequest*, tetragon::SetDebugResponse*) override;

  // UNIMPLEMENTED, with the reason.
  grpc::Status RuntimeHook(Context*, const tetragon::RuntimeHookRequest*, tetragon::RuntimeHookResponse*) override;
  grpc::Status ListSensors(Context*, const tetragon::ListSensorsRequest*, tetragon::ListSensorsResponse*) override;
  grpc::Status EnableSensor(Context*, const tetragon::EnableSensorRequest*, tetragon::EnableSensorResponse*) override;
  grpc::Status DisableSensor(Context*, const tetragon::DisableSensorRequest*,
                             tetragon::DisableSensorResponse*) override;
  grpc::Status RemoveSensor(Context*, const tetragon::RemoveSensorRequest*, tetragon::RemoveSensorResponse*) override;

 private:
  template <typename Request>
  StatusOr<policy::ResourceId> Find(const Request& request) const;
  // `id` is empty if the policy was not found.
  grpc::Status Finish(const char* action, const api::Call& call, const StatusOr<std::uint64_t>& revision,
                      const std::vector<v1::ResourceChange>& changes) const;
  template <typename Request>
  grpc::Status Configure(Context* context, const Request& request, const char* action,
                         const hooks::HookSettingChange& change) const;

  const ServiceSources sources_;
  const api::ChangeTeller teller_;
  api::Calls* calls_ = nullptr;
  std::mutex add_mutex_;  // held from looking for a name until it is added
};

}  // namespace sluice::tetra
