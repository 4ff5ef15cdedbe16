// Kubernetes as a source of resources: the API server's objects, and a Workload for each pod of this node that
// SandboxSource or the CNI plugin names; and the Services as a table. It tells the server where a person has to act
// (ctrl/notice). Threads of its own follow all three; the agent's main thread takes over what they know:
//   SL_ASSIGN_OR_RETURN(auto kubernetes, Kubernetes::Start(options, controller));
//   poll(kubernetes->fd()); kubernetes->Follow();
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/fd.h"
#include "ctrl/kube/client.h"
#include "ctrl/node/node_pods.h"
#include "ctrl/notice/node_notices.h"
#include "ctrl/notice/nodes_of_pods.h"
#include "ctrl/notice/policy_notices.h"
#include "ctrl/pods/cni_server.h"
#include "ctrl/pods/pod_sandboxes.h"
#include "ctrl/reconcile/controller.h"
#include "ctrl/service/service_source.h"
#include "ctrl/sluiced/container_sources.h"
#include "ctrl/sluiced/sandbox_source.h"
#include "telemetry/metrics/source_state.h"

namespace sluice {

using PolicyProblems = std::map<policy::ResourceId, std::string>;

struct KubernetesOptions {
  std::string kube;        // "in-cluster", or the path of a kubeconfig file
  std::string cri;         // as SandboxSource::Start takes it
  std::string cni_socket;  // of the CNI plugin; empty: it is not served
  std::string state_dir;
  std::string node_name;  // of this node's Node
  // Takes each table of Services, on the agent's main thread. An error is logged, and the table given again after
  // kRetry. Empty: Services are not watched.
  std::function<Status(std::shared_ptr<const policy::ServiceTable>)> set_services;
  // Takes the labels of this node, on the agent's main thread, likewise. May be empty.
  std::function<Status(const policy::Labels&)> set_node_labels;
  // Takes the containers of the runtime after each change, on a thread of this class. Must not block. May be empty.
  std::function<void(const std::vector<cri::Container>&)> set_containers;
  // Why hook policies and KubeArmor policies are in error. May be empty.
  std::function<PolicyProblems()> policy_problems;
};

class Kubernetes final : private kube::Sink {
 public:
  // `controller` and `containers`, which gets their names, outlive this. Error: the configuration is bad
  // (InvalidArgument), or another agent serves the socket. Whether the servers answer is found out later.
  static StatusOr<std::unique_ptr<Kubernetes>> Start(const KubernetesOptions& options,
                                                     reconcile::Controller* controller,
                                                     telemetry::ContainerNames* containers);
  ~Kubernetes() override;

  // Waits, for at most `limit`, until everything has been read once. Unavailable: what has not, and why.
  // For Controller::Restore. From the agent's main thread, as Follow.
  StatusOr<policy::ResourceMap> WaitForResources(std::chrono::milliseconds limit);
  // From now on, calls of the plugin are answered.
  Status ServeCni();

  int fd() const { return changed_.get(); }  // readable when Follow has something to do
  // Gives the controller what is known now. An error is logged, and tried again after kRetry.
  void Follow();
  static constexpr std::chrono::milliseconds kRetry{1000};  // the longest time between two calls of Follow

  const std::string& server() const { return server_; }
  // Both are thread-safe.
  std::vector<telemetry::SourceState> states() const;
  telemetry::SourceWrites writes() const;

 private:
  // epoll, and the events that it waits for.
  struct Fds {
    Fd changed, event, services;
  };
  Kubernetes(Fds fds, KubernetesOptions options, reconcile::Controller* controller,
             telemetry::ContainerNames* containers)
      : changed_(std::move(fds.changed)),
        event_(std::move(fds.event)),
        services_event_(std::move(fds.services)),
        options_(std::move(options)),
        controller_(controller),
        containers_(options_.node_name, containers) {}
  StatusOr<kube::Converted> Convert(const kube::ResourceSpec& spec, const kube::ObjectMeta& meta,
                                    const simdjson::dom::element& object) override;
  void Apply(const kube::ResourceSpec& spec, kube::Batch batch) override;
  void ApplyResources(policy::Kind kind, const kube::Batch& batch);
  void Wake() const;
  // Unavailable until everything has been read once; what is known stays known after that.
  StatusOr<policy::ResourceMap> Resources();
  Status CheckComplete() const;
  void FollowServices();
  void FollowNode();
  // `followed`: whether what is known is in force.
  void SendNotices(const Status& followed);
  std::vector<notice::NodeProblem> Problems(const Status& followed);
  // With mutex_ held.
  void AddPolicyProblems(const reconcile::View& view, std::vector<notice::NodeProblem>* problems) const;
  // Called by the threads of the CNI server.
  Status AddPod(const pods::ToldSandbox& told, pods::CniServer::Time deadline);
  Status CheckPod(const cni::Attachment& one) const;
  pods::CniHealth Health() const;

  const Fd changed_;  // epoll over the two below and that of source_
  const Fd event_;
  const Fd services_event_;  // apart, as pods need not be looked at for it
  const KubernetesOptions options_;
  reconcile::Controller* const controller_;
  ContainerSources containers_;
  std::string server_;
  std::map<std::string, policy::Kind> kinds_;  // by the name of the ResourceSpec
  std::mutex mutex_;
  policy::ResourceMap resources_;                                      // by mutex_
  notice::NodesOfPods nodes_of_pods_;                                  // by mutex_
  std::map<policy::ResourceId, std::string> uids_of_kernel_policies_;  // by mutex_
  std::shared_ptr<const policy::ServiceNode> node_;                    // by mutex_; null: not read yet
  bool complete_ = false;                                              // everything was read once
  std::string problem_;                                                // of the last Follow; logged already
  // By Follow.
  std::chrono::steady_clock::time_point look_at_pods_at_;     // even without an event
  std::shared_ptr<const policy::ServiceTable> services_set_;  // that was taken
  std::string services_problem_;                              // logged already
  std::shared_ptr<const policy::ServiceNode> node_set_;       // whose labels were taken
  std::string node_problem_;                                  // logged already
  node::NodePods node_pods_;
  // Changes of the plugin's pods, and how many of them the controller has taken over. By told_mutex_.
  std::mutex told_mutex_;
  std::condition_variable followed_;
  std::uint64_t told_ = 0, followed_until_ = 0;
  bool stopping_ = false;
  std::unique_ptr<pods::PodSandboxes> sandboxes_;
  std::unique_ptr<service::ServiceSource> services_;  // null: not watched
  notice::PolicyNotices policy_notices_{options_.node_name};
  notice::NodeNotices node_notices_{options_.node_name};
  // Last, in this order: their threads call back.
  std::unique_ptr<SandboxSource> source_;
  std::unique_ptr<kube::Client> client_;
  std::unique_ptr<pods::CniServer> cni_;
};

}  // namespace sluice
