// A container runtime for tests: CRI v1 over a unix socket, as containerd or as CRI-O, which has no events of
// containerd's.
//   FakeRuntime runtime(FakeRuntime::Kind::kContainerd);
//   runtime.AddSandbox({.id = "aaaa", .pod = "web-0"});
//   runtime.Serve();
// Thread-safe.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "ctrl/cri/containerd_events.grpc.pb.h"
#include "ctrl/cri/runtime.grpc.pb.h"

namespace sluice::cri {

class FakeRuntime {
 public:
  enum class Kind { kContainerd, kCrio };

  struct Pod {
    std::string id;
    std::string pod;
    std::int64_t created_at = 1;
    bool host_network = false;
    std::string info;  // empty: one with the namespace /run/netns/ID and the cgroup /kubepods/podUID/ID
    runtime::v1::PodSandboxState state_in_status = runtime::v1::SANDBOX_READY;
    bool hangs = false;  // its status
  };

  explicit FakeRuntime(Kind kind) : kind_(kind), service_(this), events_(this) {
    std::string name = std::filesystem::temp_directory_path() / "sluice-cri-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    directory_ = name;
  }
  ~FakeRuntime() {
    Stop();
    std::filesystem::remove_all(directory_);
  }

  std::string endpoint() const { return "unix://" + (directory_ / "runtime.sock").string(); }

  void Serve() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = false;
    }
    grpc::ServerBuilder builder;
    builder.AddListeningPort(endpoint(), grpc::InsecureServerCredentials());
    builder.RegisterService(&service_);
    if (kind_ == Kind::kContainerd) builder.RegisterService(&events_);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr) std::abort();
  }

  void Stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    if (server_ == nullptr) return;
    server_->Shutdown(std::chrono::system_clock::now());
    server_->Wait();
    server_.reset();
  }

  void AddSandbox(const Pod& pod) {
    Edit([&] { pods_[pod.id] = pod; });
  }
  void RemoveSandbox(const std::string& id) {
    Edit([&] { pods_.erase(id); });
  }
  void AddContainer(const std::string& id, const std::string& sandbox, const std::string& name, std::uint32_t attempt,
                    runtime::v1::ContainerState state = runtime::v1::CONTAINER_RUNNING,
                    const std::string& cgroups_path = "") {
    Edit([&] { containers_[id] = {sandbox, name, attempt, state, cgroups_path, "", false}; });
  }
  // What the status of a container says of its image, and whether it is privileged.
  void SetFacts(const std::string& id, const std::string& image, bool privileged) {
    Edit([&] {
      containers_[id].image = image;
      containers_[id].privileged = privileged;
    });
  }
  void RemoveContainer(const std::string& id) {
    Edit([&] { containers_.erase(id); });
  }

  // Answers the list of sandboxes, respectively of containers, with this error; OK: with the list.
  void FailLists(const grpc::Status& sandboxes, const grpc::Status& containers) {
    Edit([&] { fail_sandboxes_ = sandboxes, fail_containers_ = containers; });
  }
  // While set, no call is answered.
  void Hang(bool hang) {
    Edit([&] { hang_ = hang; });
  }

  void Tell(const std::string& topic, const std::string& container = "aaaa", const std::string& process = "aaaa") {
    Edit([&] {
      containerd::services::events::v1::TaskExit exit;
      exit.set_container_id(container);
      exit.set_id(process);
      containerd::services::events::v1::Envelope envelope;
      envelope.set_namespace_("k8s.io");
      envelope.set_topic(topic);
      envelope.mutable_event()->set_type_url("containerd.events.TaskExit");
      envelope.mutable_event()->set_value(exit.SerializeAsString());
      told_.push_back(envelope);
    });
  }

  int lists() const { return lists_; }
  int statuses() const { return statuses_; }
  int subscribers() const { return subscribers_; }
  // Whether the status of this container was answered.
  bool asked_for(const std::string& container) const {
    const std::lock_guard lock(mutex_);
    return asked_for_.contains(container);
  }
  std::vector<std::string> filters() const {
    const std::lock_guard lock(mutex_);
    return filters_;
  }

 private:
  struct Living {
    std::string sandbox;
    std::string name;
    std::uint32_t attempt = 0;
    runtime::v1::ContainerState state = runtime::v1::CONTAINER_RUNNING;
    std::string cgroups_path;  // empty: one by the systemd driver
    std::string image;         // empty: one with the container's name
    bool privileged = false;
  };

  template <typename Change>
  void Edit(const Change& change) {
    {
      const std::lock_guard lock(mutex_);
      change();
    }
    changed_.notify_all();
  }

  // As Hang and `hangs` say, until the caller gives up.
  void MayHang(grpc::ServerContext* context, std::unique_lock<std::mutex>& lock, const std::string& id = "") {
    const auto hangs = [&] {
      const auto pod = pods_.find(id);
      return hang_ || (pod != pods_.end() && pod->second.hangs);
    };
    while (hangs() && !stopping_ && !context->IsCancelled()) changed_.wait_for(lock, std::chrono::milliseconds(5));
  }

  class Service : public runtime::v1::RuntimeService::Service {
   public:
    explicit Service(FakeRuntime* fake) : fake_(*fake) {}

    grpc::Status Version(grpc::ServerContext* context, const runtime::v1::VersionRequest* /*request*/,
                         runtime::v1::VersionResponse* response) override {
      std::unique_lock lock(fake_.mutex_);
      fake_.MayHang(context, lock);
      response->set_runtime_name(fake_.kind_ == Kind::kContainerd ? "containerd" : "cri-o");
      response->set_runtime_version("1.2.3");
      return grpc::Status::OK;
    }

    grpc::Status ListPodSandbox(grpc::ServerContext* context, const runtime::v1::ListPodSandboxRequest* request,
                                runtime::v1::ListPodSandboxResponse* response) override {
      std::unique_lock lock(fake_.mutex_);
      fake_.MayHang(context, lock);
      ++fake_.lists_;
      if (!fake_.fail_sandboxes_.ok()) return fake_.fail_sandboxes_;
      if (request->filter().state().state() != runtime::v1::SANDBOX_READY)
        return {grpc::StatusCode::INTERNAL, "filter"};
      for (const auto& [id, pod] : fake_.pods_) {
        auto* item = response->add_items();
        item->set_id(id);
        item->set_created_at(pod.created_at);
        item->set_state(runtime::v1::SANDBOX_READY);
        item->mutable_metadata()->set_name(pod.pod);
        item->mutable_metadata()->set_namespace_("shop");
        item->mutable_metadata()->set_uid("uid-" + pod.pod);
      }
      return grpc::Status::OK;
    }

    grpc::Status PodSandboxStatus(grpc::ServerContext* context, const runtime::v1::PodSandboxStatusRequest* request,
                                  runtime::v1::PodSandboxStatusResponse* response) override {
      std::unique_lock lock(fake_.mutex_);
      ++fake_.statuses_;
      const std::string id = request->pod_sandbox_id();
      fake_.MayHang(context, lock, id);
      const auto found = fake_.pods_.find(id);
      if (found == fake_.pods_.end()) return {grpc::StatusCode::NOT_FOUND, "no such sandbox"};
      const Pod& pod = found->second;
      response->mutable_status()->set_id(id);
      response->mutable_status()->set_state(pod.state_in_status);
      response->mutable_status()->mutable_linux()->mutable_namespaces()->mutable_options()->set_network(
          pod.host_network ? runtime::v1::NODE : runtime::v1::POD);
      if (!request->verbose()) return grpc::Status::OK;
      std::string info = pod.info;
      if (info.empty()) {
        const std::string netns = R"([{"type": "network", "path": "/run/netns/)" + id + R"("}])";
        info = R"({"pid": 7, "runtimeSpec": {"linux": {"cgroupsPath": "/kubepods/poduid-)" + pod.pod + "/" + id +
               R"(", "namespaces": )" + (pod.host_network ? "[]" : netns) + "}}}";
      }
      (*response->mutable_info())["info"] = info;
      return grpc::Status::OK;
    }

    grpc::Status ListContainers(grpc::ServerContext* context, const runtime::v1::ListContainersRequest* request,
                                runtime::v1::ListContainersResponse* response) override {
      std::unique_lock lock(fake_.mutex_);
      fake_.MayHang(context, lock);
      if (!fake_.fail_containers_.ok()) return fake_.fail_containers_;
      if (request->filter().has_state()) return {grpc::StatusCode::INTERNAL, "some states would be missing"};
      for (const auto& [id, living] : fake_.containers_) {
        auto* container = response->add_containers();
        container->set_id(id);
        container->set_pod_sandbox_id(living.sandbox);
        container->set_state(living.state);
        container->mutable_metadata()->set_name(living.name);
        container->mutable_metadata()->set_attempt(living.attempt);
      }
      return grpc::Status::OK;
    }

    grpc::Status ContainerStatus(grpc::ServerContext* context, const runtime::v1::ContainerStatusRequest* request,
                                 runtime::v1::ContainerStatusResponse* response) override {
      std::unique_lock lock(fake_.mutex_);
      fake_.MayHang(context, lock);
      const auto found = fake_.containers_.find(request->container_id());
      if (found == fake_.containers_.end()) return {grpc::StatusCode::NOT_FOUND, "no such container"};
      fake_.asked_for_.insert(request->container_id());
      response->mutable_status()->set_state(found->second.state);
      const std::string image = "registry.example:5000/shop/" + found->second.name + ":1.0";
      response->mutable_status()->mutable_image()->set_image(found->second.image.empty() ? image : found->second.image);
      if (request->verbose()) {
        const std::string& path = found->second.cgroups_path;
        (*response->mutable_info())["info"] =
            R"({"config": {"linux": {"security_context": {)" +
            std::string(found->second.privileged ? R"("privileged": true)" : "") +
            R"(}}}, "runtimeSpec": {"linux": {"cgroupsPath": ")" +
            (path.empty() ? "kubepods-pod1.slice:cri-containerd:" + request->container_id() : path) + R"("}}})";
      }
      return grpc::Status::OK;
    }

   private:
    FakeRuntime& fake_;
  };

  class EventService : public containerd::services::events::v1::Events::Service {
   public:
    explicit EventService(FakeRuntime* fake) : fake_(*fake) {}

    grpc::Status Subscribe(grpc::ServerContext* context,
                           const containerd::services::events::v1::SubscribeRequest* request,
                           grpc::ServerWriter<containerd::services::events::v1::Envelope>* writer) override {
      std::unique_lock lock(fake_.mutex_);
      fake_.filters_ = {request->filters().begin(), request->filters().end()};
      std::size_t next = fake_.told_.size();
      ++fake_.subscribers_;
      while (!fake_.stopping_ && !context->IsCancelled()) {
        for (; next < fake_.told_.size(); ++next) writer->Write(fake_.told_[next]);
        fake_.changed_.wait_for(lock, std::chrono::milliseconds(5));
      }
      --fake_.subscribers_;
      return grpc::Status::OK;
    }

   private:
    FakeRuntime& fake_;
  };

  const Kind kind_;
  std::filesystem::path directory_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  bool hang_ = false;
  std::map<std::string, Pod> pods_;
  std::map<std::string, Living> containers_;
  grpc::Status fail_sandboxes_;
  grpc::Status fail_containers_;
  std::vector<containerd::services::events::v1::Envelope> told_;
  std::set<std::string> asked_for_;  // containers
  std::vector<std::string> filters_;
  std::atomic<int> lists_ = 0;
  std::atomic<int> statuses_ = 0;
  std::atomic<int> subscribers_ = 0;
  Service service_;
  EventService events_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace sluice::cri
