// A connection to a container runtime (CRI v1 over a unix socket), and containerd's events beside it.
//   RuntimeClient runtime("unix:///run/containerd/containerd.sock", std::chrono::seconds(5));
//   SL_ASSIGN_OR_RETURN(std::string version, runtime.Version());
//   SL_ASSIGN_OR_RETURN(auto sandboxes, runtime.ReadySandboxes());
// One thread at a time makes calls; Cancel is thread-safe.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/status.h"
#include "ctrl/cri/containerd_events.grpc.pb.h"
#include "ctrl/cri/runtime.grpc.pb.h"

namespace sluice::cri {

class RuntimeClient {
 public:
  template <typename Response>
  using OnStatus = std::function<void(const std::string& id, const StatusOr<Response>& status)>;

  // `endpoint`: unix:///PATH. `call_deadline`: of each call. The connection is made with the first one.
  RuntimeClient(const std::string& endpoint, std::chrono::milliseconds call_deadline);

  // Its name and version: "containerd 1.6.20". An error: no runtime that knows CRI v1 answers there.
  StatusOr<std::string> Version();
  StatusOr<std::vector<runtime::v1::PodSandbox>> ReadySandboxes();
  StatusOr<std::vector<runtime::v1::Container>> LivingContainers();  // created or running

  // The verbose status of each, several at once, so that one that hangs does not keep the others. `on_status` is called
  // on this thread, once for each id, in the order of the answers.
  void SandboxStatuses(const std::vector<std::string>& ids,
                       const OnStatus<runtime::v1::PodSandboxStatusResponse>& on_status);
  void ContainerStatuses(const std::vector<std::string>& ids,
                         const OnStatus<runtime::v1::ContainerStatusResponse>& on_status);

  // Ends calls in progress and all later ones with CANCELLED. Thread-safe.
  void Cancel();

  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }

 private:
  // Calls `start` for each id, several in flight, and waits for all answers.
  template <typename Response, typename Start>
  void CallEach(const std::vector<std::string>& ids, const Start& start, const OnStatus<Response>& on_status);
  template <typename Response, typename Start>
  StatusOr<Response> CallOnce(const Start& start);
  void Begin(grpc::ClientContext* context);
  void End(grpc::ClientContext* context);

  const std::chrono::milliseconds call_deadline_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<runtime::v1::RuntimeService::Stub> stub_;
  std::mutex mutex_;
  bool cancelled_ = false;                   // under mutex_
  std::set<grpc::ClientContext*> contexts_;  // of calls in progress, under mutex_
};

// containerd's events on a thread of its own, those after which lists of pods or containers may differ.
class EventStream {
 public:
  // Both are called on that thread; `on_end` once, with UNIMPLEMENTED where the runtime has no such events, and as the
  // last one.
  EventStream(const std::shared_ptr<grpc::Channel>& channel, std::function<void()> on_event,
              std::function<void(const Status&)> on_end);
  ~EventStream();
  EventStream(const EventStream&) = delete;
  EventStream& operator=(const EventStream&) = delete;

 private:
  void Run();

  const std::unique_ptr<containerd::services::events::v1::Events::Stub> stub_;
  const std::function<void()> on_event_;
  const std::function<void(const Status&)> on_end_;
  grpc::ClientContext context_;
  std::thread thread_;
};

}  // namespace sluice::cri
