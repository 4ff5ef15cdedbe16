// Kubernetes as a source of resources: the API server's objects, and a Workload for each pod of this node that the
// container runtime or the CNI plugin names. Threads of its own follow all three; the agent's main thread takes over
// what they know:
//   SL_ASSIGN_OR_RETURN(auto kubernetes, Kubernetes::Start(options, controller));
//   poll(kubernetes->fd()); kubernetes->Follow();
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/fd.h"
#include "ctrl/cri/sandbox_watch.h"
#include "ctrl/kube/client.h"
#include "ctrl/node/node_pods.h"
#include "ctrl/pods/cni_server.h"
#include "ctrl/pods/pod_sandboxes.h"
#include "ctrl/reconcile/controller.h"
#include "telemetry/metrics/source_state.h"

namespace sluice {

struct KubernetesOptions {
  std::string kube;        // "in-cluster", or the path of a kubeconfig file
  std::string cri;         // unix:///PATH of the container runtime; empty: the first known one that answers
  std::string cni_socket;  // of the CNI plugin; empty: it is not served
  std::string state_dir;
};

class Kubernetes final : private kube::Sink {
 public:
  // `controller` outlives this. Error: the configuration is bad (InvalidArgument), or another agent serves the socket.
  // Whether the servers answer is found out later.
  static StatusOr<std::unique_ptr<Kubernetes>> Start(const KubernetesOptions& options,
                                                     reconcile::Controller* controller);
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
  std::vector<telemetry::SourceState> states() const;  // thread-safe

 private:
  Kubernetes(Fd changed, Fd event, KubernetesOptions options, reconcile::Controller* controller)
      : changed_(std::move(changed)), event_(std::move(event)), options_(std::move(options)), controller_(controller) {}
  StatusOr<kube::Converted> Convert(const kube::ResourceSpec& spec, const kube::ObjectMeta& meta,
                                    const simdjson::dom::element& object) override;
  void Apply(const kube::ResourceSpec& spec, kube::Batch batch) override;
  void Wake() const;
  // Unavailable until everything has been read once; what is known stays known after that.
  StatusOr<policy::ResourceMap> Resources();
  Status CheckComplete() const;
  // Called by the threads of the CNI server.
  Status AddPod(const pods::ToldSandbox& told, pods::CniServer::Time deadline);
  Status CheckPod(const cni::Attachment& one) const;
  Status CheckEnforced(const std::string& netns) const;
  pods::CniHealth Health() const;

  const Fd changed_;  // epoll over event_ and the runtime's
  const Fd event_;
  const KubernetesOptions options_;
  reconcile::Controller* const controller_;
  std::string server_;
  std::map<std::string, policy::Kind> kinds_;  // by the name of the ResourceSpec
  std::mutex mutex_;
  policy::ResourceMap resources_;                    // by mutex_
  bool complete_ = false;                            // everything was read once
  std::string problem_;                              // of the last Follow; logged already
  std::chrono::steady_clock::time_point last_list_;  // of the runtime, that sandboxes_ has
  node::NodePods node_pods_;
  // Changes of the plugin's pods, and how many of them the controller has taken over. By told_mutex_.
  std::mutex told_mutex_;
  std::condition_variable followed_;
  std::uint64_t told_ = 0, followed_until_ = 0;
  bool stopping_ = false;
  std::unique_ptr<pods::PodSandboxes> sandboxes_;
  // Last, in this order: their threads call back.
  std::unique_ptr<cri::SandboxWatch> runtime_;
  std::unique_ptr<kube::Client> client_;
  std::unique_ptr<pods::CniServer> cni_;
};

}  // namespace sluice
