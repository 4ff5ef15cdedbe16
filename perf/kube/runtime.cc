#include "perf/kube/runtime.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::perf {

namespace cri = ::runtime::v1;

StatusOr<std::unique_ptr<Runtime>> Runtime::Start(const std::string& socket, std::vector<node::Sandbox> sandboxes) {
  std::unique_ptr<Runtime> runtime(new Runtime(std::move(sandboxes)));
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix://" + socket, grpc::InsecureServerCredentials());
  builder.RegisterService(runtime.get());
  runtime->server_ = builder.BuildAndStart();
  if (runtime->server_ == nullptr) return MakeError(absl::StatusCode::kInternal, "listen on {}", socket);
  return runtime;
}

Runtime::~Runtime() {
  if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now());
}

grpc::Status Runtime::Version(Context* /*context*/, const cri::VersionRequest* /*request*/,
                              cri::VersionResponse* response) {
  response->set_runtime_name("bench");
  response->set_runtime_version("1");
  return grpc::Status::OK;
}

grpc::Status Runtime::ListPodSandbox(Context* /*context*/, const cri::ListPodSandboxRequest* /*request*/,
                                     cri::ListPodSandboxResponse* response) {
  for (const node::Sandbox& sandbox : sandboxes_) {
    cri::PodSandbox& item = *response->add_items();
    item.set_id(sandbox.id);
    item.set_created_at(1);
    item.set_state(cri::SANDBOX_READY);
    item.mutable_metadata()->set_name(sandbox.pod.name);
    item.mutable_metadata()->set_namespace_(sandbox.pod.ns);
    item.mutable_metadata()->set_uid(sandbox.uid);
  }
  return grpc::Status::OK;
}

grpc::Status Runtime::PodSandboxStatus(Context* /*context*/, const cri::PodSandboxStatusRequest* request,
                                       cri::PodSandboxStatusResponse* response) {
  const auto found = std::ranges::find(sandboxes_, request->pod_sandbox_id(), &node::Sandbox::id);
  if (found == sandboxes_.end()) return {grpc::StatusCode::NOT_FOUND, "no such sandbox"};
  response->mutable_status()->set_id(found->id);
  response->mutable_status()->set_state(cri::SANDBOX_READY);
  response->mutable_status()->mutable_linux()->mutable_namespaces()->mutable_options()->set_network(cri::POD);
  (*response->mutable_info())["info"] = fmt::format(
      R"({{"runtimeSpec": {{"linux": {{"namespaces": [{{"type": "network", "path": "{}"}}]}}}}}})", found->netns);
  return grpc::Status::OK;
}

grpc::Status Runtime::ListContainers(Context* /*context*/, const cri::ListContainersRequest* /*request*/,
                                     cri::ListContainersResponse* /*response*/) {
  return grpc::Status::OK;
}

}  // namespace sluice::perf
