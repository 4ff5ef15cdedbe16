#include "ctrl/sluiced/agent.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>

#include "base/log.h"
#include "base/output.h"
#include "ctrl/api/changes.h"
#include "ctrl/api/freed_memory.h"
#include "ctrl/api/status.h"
#include "ctrl/resources/resource_directory.h"
#include "ctrl/sluiced/notify.h"
#include "ctrl/sluiced/process_sensors.h"
#include "ctrl/sluiced/rule_containers.h"
#include "kernel/bpf/clsact.h"
#include "kernel/datapath/root.h"
#include "kernel/net/conntrack.h"
#include "telemetry/falco/falco_event.h"
#include "telemetry/kubearmor/kubearmor_event.h"
#include "telemetry/tetragon/tetragon_event.h"

namespace sluice {
namespace {

using namespace std::chrono_literals;

// Links and addresses change in bursts: one look after each burst.
constexpr auto kSettle = 20ms;
// If changes inside pods are not reported, or something is still missing.
constexpr auto kLookAgain = 5s;
// Between two looks at the classes of processes.
constexpr auto kTend = 10s;
// Between two copies of what is saved.
constexpr auto kKeepCopy = 10s;
// Between two looks at how much memory the allocator holds free.
constexpr auto kReturnMemory = 60s;
constexpr std::size_t kFreeMemory = 16U << 20U;  // that the allocator may keep for the next change
// Between two looks at what else handles the packets.
constexpr auto kLookAtHost = 2s;
// How long a start waits for Kubernetes before it holds.
constexpr auto kKubernetesAtStart = 5s;

const net::TcFilter kOwnFilter{.kind = "bpf", .handle = bpf::kTcHandle, .priority = bpf::kTcPriority};

bool TranslatesServices(const AgentOptions& options) { return options.kube != "off" && options.services == "pods"; }

std::string HostName() {
  char name[HOST_NAME_MAX + 1] = "";
  return gethostname(name, sizeof(name)) == 0 ? name : "localhost";
}

}  // namespace

sigset_t AgentSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, number);
  return signals;
}

StatusOr<std::unique_ptr<Agent>> Agent::Start(const AgentOptions& options, const rights::Helper* helper) {
  // Before anything is touched, the state file too.
  SL_RETURN_IF_ERROR(bpf::RefuseNewerLayouts(options.bpf_root));
  std::unique_ptr<Agent> agent(new Agent(options, helper));
  Status begun = agent->Begin();
  if (begun.ok()) return agent;
  if (agent->datapath_) agent->datapath_->TakeBack();
  return begun;
}

Status Agent::Begin() {
  node_name_ = options_.node_name.empty() ? HostName() : options_.node_name;
  SL_RETURN_IF_ERROR(CheckExport());
  SL_RETURN_IF_ERROR(Captures::Check(CaptureOptions()));
  SL_RETURN_IF_ERROR(Otlp::Check(options_));
  SL_RETURN_IF_ERROR(api::Server::Check(ApiServer()));
  SL_RETURN_IF_ERROR(CheckTetragonApi());
  SL_RETURN_IF_ERROR(RelayApi::Check(options_.relay_api));
  SL_RETURN_IF_ERROR(hubble::HubbleApi::Check(options_.hubble, options_.api.change_group, options_.api.read_group));
  if (!options_.kubearmor_api.address.empty()) SL_RETURN_IF_ERROR(api::Server::Check(options_.kubearmor_api));
  if (!options_.web.address.empty()) SL_RETURN_IF_ERROR(web::WebServer::Check(options_.web));
  SL_ASSIGN_OR_RETURN(store_, reconcile::StateStore::Open(options_.state_dir));
  SL_RETURN_IF_ERROR(OpenDatapath());
  // Before the first look, so that no change is missed after it.
  SL_ASSIGN_OR_RETURN(auto monitor, net::NetlinkMonitor::Open(kOwnFilter));
  monitor_ = std::make_unique<net::NetlinkMonitor>(std::move(monitor));
  SL_ASSIGN_OR_RETURN(auto closers_monitor, net::NetlinkMonitor::Open(kOwnFilter));
  SL_ASSIGN_OR_RETURN(auto state, store_->Load());
  for (const std::string& problem : state.problems) LogError("{}", problem);
  state.pinned = datapath_->is_handing_over();
  StatusOr<policy::ResourceMap> directory = policy::ResourceMap();
  if (!options_.resources.empty()) directory = resources::ReadResourceDirectory(options_.resources);
  // If this node was enforced on before, ending here would leave it open after a boot: the controller holds instead.
  const bool is_first = state.empty() && !state.pinned && datapath_->generation() == 0;
  if (!directory.ok() && is_first) return directory.status();
  SL_RETURN_IF_ERROR(CheckRules(is_first));
  MakeController();
  SL_RETURN_IF_ERROR(StartKubernetes());
  MakeTelemetry();
  // Claim what another agent may have taken before anything is attached: an agent that cannot stay touches no pod.
  SL_RETURN_IF_ERROR(Annotate(telemetry_->Serve(), "--metrics"));
  SL_RETURN_IF_ERROR(FollowUplinks());
  // Before our tables evaluate the first packet: otherwise process rules would not know any process.
  if (datapath_->is_handing_over()) SeedProcesses(options_, helper_);
  StatusOr<policy::ResourceMap> of_kubernetes = policy::ResourceMap();
  if (kubernetes_) of_kubernetes = kubernetes_->WaitForResources(kKubernetesAtStart);
  SL_RETURN_IF_ERROR(controller_->Restore({.directory = std::move(directory), .kubernetes = std::move(of_kubernetes)},
                                          std::move(state)));
  SL_ASSIGN_OR_RETURN(closer_, Closer::Start(controller_.get(), std::move(closers_monitor)));
  // Nobody follows Services without Kubernetes: what an earlier agent knew of them would become wrong.
  if (options_.kube == "off")
    SL_RETURN_IF_ERROR(datapath_->services().Set(std::make_shared<const policy::ServiceTable>()));
  // An agent that cannot stay has not attached them.
  services_ = Services::Start(TranslatesServices(options_), options_.bpf_root, datapath_.get(), helper_);
  // After the workloads are known, so that no event is without its workload.
  StartProcessSensors(options_, node_name_, helper_, controller_.get(), telemetry_.get());
  if (const Status begun = hook_policies_->Begin(telemetry_.get()); !begun.ok())
    LogError("hook policies are not in force yet: {}", Message(begun));
  if (const Status begun = lsm_policies_->Begin(telemetry_.get()); !begun.ok())
    LogError("KubeArmor policies are not in force yet: {}", Message(begun));
  SL_RETURN_IF_ERROR(StartRules());
  StartCaptures();
  responses_ = std::make_unique<Responses>(
      Responses::Options{
          .node = node_name_, .state_dir = options_.state_dir, .forensics_bytes = options_.forensics_max_bytes},
      controller_.get(), telemetry_.get(), helper_, captures_ ? captures_->recorder() : nullptr);
  SL_RETURN_IF_ERROR(datapath_->EndHandOver());
  SL_RETURN_IF_ERROR(datapath_->Keep({{datapath::Repaired::kAttachment, [this] { return services_->Repair(); }},
                                      {datapath::Repaired::kPin, [this] { return hook_policies_->PutBackPins(); }}}));
  SL_RETURN_IF_ERROR(StartExport());
  ready_ = true;
  SL_RETURN_IF_ERROR(telemetry_->Start());
  SL_RETURN_IF_ERROR(StartOtlp());
  SL_RETURN_IF_ERROR(StartApi());
  SL_RETURN_IF_ERROR(StartHubble());
  SL_RETURN_IF_ERROR(StartKubeArmorApi());
  SL_RETURN_IF_ERROR(StartWeb());
  if (kubernetes_) SL_RETURN_IF_ERROR(Annotate(kubernetes_->ServeCni(), "--cni-socket"));
  return OkStatus();
}

Agent::~Agent() {
  web_.reset();
  if (hook_policies_) hook_policies_->Stop();
  if (lsm_policies_) lsm_policies_->Stop();
  begun_rules_ = nullptr;
  if (telemetry_) telemetry_->Stop();  // ends the followers' calls and requests for metrics
  begun_otlp_ = nullptr;
  otlp_.reset();  // it reads metrics of what ends below
  relay_api_.reset();
  tetragon_api_.reset();
  hubble_.reset();
  server_.reset();
  kubearmor_server_.reset();
  rules_.reset();  // after the calls that record
  responses_.reset();
  if (captures_) captures_->Stop();
}

Status Agent::OpenDatapath() {
  datapath::BpfDatapathOptions options{.bpf_root = options_.bpf_root, .object = {}};
  options.object.epoch_addresses = options_.max_addresses;
  options.object.epoch_prefixes = options_.max_prefixes;
  options.object.epoch_peers = options_.max_peers;
  options.object.epoch_ports = options_.max_port_entries;
  options.object.flows = options_.max_flows;
  options.object.flows_denied = options_.max_denied_flows;
  options.object.event_rate = options_.event_rate;
  options.object.uplinks = !options_.uplinks.empty();
  options.object.admin_calls = helper_;
  options.services = TranslatesServices(options_);
  SL_ASSIGN_OR_RETURN(datapath_, datapath::BpfDatapath::Open(options));
  SL_RETURN_IF_ERROR(Annotate(datapath_->SetQuarantineAllow(options_.quarantine_allow), "--quarantine-allow"));
  SL_RETURN_IF_ERROR(datapath_->SetRedirectRecheck(std::chrono::seconds(options_.redirect_recheck)));
  if (options_.redirect) setting_flags_ |= SL_SETTING_REDIRECT;
  if (options_.redirect_always) setting_flags_ |= SL_SETTING_REDIRECT_ALWAYS;
  if (options_.keep_established) setting_flags_ |= SL_SETTING_KEEP_ESTABLISHED;
  SL_RETURN_IF_ERROR(LookAtHost());
  return datapath_->Configure(setting_flags_);
}

// Reads what redirects depend on and what sends no notification when it changes.
Status Agent::LookAtHost() {
  look_at_host_at_ = Clock::now() + kLookAtHost;
  if (!options_.redirect) return OkStatus();
  const bool tracks = net::TracksTcpWindows();
  if (host_tracks_tcp_ != tracks && !options_.redirect_always) {
    if (tracks)
      LogInfo(
          "TCP of local pods takes the host path: the host's connection tracking follows TCP's windows; with "
          "net.netfilter.nf_conntrack_tcp_be_liberal=1 TCP takes the redirect");
    else
      LogInfo("TCP of local pods takes the redirect");
  }
  host_tracks_tcp_ = tracks;
  SL_RETURN_IF_ERROR(datapath_->SetHostTracksTcp(tracks));
  return datapath_->LookForOthers();
}

Status Agent::StartKubernetes() {
  if (options_.kube == "off") return OkStatus();
  auto started = Kubernetes::Start({.kube = options_.kube,
                                    .cri = options_.cri,
                                    .cni_socket = options_.cni_socket,
                                    .state_dir = options_.state_dir,
                                    .node_name = node_name_,
                                    .set_services =
                                        [this](auto table) {
                                          service_names_.Set(*table);
                                          return services_->Set(std::move(table));
                                        },
                                    .set_node_labels = [this](const auto& labels) { return SetNodeLabels(labels); },
                                    .set_containers = [this](const auto& all) { SetContainers(all); },
                                    .policy_problems =
                                        [this] {
                                          PolicyProblems problems = hook_policies_->controller()->problems();
                                          problems.merge(lsm_policies_->controller()->problems());
                                          return problems;
                                        }},
                                   controller_.get(), &container_names_);
  if (!started.ok()) return Annotate(started.status(), "--kube");
  kubernetes_ = *std::move(started);
  return OkStatus();
}

void Agent::FollowKubernetes(bool has_changed) {
  if (!kubernetes_ || (!has_changed && Clock::now() < follow_kubernetes_at_)) return;
  follow_kubernetes_at_ = Clock::now() + Kubernetes::kRetry;
  kubernetes_->Follow();
}

// Those of the command line go before.
Status Agent::SetNodeLabels(policy::Labels labels) {
  for (const auto& [key, value] : options_.node_labels) labels[key] = value;
  Status set = hook_policies_->controller()->SetNodeLabels(labels);
  set.Update(lsm_policies_->controller()->SetNodeLabels(std::move(labels)));
  return set;
}

void Agent::SetContainers(const std::vector<cri::Container>& containers) {
  std::vector<hooks::LocalContainer> local;
  std::vector<policy::rules::Container> listed;
  local.reserve(containers.size());
  listed.reserve(containers.size());
  for (const cri::Container& one : containers) {
    local.push_back({.id = one.id, .name = one.name, .repository = one.repository, .cgroup = one.cgroup});
    listed.push_back(ForRules(one));
  }
  container_follower_->Set(std::move(local));
  container_facts_.Set(listed);
}

void Agent::MakeController() {
  hook_policies_ = std::make_unique<HookPolicies>(HookPolicies::Options{
      .bpf_root = options_.bpf_root, .node = node_name_, .admin_calls = helper_, .datapath = datapath_.get()});
  lsm_policies_ = std::make_unique<LsmPolicies>(LsmPolicies::Options{
      .bpf_root = options_.bpf_root, .node = node_name_, .labels = [this](const policy::ObjectName& name) {
        const auto view = controller_->view();
        const policy::ResourceId id{policy::Kind::kWorkload, name};
        return view->resources.contains(id) ? view->resources.at(id).workload->labels : policy::Labels();
      }});
  container_follower_ =
      std::make_unique<hooks::ContainerFollower>(hooks::ContainerFollower::Options{.tell = [this](const auto& all) {
        Status told = hook_policies_->controller()->SetContainers(all);
        told.Update(lsm_policies_->controller()->SetContainers(all));
        return told;
      }});
  // Without an API server the node has no other labels. Before Begin they are only noted, and cannot fail.
  if (options_.kube == "off" && !options_.node_labels.empty()) SetNodeLabels({}).IgnoreError();
  controller_ = std::make_unique<reconcile::Controller>(
      datapath_.get(), reconcile::Node::Real([this](int netns_fd) { return helper_->SocketIn(netns_fd); }),
      [this](const reconcile::StateChange& change, const std::function<Status()>& enforce) {
        return store_->Save(change, enforce);
      },
      hook_policies_->controller(), lsm_policies_->controller());
}

// An uplink that comes back is a new interface to the kernel. A missing one does not delay the others.
Status Agent::FollowUplinks() {
  Status followed = datapath_->ReleaseOtherUplinks(options_.uplinks);
  for (const std::string& uplink : options_.uplinks) {
    const StatusOr<datapath::XdpMode> mode = datapath_->AttachUplink(uplink);
    followed.Update(mode.status());
    if (!mode.ok()) {
      attached_uplinks_.erase(uplink);
    } else if (attached_uplinks_.insert(uplink).second) {
      LogInfo("uplink {}: attached", uplink);
      if (*mode == datapath::XdpMode::kGeneric)
        LogWarn("uplink {}: its driver has no native XDP; generic mode enforces the same, but is several times slower",
                uplink);
    }
  }
  return followed;
}

void Agent::MakeTelemetry() {
  reconcile::Controller* const controller = controller_.get();
  telemetry::TelemetryOptions options;
  options.node = node_name_;
  options.version = SLUICE_VERSION;
  options.metrics_address = options_.metrics;
  options.history = options_.history;
  options.max_workload_series = options_.workload_series;
  options.max_process_series = options_.process_series;
  options.max_policy_series = options_.policy_series;
  telemetry::TelemetrySources sources;
  sources.datapath = datapath_.get();
  sources.policy.compiled = [controller] {
    const auto view = controller->view();
    return std::shared_ptr<const policy::CompiledPolicy>(view, &view->compiled);
  };
  sources.policy.decision = [controller](std::uint32_t number) { return controller->FindDecision(number); };
  sources.revision = [controller] { return controller->view()->revision; };
  sources.unbound_workloads = [controller] { return controller->view()->unbound.size(); };
  sources.closed = [controller] { return api::ClosedLines(*controller->view()); };
  sources.api_refused = [this] {
    std::vector<std::pair<std::string, std::uint64_t>> all;
    for (const api::Calls* const calls : {calls_.load(), tetragon_calls_.load(), relay_calls_.load()}) {
      if (calls == nullptr) continue;
      const auto refused = calls->RefusedByCause();  // all causes, in one order
      if (all.empty()) all.resize(refused.size());
      for (std::size_t i = 0; i < refused.size(); ++i) all[i] = {refused[i].first, all[i].second + refused[i].second};
    }
    if (const hubble::HubbleApi* const hubble = served_hubble_; hubble != nullptr) hubble->AddRefused(&all);
    return all;
  };
  sources.containers = &container_names_;
  sources.services = &datapath_->services();
  if (kubernetes_) {
    sources.kubernetes = [this] { return kubernetes_->states(); };
    sources.kubernetes_writes = [this] { return kubernetes_->writes(); };
  }
  sources.hook_policies = [this] { return hook_policies_->Numbers(); };
  sources.hook_records = [this] { return hook_policies_->RecordNumbers(); };
  sources.lsm_policies = [this] { return lsm_policies_->Numbers(); };
  sources.detection = [this]() -> std::optional<telemetry::DetectionNumbers> {
    const DetectionRules* const rules = begun_rules_;
    return rules == nullptr ? std::nullopt : rules->Numbers();
  };
  sources.responses = [this] { return responses_ ? responses_->Numbers() : telemetry::ResponseNumbers(); };
  sources.captures = [this]() -> std::optional<telemetry::CaptureNumbers> {
    const Captures* const captures = begun_captures_;
    return captures == nullptr ? std::nullopt : std::optional(captures->MetricNumbers());
  };
  sources.otlp = [this] {
    const Otlp* const otlp = begun_otlp_;
    return otlp == nullptr ? std::vector<telemetry::OtlpNumbers>() : otlp->Numbers();
  };
  sources.quarantined_workloads = [controller]() -> StatusOr<std::size_t> {
    SL_ASSIGN_OR_RETURN(const policy::Quarantine quarantine, controller->quarantine());
    return quarantine.workloads.size();
  };
  sources.ready = [this] { return ready_.load(); };
  sources.holding = [controller] { return controller->view()->holding; };
  sources.send_flow_events = [this](bool on) {
    const Status status = datapath_->Configure(setting_flags_ | (on ? SL_SETTING_EVENTS : 0));
    if (!status.ok()) LogError("switch flow events {}: {}", on ? "on" : "off", Message(status));
  };
  telemetry_ = std::make_unique<telemetry::Telemetry>(std::move(options), std::move(sources));
}

telemetry::RotatingFile::Options Agent::ExportFile() const {
  return {.path = options_.export_file, .max_bytes = options_.export_max_bytes, .max_files = options_.export_max_files};
}

// At a later start wrong rules are no reason to leave the node without enforcement.
Status Agent::CheckRules(bool is_first) const {
  if (options_.rules.paths.empty()) return OkStatus();
  if (!options_.rules_http.url.empty())
    SL_RETURN_IF_ERROR(Annotate(detect::HttpSender::Create(options_.rules_http).status(), "--rules-http"));
  if (!is_first) return OkStatus();
  return Annotate(detect::LoadRuleFiles(options_.rules).status(), "--rules");
}

Status Agent::StartRules() {
  SL_ASSIGN_OR_RETURN(rules_, DetectionRules::Start(options_, node_name_, telemetry_.get(),
                                                    {.containers = &container_facts_, .services = &service_names_}));
  if (const Status begun = rules_->Begin(); !begun.ok())
    LogError("detection rules are not in force until they are right: {}", Message(begun));
  begun_rules_ = rules_.get();
  return OkStatus();
}

void Agent::ReadRulesAgain() {
  if (!rules_->has_files()) return;
  if (const Status loaded = rules_->Reload(); !loaded.ok())
    LogError("SIGHUP: rules: refused, the earlier rules stay in force: {}", Message(loaded));
}

Status Agent::CheckExport() const {
  if (options_.export_file.empty()) return OkStatus();
  const auto file = telemetry::RotatingFile::Open(ExportFile());
  if (file.ok()) return OkStatus();
  return InvalidError("--export-file: {}; give a regular file in an existing directory", Message(file.status()));
}

Status Agent::StartExport() {
  if (options_.export_file.empty()) return OkStatus();
  telemetry::EventExport::Options options{.node = node_name_,
                                          .file = ExportFile(),
                                          .rate = options_.export_rate,
                                          .span = std::chrono::seconds(options_.export_span)};
  if (options_.export_format == "tetragon-json") telemetry::ExportAsTetragon(&options);
  if (options_.export_format == "kubearmor-json") telemetry::ExportAsKubeArmor(&options);
  if (options_.export_format == "falco-json") telemetry::ExportAsFalco(&options);
  return Annotate(telemetry_->StartExport(std::move(options)), "--export-file");
}

Captures::Options Agent::CaptureOptions() const {
  const std::string directory = options_.capture_dir.empty() ? options_.state_dir + "/captures" : options_.capture_dir;
  return {.workloads = options_.capture,
          .on = options_.capture_on,
          .ring = {.bytes = options_.capture_bytes, .snaplen = options_.capture_snaplen},
          .max_bytes = options_.capture_memory,
          .recorder = {.files = {.directory = directory, .max_bytes = options_.capture_dir_bytes},
                       .node = node_name_,
                       .application = "Sluice " SLUICE_VERSION,
                       .before = std::chrono::seconds(options_.capture_before),
                       .after = std::chrono::seconds(options_.capture_after),
                       .interval = std::chrono::seconds(options_.capture_interval)}};
}

// Enforcement goes on without it.
void Agent::StartCaptures() {
  auto captures = Captures::Start(CaptureOptions(), datapath_.get(), telemetry_.get());
  if (!captures.ok()) return LogError("no packets are captured: {}", Message(captures.status()));
  captures_ = *std::move(captures);
  begun_captures_ = captures_.get();
}

Status Agent::StartOtlp() {
  SL_ASSIGN_OR_RETURN(otlp_, Otlp::Start(options_, node_name_, telemetry_.get()));
  begun_otlp_ = otlp_.get();
  return OkStatus();
}

void Agent::ReadDirectoryAgain(const std::string& caller) {
  if (options_.resources.empty()) return LogInfo("SIGHUP: no --resources directory to read");
  const auto before = controller_->view();
  auto directory = resources::ReadResourceDirectory(options_.resources, policy::tracing::Reading::kCompiled);
  const Status status = directory.ok() ? controller_->SetDirectory(*std::move(directory)) : directory.status();
  const auto view = controller_->view();
  const StatusOr<std::uint64_t> revision = status.ok() ? StatusOr<std::uint64_t>(view->revision) : status;
  service_->teller().Tell("reload", caller, revision, api::DirectoryChanges(*before, *view));
  if (status.ok()) {
    LogInfo("SIGHUP: {} is in force, revision {}", options_.resources, view->revision);
    WarnOfShadowed();
    return service_->LogLinks();
  }
  LogError("SIGHUP: refused, the earlier resources stay in force: {}", Message(status));
}

void Agent::WarnOfShadowed() const {
  for (const std::string& text : api::ShadowedTexts(*controller_->view(), options_.resources)) LogWarn("{}", text);
}

void Agent::Refresh() {
  refresh_at_.reset();
  if (look_at_all_at_ && Clock::now() >= *look_at_all_at_) {
    look_at_all_at_.reset();
    heard_.other = true;
  }
  Status status = FollowUplinks();
  status.Update(controller_->Refresh(std::exchange(heard_, {})));
  const std::string problem = status.ok() ? "" : Message(status);
  if (problem != refresh_problem_ && !status.ok()) LogError("following the node's interfaces: {}", problem);
  refresh_problem_ = problem;
  const auto view = controller_->view();
  if (!status.ok() || !monitor_->hears_pods() || !view->unbound.empty() || !view->holding.empty()) {
    // There is no notification of what is waited for.
    if (!look_at_all_at_) look_at_all_at_ = Clock::now() + kLookAgain;
    refresh_at_ = look_at_all_at_;
  }
}

void Agent::KeepCopy() {
  if (Clock::now() < keep_copy_at_) return;
  keep_copy_at_ = Clock::now() + kKeepCopy;
  const Status kept = controller_->WhileNothingIsSaved([this] { return store_->KeepCopy(); });
  const std::string problem = kept.ok() ? "" : Message(kept);
  if (problem != copy_problem_ && !kept.ok()) LogWarn("keep a copy of the saved state: {}", problem);
  copy_problem_ = problem;
}

int Agent::MillisecondsToRefresh() const {
  const std::chrono::milliseconds most = kubernetes_ ? Kubernetes::kRetry : kLookAtHost;
  const auto left = refresh_at_ ? std::chrono::ceil<std::chrono::milliseconds>(*refresh_at_ - Clock::now()) : most;
  return static_cast<int>(std::clamp(left, std::chrono::milliseconds(0), most).count());
}

// Reports each change of the holding state to the service manager and the log.
void Agent::TellHolding() {
  const std::string holding = controller_->view()->holding;
  if (holding == told_holding_) return;
  if (holding.empty()) LogInfo("no longer holding: the wanted resources are in force");
  told_holding_ = holding;
  NotifyStatus(holding);
}

Status Agent::Run() {
  const sigset_t signals = AgentSignals();
  const Fd signal_fd(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signal_fd.valid()) return ErrnoError(errno, "signalfd");
  heard_.other = true;  // what changed since the first look
  Refresh();
  while (true) {
    NotifyAlive();
    TellHolding();
    pollfd polled[] = {{signal_fd.get(), POLLIN, 0},
                       {monitor_->fd(), POLLIN, 0},
                       {closer_->fd(), POLLIN, 0},
                       {helper_->fd(), 0, 0},
                       {kubernetes_ ? kubernetes_->fd() : -1, POLLIN, 0}};
    const int heard = poll(polled, std::size(polled), MillisecondsToRefresh());
    if (heard < 0 && errno != EINTR) return ErrnoError(errno, "poll");
    FollowKubernetes(polled[4].revents != 0);
    // A change of the resources may have brought workloads that do not exist yet.
    if (!refresh_at_ && !controller_->view()->unbound.empty()) refresh_at_ = Clock::now() + kLookAgain;
    signalfd_siginfo signal{};
    while (read(signal_fd.get(), &signal, sizeof(signal)) == sizeof(signal)) {
      LogInfo("signal {} from uid {}, pid {}", signal.ssi_signo, signal.ssi_uid, signal.ssi_pid);
      if (signal.ssi_signo != SIGHUP) {
        LogInfo("stopping; the attached programs continue to enforce");
        keep_copy_at_ = {};
        KeepCopy();
        return OkStatus();
      }
      ReadRulesAgain();
      ReadDirectoryAgain(fmt::format("uid {}, pid {}", signal.ssi_uid, signal.ssi_pid));
    }
    if (polled[3].revents != 0) {
      ready_ = false;
      return Annotate(helper_->WhyGone(),
                      "the attached programs continue to enforce, but changes of pods cannot be followed");
    }
    SL_ASSIGN_OR_RETURN(const net::NetChanges changes, monitor_->Drain());
    heard_.Add(changes);
    const bool changed = closer_->HasClosed() || changes.any();
    if (changed && (!refresh_at_ || *refresh_at_ > Clock::now() + kSettle)) refresh_at_ = Clock::now() + kSettle;
    if (refresh_at_ && Clock::now() >= *refresh_at_) Refresh();
    if (Clock::now() >= look_at_host_at_) {
      const Status looked = LookAtHost();
      const std::string problem = looked.ok() ? "" : Message(looked);
      if (problem != host_problem_ && !looked.ok())
        LogWarn("look for other programs on the pods' interfaces: {}", problem);
      host_problem_ = problem;
    }
    if (Clock::now() >= tend_at_) {
      tend_at_ = Clock::now() + kTend;
      if (const Status tended = datapath_->TendProcessClasses(); !tended.ok())
        LogError("maintain the process classes: {}", Message(tended));
    }
    if (Clock::now() >= return_memory_at_) {
      return_memory_at_ = Clock::now() + kReturnMemory;
      api::ReturnFreedMemory(kFreeMemory);
    }
    KeepCopy();
  }
}

Status UninstallAgent(const AgentOptions& options) {
  SL_ASSIGN_OR_RETURN(const datapath::Uninstalled pinned, datapath::Uninstall(options.bpf_root));
  SL_ASSIGN_OR_RETURN(const bool had_state, reconcile::StateStore::Remove(options.state_dir));  // no agent uses it
  SL_RETURN_IF_ERROR(pods::PodSandboxes::RemoveFiles(options.state_dir));
  for (const std::string& address :
       {options.api.address, TetragonApi::ServerFor(options.api, options.tetragon_api).address})
    SL_RETURN_IF_ERROR(api::Listener::RemoveStale(address));
  for (const std::string& address : options.hubble.addresses) SL_RETURN_IF_ERROR(api::Listener::RemoveStale(address));
  if (!options.kubearmor_api.address.empty())
    SL_RETURN_IF_ERROR(api::Listener::RemoveStale(options.kubearmor_api.address));
  return WriteOut(fmt::format(
      "{}: {}\n{}: {}\n", options.bpf_root,
      pinned.existed ? fmt::format("unpinned everything, detached from the interfaces of {} pods", pinned.pods)
                     : "not there",
      options.state_dir, had_state ? "removed what was applied" : "nothing was applied"));
}

}  // namespace sluice
