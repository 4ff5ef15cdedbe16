// The parts of the agent, connected: state, packet path, controller, telemetry, API. After Start everything is in
// force; Run follows the node and the signals until it is told to stop. What is pinned continues to enforce afterwards.
#pragma once

#include <atomic>
#include <chrono>
#include <csignal>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "ctrl/api/server.h"
#include "ctrl/api/service.h"
#include "ctrl/hooks/container_follower.h"
#include "ctrl/hubble/hubble_api.h"
#include "ctrl/kubearmor/log_service.h"
#include "ctrl/rights/helper.h"
#include "ctrl/sluiced/captures.h"
#include "ctrl/sluiced/closer.h"
#include "ctrl/sluiced/hook_policies.h"
#include "ctrl/sluiced/kubernetes.h"
#include "ctrl/sluiced/lsm_policies.h"
#include "ctrl/sluiced/options.h"
#include "ctrl/sluiced/otlp.h"
#include "ctrl/sluiced/relay_api.h"
#include "ctrl/sluiced/responses.h"
#include "ctrl/sluiced/rules.h"
#include "ctrl/sluiced/services.h"
#include "ctrl/sluiced/tetragon_api.h"
#include "ctrl/web/web_server.h"
#include "kernel/bpf/features.h"
#include "kernel/datapath/bpf_datapath.h"
#include "kernel/net/netlink.h"

namespace sluice {

// What Agent::Run reads.
sigset_t AgentSignals();

class Agent {
 public:
  // AgentSignals must be blocked before: telemetry and gRPC start threads. Errors say what could not be
  // started; InvalidArgument: an option is wrong or, at a first start, the resources directory. At a later start the
  // agent holds until SIGHUP finds the directory fixed. `helper` outlives the agent.
  static StatusOr<std::unique_ptr<Agent>> Start(const AgentOptions& options, const rights::Helper* helper);
  ~Agent();

  // Why what was applied is not in force; empty: it is.
  std::string holding() const { return controller_->view()->holding; }

  // Until SIGTERM or SIGINT. SIGHUP reads the resources directory again. Also returns an error when the helper has
  // ended: the next agent starts a new one.
  Status Run();

 private:
  Agent(AgentOptions options, const rights::Helper* helper) : options_(std::move(options)), helper_(helper) {}
  Status Begin();
  Status OpenDatapath();
  Status LookAtHost();
  void MakeController();
  Status SetNodeLabels(policy::Labels labels);                        // those of the API server
  void SetContainers(const std::vector<cri::Container>& containers);  // all that the runtime has; returns at once
  Status StartKubernetes();
  void FollowKubernetes(bool has_changed);
  void MakeTelemetry();
  Status FollowUplinks();
  telemetry::RotatingFile::Options ExportFile() const;
  Status CheckRules(bool is_first) const;
  Status StartRules();
  void ReadRulesAgain();
  Status CheckExport() const;  // InvalidArgument: the file cannot be written
  Status StartExport();
  Status StartOtlp();
  Captures::Options CaptureOptions() const;
  void StartCaptures();
  Status StartApi();
  api::ServerOptions ApiServer() const;
  Status CheckTetragonApi() const;
  Status StartTetragonApi();
  Status StartHubble();
  Status StartKubeArmorApi();
  Status StartWeb();
  Status TellRights(v1::AgentStatus& status) const;
  std::vector<bpf::Feature> Features() const;
  void ReadDirectoryAgain(const std::string& caller);
  void WarnOfShadowed() const;
  void Refresh();
  void KeepCopy();
  void TellHolding();
  int MillisecondsToRefresh() const;

  using Clock = std::chrono::steady_clock;

  const AgentOptions options_;
  const rights::Helper* const helper_;
  std::string node_name_;
  std::uint32_t setting_flags_ = 0;
  std::unique_ptr<reconcile::StateStore> store_;
  std::unique_ptr<Services> services_;           // before the packet path, whose keeper uses it
  std::unique_ptr<HookPolicies> hook_policies_;  // before the controller, which uses it, and the packet path's keeper
  std::unique_ptr<datapath::BpfDatapath> datapath_;
  std::unique_ptr<net::NetlinkMonitor> monitor_;
  std::unique_ptr<LsmPolicies> lsm_policies_;                     // before the controller, which uses it
  std::unique_ptr<hooks::ContainerFollower> container_follower_;  // its thread calls the controllers of both
  std::unique_ptr<reconcile::Controller> controller_;
  std::unique_ptr<Closer> closer_;
  telemetry::ContainerNames container_names_;
  detect::ContainerFacts container_facts_;
  detect::ServiceNames service_names_;
  std::unique_ptr<Kubernetes> kubernetes_;  // null: --kube off
  std::unique_ptr<telemetry::Telemetry> telemetry_;
  std::unique_ptr<DetectionRules> rules_;  // after telemetry, which it uses
  std::unique_ptr<Captures> captures_;     // null: the kernel refused
  std::unique_ptr<Responses> responses_;   // made before the agent is ready
  std::unique_ptr<Otlp> otlp_;             // null: without --otlp
  std::unique_ptr<api::Service> service_;
  std::unique_ptr<api::Server> server_;
  std::unique_ptr<RelayApi> relay_api_;                    // null: not served
  std::unique_ptr<TetragonApi> tetragon_api_;              // null: not served
  std::unique_ptr<hubble::HubbleApi> hubble_;              // null: not served
  std::unique_ptr<kubearmor::LogService> kubearmor_logs_;  // null: not served
  std::unique_ptr<api::Server> kubearmor_server_;
  std::unique_ptr<web::WebServer> web_;                           // null: not served
  std::atomic<const api::Calls*> calls_{nullptr};                 // the server's, once it exists
  std::atomic<const api::Calls*> tetragon_calls_{nullptr};        // likewise
  std::atomic<const api::Calls*> relay_calls_{nullptr};           // likewise
  std::atomic<const hubble::HubbleApi*> served_hubble_{nullptr};  // hubble_, once it serves
  std::atomic<const DetectionRules*> begun_rules_{nullptr};       // rules_, once it exists
  std::atomic<const Captures*> begun_captures_{nullptr};          // captures_, once it exists
  std::atomic<const Otlp*> begun_otlp_{nullptr};                  // otlp_, likewise
  std::atomic<bool> ready_{false};                                // enforcement is in place
  std::set<std::string> attached_uplinks_;
  std::optional<Clock::time_point> refresh_at_;
  std::optional<Clock::time_point> look_at_all_at_;  // workloads
  net::NetChanges heard_;                            // since the last Refresh
  Clock::time_point follow_kubernetes_at_{};
  Clock::time_point tend_at_{};
  Clock::time_point keep_copy_at_{};
  Clock::time_point return_memory_at_{};
  Clock::time_point look_at_host_at_{};
  bool host_tracks_tcp_ = false;
  std::string refresh_problem_;  // logged already
  std::string copy_problem_;     // logged already
  std::string host_problem_;     // logged already
  std::string told_holding_;     // reported already
};

// `--uninstall`: detaches and unpins everything and removes the state. FailedPrecondition while an agent runs.
Status UninstallAgent(const AgentOptions& options);

}  // namespace sluice
