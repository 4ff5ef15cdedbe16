// observer.Observer over the rings of flows and agent events: conversion only. Called from gRPC's threads, several at
// once. `Calls` admits each call first; all of them only read.
#pragma once

#include <functional>

#include "api/hubble_observer.grpc.pb.h"
#include "ctrl/api/calls.h"
#include "telemetry/hubble/hubble_agent_events.h"
#include "telemetry/hubble/hubble_query.h"

namespace sluice::hubble {

// All outlive the service.
struct ObserverSources {
  const telemetry::HubbleFlows* flows = nullptr;
  const telemetry::HubbleAgentEvents* agent_events = nullptr;
  telemetry::HubbleQuery::Complete complete;  // may be empty
  observer::Node self;                        // what GetNodes says of this node and does not change
  std::function<Status()> record;             // called at the begin of each call, which ends with its error
};

class ObserverService final : public observer::Observer::Service {
 public:
  explicit ObserverService(ObserverSources sources) : sources_(std::move(sources)) {}

  // Before the first call; `calls` outlives the last one.
  void Serve(api::Calls* calls) { calls_ = calls; }

  grpc::Status GetFlows(grpc::ServerContext*, const observer::GetFlowsRequest*,
                        grpc::ServerWriter<observer::GetFlowsResponse>*) override;
  grpc::Status GetAgentEvents(grpc::ServerContext*, const observer::GetAgentEventsRequest*,
                              grpc::ServerWriter<observer::GetAgentEventsResponse>*) override;
  // There are none, so a stream without `follow` is empty, and one with it stays open.
  grpc::Status GetDebugEvents(grpc::ServerContext*, const observer::GetDebugEventsRequest*,
                              grpc::ServerWriter<observer::GetDebugEventsResponse>*) override;
  // This node. Hubble's own nodes refuse this call, which its client for a single node needs.
  grpc::Status GetNodes(grpc::ServerContext*, const observer::GetNodesRequest*, observer::GetNodesResponse*) override;
  grpc::Status GetNamespaces(grpc::ServerContext*, const observer::GetNamespacesRequest*,
                             observer::GetNamespacesResponse*) override;
  grpc::Status ServerStatus(grpc::ServerContext*, const observer::ServerStatusRequest*,
                            observer::ServerStatusResponse*) override;

 private:
  grpc::Status EndOf(const grpc::ServerContext& context, bool follows) const;

  const ObserverSources sources_;
  api::Calls* calls_ = nullptr;
};

}  // namespace sluice::hubble
