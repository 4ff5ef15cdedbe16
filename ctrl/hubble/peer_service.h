// peer.Peer: tells a relay which nodes there are. Called from gRPC's threads, several at once.
#pragma once

#include <atomic>
#include <vector>

#include "api/hubble_peer.grpc.pb.h"
#include "ctrl/api/calls.h"

namespace sluice::hubble {

class PeerService final : public peer::Peer::Service {
 public:
  // `peers`: this node and the others, which do not change while the agent runs.
  explicit PeerService(std::vector<peer::ChangeNotification> peers) : peers_(std::move(peers)) {}

  // Before the first call; `calls` outlives the last one.
  void Serve(api::Calls* calls) { calls_ = calls; }
  // Ends every Notify.
  void Stop() { stopping_ = true; }

  grpc::Status Notify(grpc::ServerContext*, const peer::NotifyRequest*,
                      grpc::ServerWriter<peer::ChangeNotification>*) override;

 private:
  const std::vector<peer::ChangeNotification> peers_;
  api::Calls* calls_ = nullptr;
  std::atomic<bool> stopping_ = false;
};

}  // namespace sluice::hubble
