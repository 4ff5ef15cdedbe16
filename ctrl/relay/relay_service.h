// What the relay serves: sluice.v1.Sluice, as far as a relay can answer it, and sluice.cluster.Relay. It only reads.
// Called from gRPC's threads, several at once; `Calls` admits each call first.
#pragma once

#include <atomic>
#include <set>

#include "api/relay.grpc.pb.h"
#include "api/sluice.grpc.pb.h"
#include "ctrl/api/calls.h"
#include "ctrl/api/served.h"
#include "ctrl/relay/cluster_observe.h"
#include "ctrl/relay/nodes.h"

namespace sluice::cluster {

struct RelayFacts {
  std::string name;  // of the relay, for its clients
  std::string version;
};

class RelayService final : public v1::Sluice::Service {
 public:
  // `nodes` outlives the service.
  RelayService(const Nodes* nodes, RelayFacts facts, ObserveLimits limits);

  api::Served served();
  // Ends all streams, and refuses new ones. Before the server ends.
  void Stop() { stopping_ = true; }
  // Streams that go on.
  std::uint64_t followers() const { return followers_; }
  ClusterStatus ReadStatus(bool with_agents) const;

  grpc::Status Get(grpc::ServerContext*, const v1::GetRequest*, grpc::ServerWriter<v1::Object>*) override;
  grpc::Status Observe(grpc::ServerContext*, const v1::ObserveRequest*, grpc::ServerWriter<v1::Event>*) override;
  // What a relay does not answer: Unimplemented says who does.
  grpc::Status Apply(grpc::ServerContext*, const v1::ApplyRequest*, v1::ApplyReply*) override;
  grpc::Status Delete(grpc::ServerContext*, const v1::DeleteRequest*, v1::DeleteReply*) override;
  grpc::Status Explain(grpc::ServerContext*, const v1::ExplainRequest*, v1::Explanation*) override;
  grpc::Status ExplainOperation(grpc::ServerContext*, const v1::ExplainOperationRequest*,
                                v1::OperationExplanation*) override;
  grpc::Status Quarantine(grpc::ServerContext*, const v1::QuarantineRequest*, v1::QuarantineReply*) override;
  grpc::Status Capture(grpc::ServerContext*, const v1::CaptureRequest*, grpc::ServerWriter<v1::CaptureReply>*) override;
  grpc::Status Top(grpc::ServerContext*, const v1::TopRequest*, v1::TopReply*) override;
  grpc::Status Status(grpc::ServerContext*, const v1::StatusRequest*, v1::AgentStatus*) override;
  grpc::Status Record(grpc::ServerContext*, const v1::RecordRequest*, grpc::ServerWriter<v1::EventRecords>*) override;

 private:
  class ClusterService final : public Relay::Service {
   public:
    explicit ClusterService(RelayService* service) : service_(service) {}
    grpc::Status ReadCluster(grpc::ServerContext*, const ClusterStatusRequest*, ClusterStatus*) override;
    grpc::Status Observe(grpc::ServerContext*, const v1::ObserveRequest*, grpc::ServerWriter<ClusterEvent>*) override;

   private:
    RelayService* const service_;
  };

  grpc::Status Follow(grpc::ServerContext* context, const v1::ObserveRequest& request,
                      const std::function<ClusterObserve::Reader(const api::Call&)>& reader);

  const Nodes* const nodes_;
  const RelayFacts facts_;
  const ObserveLimits limits_;
  const google::protobuf::Timestamp start_time_;
  std::atomic<bool> stopping_ = false;
  std::atomic<std::uint64_t> followers_ = 0;
  api::Calls* calls_ = nullptr;
  ClusterService cluster_{this};
};

}  // namespace sluice::cluster
