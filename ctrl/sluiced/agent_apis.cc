// What the agent serves: its own API, those of others' clients, the web page.
#include <google/protobuf/util/time_util.h>
#include <unistd.h>

#include <algorithm>

#include "base/log.h"
#include "ctrl/rights/rights.h"
#include "ctrl/sluiced/agent.h"
#include "ctrl/sluiced/process_sensors.h"
#include "kernel/net/tunnels.h"

namespace sluice {
namespace {

// Of KubeArmor's log service; they share the hub with those of the API.
constexpr std::size_t kLogFollowers = 16;

// What cannot be looked at is left out.
api::Tunnels TunnelsOfUplinks(const std::vector<std::string>& uplinks) {
  api::Tunnels tunnels;
  auto here = net::Netlink::Open();
  if (!here.ok()) return tunnels;
  const auto links = here->DumpLinks();
  if (!links.ok()) return tunnels;
  for (const net::LinkInfo& link : *links) {
    if (std::find(uplinks.begin(), uplinks.end(), link.name) != uplinks.end())
      tunnels[link.ifindex] = net::TunnelsOver(*links, link.ifindex);
  }
  return tunnels;
}

}  // namespace

Status Agent::StartApi() {
  api::ServiceSources sources{.controller = controller_.get(),
                              .telemetry = telemetry_.get(),
                              .datapath = datapath_.get(),
                              .hooks = hook_policies_->controller(),
                              .lsm = lsm_policies_->controller(),
                              .responder = responses_->responder()};
  sources.detection = [this] { return rules_->Numbers(); };
  sources.record = [this](const auto& types, const auto& workload) { return rules_->Record(types, workload); };
  if (captures_) {
    sources.captures = captures_->packets();
    sources.capture_numbers = [this] { return captures_->Numbers(); };
  }
  sources.constants.set_version(SLUICE_VERSION);
  sources.constants.set_node(node_name_);
  sources.constants.set_bpf_root(options_.bpf_root);
  sources.constants.set_state_dir(options_.state_dir);
  *sources.constants.mutable_start_time() = google::protobuf::util::TimeUtil::GetCurrentTime();
  for (const bpf::Feature& feature : Features()) {
    v1::AgentStatus::Feature& out = *sources.constants.add_features();
    out.set_name(feature.name);
    out.set_present(feature.present);
    if (!feature.present) out.set_cost(feature.cost);
  }
  SL_RETURN_IF_ERROR(TellRights(sources.constants));
  if (kubernetes_) {
    sources.kubernetes_server = kubernetes_->server();
    sources.kubernetes = [this] { return kubernetes_->states(); };
  }
  if (!options_.uplinks.empty()) sources.tunnels = [uplinks = options_.uplinks] { return TunnelsOfUplinks(uplinks); };
  service_ = std::make_unique<api::Service>(std::move(sources));
  service_->LogLinks();
  WarnOfShadowed();
  SL_ASSIGN_OR_RETURN(server_, api::Server::Start(ApiServer(), service_->served()));
  calls_ = &server_->calls();
  if (!options_.relay_api.address.empty()) {
    SL_ASSIGN_OR_RETURN(relay_api_, RelayApi::Start(options_.relay_api, service_->sources()));
    relay_calls_ = &relay_api_->calls();
  }
  return StartTetragonApi();
}

// TLS files may also be there for the other service alone.
api::ServerOptions Agent::ApiServer() const {
  const auto other = TetragonApi::ServerFor(options_.api, options_.tetragon_api);
  const bool is_for_other = !other.address.empty() && api::SocketPath(other.address).empty();
  return is_for_other ? options_.api.For(options_.api.flag, options_.api.address) : options_.api;
}

Status Agent::CheckTetragonApi() const {
  if (!options_.tetragon_api || options_.tetragon_api->empty()) return OkStatus();
  return api::Server::Check(TetragonApi::ServerFor(options_.api, options_.tetragon_api));
}

// An address that nobody gave keeps no agent from starting.
Status Agent::StartTetragonApi() {
  const api::ServerOptions server = TetragonApi::ServerFor(options_.api, options_.tetragon_api);
  if (server.address.empty()) return OkStatus();
  auto started = TetragonApi::Start(server, {.controller = controller_.get(),
                                             .telemetry = telemetry_.get(),
                                             .hooks = hook_policies_->controller(),
                                             .node = node_name_,
                                             .version = SLUICE_VERSION,
                                             .features = TetragonFeatures()});
  if (!started.ok()) {
    if (options_.tetragon_api) return started.status();
    LogWarn("Tetragon's service is not served: {}", Message(started.status()));
    return OkStatus();
  }
  tetragon_api_ = *std::move(started);
  tetragon_calls_ = &tetragon_api_->calls();
  return OkStatus();
}

// As StartTetragonApi.
Status Agent::StartHubble() {
  if (options_.hubble.addresses.empty()) return OkStatus();
  hubble::HubbleSources sources{
      .telemetry = telemetry_.get(),
      .complete = [this](telemetry::EventPtr event) { return container_names_.Complete(std::move(event)); },
      .node = node_name_,
      .version = SLUICE_VERSION,
      .change_group = options_.api.change_group,
      .read_group = options_.api.read_group};
  auto started = hubble::HubbleApi::Start(options_.hubble, std::move(sources));
  if (!started.ok()) {
    if (options_.hubble.asked_for) return started.status();
    LogWarn("Hubble's service is not served: {}", Message(started.status()));
    return OkStatus();
  }
  hubble_ = *std::move(started);
  served_hubble_ = hubble_.get();
  return OkStatus();
}

Status Agent::StartKubeArmorApi() {
  if (options_.kubearmor_api.address.empty()) return OkStatus();
  kubearmor_logs_ = std::make_unique<kubearmor::LogService>(&telemetry_->hub());
  api::ServerOptions options = options_.kubearmor_api;
  constexpr auto kFollow = static_cast<std::size_t>(api::CallKind::kFollow);
  options.calls.total[kFollow] = kLogFollowers;
  options.calls.of_one[kFollow] = kLogFollowers / 2;
  SL_ASSIGN_OR_RETURN(kubearmor_server_, api::Server::Start(options, kubearmor_logs_->served()));
  return OkStatus();
}

Status Agent::StartWeb() {
  if (options_.web.address.empty()) return OkStatus();
  SL_ASSIGN_OR_RETURN(web_, web::WebServer::Start(options_.web, service_.get()));
  LogInfo("the web page is at {}://{}/", options_.web.tls.empty() ? "http" : "https", options_.web.address);
  return OkStatus();
}

Status Agent::TellRights(v1::AgentStatus& status) const {
  const auto add = [](const std::vector<rights::Right>& rights, auto* out) {
    for (const rights::Right& right : rights) {
      v1::AgentStatus::Right& one = *out->Add();
      one.set_name(right.name);
      one.set_use(right.use);
    }
  };
  SL_ASSIGN_OR_RETURN(const rights::Held own, rights::ReadHeld(getpid(), rights::Whose::kAgent));
  SL_ASSIGN_OR_RETURN(const rights::Held helpers, rights::ReadHeld(helper_->pid(), rights::Whose::kHelper));
  add(own.rights, status.mutable_rights());
  add(helpers.rights, status.mutable_helper_rights());
  for (const std::string& by : own.confinement) status.add_confinement(by);
  for (const std::string& by : helpers.confinement) status.add_helper_confinement(by);
  return OkStatus();
}

std::vector<bpf::Feature> Agent::Features() const {
  auto features = bpf::ProbeFeatures(datapath_->object().program_fd("tc_from_pod"));
  features.push_back({"netlink_all_namespaces", monitor_->hears_pods(),
                      "addresses that change inside pods are noticed within seconds, not at once"});
  for (bpf::Feature& feature : services_->features()) features.push_back(std::move(feature));
  for (bpf::Feature& feature : ProcessFeatures(options_, telemetry_->processes())) {
    features.push_back(std::move(feature));
  }
  return features;
}

}  // namespace sluice
