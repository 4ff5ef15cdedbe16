// A container runtime for benchmarks (CRI v1): it answers with the sandboxes that it is given, and with no containers.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <vector>

#include "ctrl/cri/runtime.grpc.pb.h"
#include "ctrl/node/node_pods.h"

namespace sluice::perf {

class Runtime final : private ::runtime::v1::RuntimeService::Service {
 public:
  // `socket`: a path. The sandboxes do not change.
  static StatusOr<std::unique_ptr<Runtime>> Start(const std::string& socket, std::vector<node::Sandbox> sandboxes);
  ~Runtime() override;

 private:
  using Context = grpc::ServerContext;
  explicit Runtime(std::vector<node::Sandbox> sandboxes) : sandboxes_(std::move(sandboxes)) {}
  grpc::Status Version(Context* context, const ::runtime::v1::VersionRequest* request,
                       ::runtime::v1::VersionResponse* response) override;
  grpc::Status ListPodSandbox(Context* context, const ::runtime::v1::ListPodSandboxRequest* request,
                              ::runtime::v1::ListPodSandboxResponse* response) override;
  grpc::Status PodSandboxStatus(Context* context, const ::runtime::v1::PodSandboxStatusRequest* request,
                                ::runtime::v1::PodSandboxStatusResponse* response) override;
  grpc::Status ListContainers(Context* context, const ::runtime::v1::ListContainersRequest* request,
                              ::runtime::v1::ListContainersResponse* response) override;

  const std::vector<node::Sandbox> sandboxes_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace sluice::perf
