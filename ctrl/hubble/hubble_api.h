// Hubble's API of this node: the rings of flows and agent events, the thread that fills them, and a server for each
// address.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "api/tls.h"
#include "ctrl/api/server.h"
#include "ctrl/hubble/hubble_peers.h"
#include "ctrl/hubble/observer_service.h"
#include "ctrl/hubble/peer_service.h"
#include "telemetry/telemetry.h"

namespace sluice::hubble {

struct HubbleOptions {
  std::vector<std::string> addresses;  // "unix:///PATH", or IP:PORT with `tls`; none: not served
  // False: nobody gave `addresses`. Then flows are recorded from a client's first call on, as they cost nothing before.
  bool asked_for = true;
  api::TlsFiles tls;              // for all TCP addresses
  std::string advertise;          // this node's address for relays; empty: the first TCP address, else the first
  std::vector<HubblePeer> peers;  // other nodes
  std::size_t flows = 4095;       // past flows that are kept, and at most 32 MiB of them
  std::string cluster = "default";
};

struct HubbleSources {
  telemetry::Telemetry* telemetry = nullptr;  // outlives the API
  telemetry::HubbleQuery::Complete complete;  // may be empty
  std::string node;
  std::string version;       // of the agent
  std::string change_group;  // of the agent's own API, by unix socket: its members may read here
  std::string read_group;    // likewise
};

class HubbleApi {
 public:
  // Before anything is started. Errors as api::Server::Check; InvalidArgument also: no address to advertise.
  static Status Check(const HubbleOptions& options, const std::string& change_group, const std::string& read_group);
  // Errors as api::Server::Start, and as EventHub::Subscribe.
  static StatusOr<std::unique_ptr<HubbleApi>> Start(const HubbleOptions& options, HubbleSources sources);
  // Ends all calls. Call Telemetry::Stop before.
  ~HubbleApi();
  HubbleApi(const HubbleApi&) = delete;
  HubbleApi& operator=(const HubbleApi&) = delete;

  // Adds what was refused at all addresses to numbers of Calls::RefusedByCause. Thread-safe.
  void AddRefused(std::vector<std::pair<std::string, std::uint64_t>>* to) const;

 private:
  struct Door {
    std::unique_ptr<ObserverService> observer;
    std::unique_ptr<PeerService> peers;
    std::unique_ptr<api::Server> server;  // uses the services
  };

  HubbleApi(const HubbleOptions& options, HubbleSources sources);
  Status Open(const HubbleOptions& options, const std::string& address);
  // From now on, flows and agent events are recorded. As EventHub::Subscribe. Thread-safe.
  Status Record();
  void Fill();

  const HubbleSources sources_;
  telemetry::HubbleFlows flows_;
  telemetry::HubbleAgentEvents agent_events_;
  std::mutex record_mutex_;                                // of the next one and the start of filler_
  std::unique_ptr<telemetry::Subscription> subscription_;  // null: nothing is recorded yet
  std::atomic<bool> stopping_ = false;
  std::thread filler_;
  std::vector<Door> doors_;
};

}  // namespace sluice::hubble
