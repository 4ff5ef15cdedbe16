#include "ctrl/hubble/hubble_api.h"

#include <algorithm>

namespace sluice::hubble {
namespace {

using namespace std::chrono_literals;

// How long the filler sleeps without events; it wakes for each.
constexpr auto kFillerWait = 1s;
// What `hubble status` asks the health service for.
constexpr char kHealthName[] = "hubble.server.Observer";

bool IsUnix(const std::string& address) { return !api::SocketPath(address).empty(); }

std::string Advertised(const HubbleOptions& options) {
  if (!options.advertise.empty()) return options.advertise;
  const auto tcp = std::find_if_not(options.addresses.begin(), options.addresses.end(), IsUnix);
  return tcp != options.addresses.end() ? *tcp : options.addresses.front();
}

api::ServerOptions ServerOptionsFor(const HubbleOptions& options, const std::string& address,
                                    const std::string& change_group, const std::string& read_group) {
  api::ServerOptions server;
  server.flag = "--hubble-api";
  server.tls_flags = "--hubble-tls";
  server.address = address;
  if (IsUnix(address)) {
    server.change_group = change_group;
    server.read_group = read_group;
  } else {
    server.tls = options.tls;
  }
  return server;
}

observer::Node SelfOf(const HubbleOptions& options, const telemetry::HubbleNode& node) {
  observer::Node self;
  self.set_name(node.full_name());
  self.set_version(node.version);
  self.set_address(Advertised(options));
  const bool has_tls = !IsUnix(self.address()) && !options.tls.empty();
  self.mutable_tls()->set_enabled(has_tls);
  if (has_tls) self.mutable_tls()->set_server_name(TlsServerName(node.name, node.cluster));
  return self;
}

peer::ChangeNotification ToNotification(const HubbleOptions& options, const HubblePeer& peer,
                                        const std::string& cluster) {
  peer::ChangeNotification out;
  out.set_type(peer::PEER_ADDED);
  out.set_name(telemetry::HubbleNode{.name = peer.name, .cluster = cluster, .version = {}}.full_name());
  out.set_address(peer.address);
  // A relay without a certificate cannot use it, and one with a certificate must have it.
  if (!IsUnix(peer.address) && !options.tls.empty())
    out.mutable_tls()->set_server_name(TlsServerName(peer.name, cluster));
  return out;
}

std::vector<peer::ChangeNotification> PeersOf(const HubbleOptions& options, const telemetry::HubbleNode& node) {
  std::vector<peer::ChangeNotification> all{
      ToNotification(options, {.name = node.name, .address = Advertised(options)}, node.cluster)};
  for (const HubblePeer& peer : options.peers) all.push_back(ToNotification(options, peer, node.cluster));
  return all;
}

v1::ObserveRequest::Filter WhatIsKept() {
  v1::ObserveRequest::Filter filter;
  filter.add_types("flow");
  filter.add_types("change");
  return filter;
}

}  // namespace

Status HubbleApi::Check(const HubbleOptions& options, const std::string& change_group, const std::string& read_group) {
  if (options.addresses.empty()) return OkStatus();
  if (std::all_of(options.addresses.begin(), options.addresses.end(), IsUnix) && !options.tls.empty()) {
    return InvalidError(
        "--hubble-tls-cert, --hubble-tls-key and --hubble-tls-ca are for TCP: give --hubble-api IP:PORT");
  }
  for (const std::string& address : options.addresses) {
    if (!options.asked_for) break;  // what cannot be served then is left out
    SL_RETURN_IF_ERROR(api::Server::Check(ServerOptionsFor(options, address, change_group, read_group)));
  }
  return Annotate(CheckAdvertised(Advertised(options)),
                  options.advertise.empty() ? "--hubble-api" : "--hubble-advertise");
}

HubbleApi::HubbleApi(const HubbleOptions& options, HubbleSources sources)
    : sources_(std::move(sources)),
      flows_({.max_entries = options.flows},
             {.name = sources_.node, .cluster = options.cluster, .version = "sluice " + sources_.version}),
      agent_events_(flows_.node().full_name()) {}

StatusOr<std::unique_ptr<HubbleApi>> HubbleApi::Start(const HubbleOptions& options, HubbleSources sources) {
  std::unique_ptr<HubbleApi> self(new HubbleApi(options, std::move(sources)));
  if (options.asked_for) SL_RETURN_IF_ERROR(self->Record());
  for (const std::string& address : options.addresses) SL_RETURN_IF_ERROR(self->Open(options, address));
  return self;
}

Status HubbleApi::Record() {
  const std::lock_guard lock(record_mutex_);
  if (subscription_) return OkStatus();
  SL_ASSIGN_OR_RETURN(auto wanted, telemetry::EventFilter::Make(WhatIsKept()));
  SL_ASSIGN_OR_RETURN(subscription_, sources_.telemetry->hub().Subscribe(std::move(wanted)));
  filler_ = std::thread(&HubbleApi::Fill, this);
  return OkStatus();
}

Status HubbleApi::Open(const HubbleOptions& options, const std::string& address) {
  Door door;
  door.observer = std::make_unique<ObserverService>(ObserverSources{.flows = &flows_,
                                                                    .agent_events = &agent_events_,
                                                                    .complete = sources_.complete,
                                                                    .self = SelfOf(options, flows_.node()),
                                                                    .record = [this] { return Record(); }});
  door.peers = std::make_unique<PeerService>(PeersOf(options, flows_.node()));
  api::Served served{.services = {door.observer.get(), door.peers.get()},
                     .admit =
                         [observer = door.observer.get(), peers = door.peers.get()](api::Calls* calls) {
                           observer->Serve(calls);
                           peers->Serve(calls);
                         },
                     .refused = {},
                     .health = {kHealthName}};
  SL_ASSIGN_OR_RETURN(door.server,
                      api::Server::Start(ServerOptionsFor(options, address, sources_.change_group, sources_.read_group),
                                         std::move(served)));
  doors_.push_back(std::move(door));
  return OkStatus();
}

void HubbleApi::Fill() {
  const telemetry::EventHub& hub = sources_.telemetry->hub();
  while (true) {
    const telemetry::EventPtr event = subscription_->Next(kFillerWait);
    if (event) {
      flows_.Push(event);
      agent_events_.Push(event);
    } else if (stopping_ || hub.closed()) {
      return;
    }
  }
}

HubbleApi::~HubbleApi() {
  stopping_ = true;
  flows_.Close();
  agent_events_.Close();
  for (const Door& door : doors_) door.peers->Stop();
  doors_.clear();
  if (filler_.joinable()) filler_.join();
}

void HubbleApi::AddRefused(std::vector<std::pair<std::string, std::uint64_t>>* to) const {
  for (const Door& door : doors_) {
    const auto counts = door.server->calls().RefusedByCause();
    for (std::size_t i = 0; i < std::min(counts.size(), to->size()); ++i) (*to)[i].second += counts[i].second;
  }
}

}  // namespace sluice::hubble
