// sluice.v1.Sluice over the controller and telemetry: conversion only. Called from gRPC's threads, several at once.
// `Calls` admits each call first; each change is reported with its caller.
#pragma once

#include <chrono>

#include "api/kinds.h"
#include "api/sluice.grpc.pb.h"
#include "api/web.grpc.pb.h"
#include "ctrl/api/calls.h"
#include "ctrl/api/change_teller.h"
#include "ctrl/api/served.h"
#include "ctrl/api/status.h"
#include "ctrl/explain/program_links.h"
#include "ctrl/reconcile/controller.h"
#include "ctrl/respond/responder.h"
#include "telemetry/capture/packet_capture.h"
#include "telemetry/detect/event_recording.h"
#include "telemetry/telemetry.h"

namespace sluice::api {

// Begins to collect events of these types (none: all that there are sensors for), of one workload or (empty) of all.
// Thread-safe. Errors: as telemetry::EventRecordings::Begin; FailedPrecondition: there are no sensors.
using StartRecording = std::function<StatusOr<std::shared_ptr<telemetry::EventRecording>>(
    const policy::rules::EventSet& types, const policy::ObjectName& workload)>;

// What the service reads and changes. All outlive it.
struct ServiceSources {
  reconcile::Controller* controller = nullptr;
  telemetry::Telemetry* telemetry = nullptr;
  datapath::PathReader* datapath = nullptr;
  const hooks::HookController* hooks = nullptr;                // null: nothing enforces hook policies
  const lsm::LsmController* lsm = nullptr;                     // null: nothing enforces KubeArmor policies
  const respond::Responder* responder = nullptr;               // null: nothing answers events
  telemetry::PacketCapture* captures = nullptr;                // null: no packets are kept
  std::function<v1::AgentStatus::Captures()> capture_numbers;  // with `captures`
  v1::AgentStatus constants;                                   // what does not change while the agent runs
  std::string kubernetes_server;                               // URL; with `kubernetes`
  telemetry::SourceStates kubernetes;                          // empty: the agent runs without Kubernetes
  TunnelsNow tunnels;                                          // empty: no uplinks. Thread-safe
  telemetry::DetectionNow detection;                           // empty: there are no detection rules
  StartRecording record;                                       // empty: there are no sensors of system calls
};

class Service final : public v1::Sluice::Service {
 public:
  explicit Service(ServiceSources sources)
      : sources_(std::move(sources)), teller_(sources_.telemetry, sources_.constants.node()) {}

  // For one Server. A change that is refused for want of a right is reported as one that was refused.
  Served served();
  // The answers without gRPC, for another server of the same agent, which admits its calls itself. Thread-safe.
  using Emit = std::function<bool(const v1::Object&)>;  // false: no more
  StatusOr<v1::Explanation> ExplainFlow(const v1::ExplainRequest& request) const;
  StatusOr<web::Suggestions> SuggestPolicies(const v1::ExplainRequest& request) const;
  StatusOr<v1::AgentStatus> ReadStatus() const;
  sluice::Status List(const v1::GetRequest& request, const Emit& emit) const;
  // `caller`: as in v1::Change.
  StatusOr<v1::QuarantineReply> SetQuarantine(const v1::QuarantineRequest& request, const std::string& caller);
  const ServiceSources& sources() const { return sources_; }
  // For changes that do not come through this service.
  const ChangeTeller& teller() const { return teller_; }
  // Logs which process rules, of all, name symbolic links.
  void LogLinks() const;

  grpc::Status Apply(grpc::ServerContext*, const v1::ApplyRequest*, v1::ApplyReply*) override;
  grpc::Status Delete(grpc::ServerContext*, const v1::DeleteRequest*, v1::DeleteReply*) override;
  grpc::Status Get(grpc::ServerContext*, const v1::GetRequest*, grpc::ServerWriter<v1::Object>*) override;
  grpc::Status Explain(grpc::ServerContext*, const v1::ExplainRequest*, v1::Explanation*) override;
  grpc::Status ExplainOperation(grpc::ServerContext*, const v1::ExplainOperationRequest*,
                                v1::OperationExplanation*) override;
  grpc::Status Quarantine(grpc::ServerContext*, const v1::QuarantineRequest*, v1::QuarantineReply*) override;
  grpc::Status Observe(grpc::ServerContext*, const v1::ObserveRequest*, grpc::ServerWriter<v1::Event>*) override;
  grpc::Status Capture(grpc::ServerContext*, const v1::CaptureRequest*, grpc::ServerWriter<v1::CaptureReply>*) override;
  grpc::Status Top(grpc::ServerContext*, const v1::TopRequest*, v1::TopReply*) override;
  grpc::Status Status(grpc::ServerContext*, const v1::StatusRequest*, v1::AgentStatus*) override;
  grpc::Status Record(grpc::ServerContext*, const v1::RecordRequest*, grpc::ServerWriter<v1::EventRecords>*) override;

 private:
  // For `sluice suggest`: admitted as the other methods are.
  class WebService final : public web::Web::Service {
   public:
    explicit WebService(api::Service* service) : service_(service) {}
    grpc::Status Suggest(grpc::ServerContext*, const v1::ExplainRequest*, web::Suggestions*) override;

   private:
    api::Service* const service_;
  };
  using Change = std::function<StatusOr<std::uint64_t>()>;
  StatusOr<std::uint64_t> Timed(const Change& change);
  void TellLinks(const std::vector<policy::Resource>& changed, explain::ProgramLinks* links) const;
  sluice::Status ListFlows(const v1::GetRequest& request, const Emit& emit) const;
  sluice::Status ListProcesses(const v1::GetRequest& request, const Emit& emit) const;
  sluice::Status ListResources(const v1::GetRequest& request, const KindSelection& selection, const Emit& emit) const;

  // Passes on the past events that an observer asked for.
  sluice::Status ReadPast(grpc::ServerContext* context, const v1::ObserveRequest& request,
                          const telemetry::EventFilter& filter, const std::function<bool(const v1::Event&)>& consume);

  const ServiceSources sources_;
  const ChangeTeller teller_;
  Calls* calls_ = nullptr;
  WebService web_{this};
};

}  // namespace sluice::api
