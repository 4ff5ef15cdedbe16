// KubeArmor's log service: streams of alerts, of logs, and of the agent's messages. Each follower has the bounded queue
// of EventHub: one that is too slow loses alerts, and is told how many by an alert of type SystemEvent; one that does
// not read at all is cut off by Calls. Thread-safe.
//   LogService service({.hub = &hub});
//   SL_ASSIGN_OR_RETURN(auto server, api::Server::Start(options, service.served()));
#pragma once

#include "api/kubearmor.grpc.pb.h"
#include "ctrl/api/served.h"
#include "telemetry/event/event_hub.h"

namespace sluice::kubearmor {

class LogService final : public feeder::LogService::Service {
 public:
  // `hub` outlives the last call.
  explicit LogService(telemetry::EventHub* hub) : hub_(hub) {}

  api::Served served();

  grpc::Status HealthCheck(grpc::ServerContext*, const feeder::NonceMessage*, feeder::ReplyMessage*) override;
  // Filter "all" (or none): alerts, and events of type SystemEvent; "policy": alerts.
  grpc::Status WatchAlerts(grpc::ServerContext*, const feeder::RequestMessage*,
                           grpc::ServerWriter<feeder::Alert>*) override;
  // Filter "all" (or none) or "system": programs that start, and connections of processes.
  grpc::Status WatchLogs(grpc::ServerContext*, const feeder::RequestMessage*,
                         grpc::ServerWriter<feeder::Log>*) override;
  // Changes of the agent's resources, and attempts. `Filter` has no effect, as there.
  grpc::Status WatchMessages(grpc::ServerContext*, const feeder::RequestMessage*,
                             grpc::ServerWriter<feeder::Message>*) override;

 private:
  template <typename Message, typename Convert>
  grpc::Status Watch(grpc::ServerContext* context, const std::vector<std::string>& types, const Convert& convert,
                     grpc::ServerWriter<Message>* writer);

  telemetry::EventHub* const hub_;
  api::Calls* calls_ = nullptr;
};

}  // namespace sluice::kubearmor
