#include "ctrl/cri/runtime_reply.h"

#include "base/log.h"
#include "ctrl/cri/runtime_info.h"

namespace sluice::cri {
namespace {

namespace v1 = runtime::v1;

template <typename Response>
StatusOr<RuntimeInfo> InfoOf(const Response& response) {
  const auto info = response.info().find("info");
  if (info == response.info().end()) return InvalidError("the runtime adds no info to its status");
  return ParseRuntimeInfo(info->second);
}

Status Ended() { return MakeError(absl::StatusCode::kNotFound, "it has ended"); }

}  // namespace

StatusOr<node::Sandbox> ToSandbox(const v1::PodSandbox& listed, const StatusOr<v1::PodSandboxStatusResponse>& status) {
  if (!status.ok()) return status.status();
  if (status->status().state() != v1::SANDBOX_READY) return Ended();
  if (listed.metadata().name().empty() || listed.metadata().namespace_().empty()) {
    return InvalidError("the runtime names no pod for it");
  }
  SL_ASSIGN_OR_RETURN(const RuntimeInfo info, InfoOf(*status));
  node::Sandbox sandbox{.pod = {listed.metadata().namespace_(), listed.metadata().name()},
                        .uid = listed.metadata().uid(),
                        .id = listed.id(),
                        .cgroup = info.pod_cgroup};
  if (status->status().linux().namespaces().options().network() == v1::NODE) return sandbox;
  if (info.netns_closed) return Ended();
  if (info.netns.empty() && info.pid == 0) return InvalidError("the runtime names no network namespace for it");
  sandbox.netns = info.netns;
  if (info.netns.empty()) {
    // A last resort: the path ends with the process, and may then be that of another one.
    sandbox.netns = fmt::format("/proc/{}/ns/net", info.pid);
    LogWarn("pod sandbox {} ({}): the runtime names no network namespace, using {}", listed.id(),
            sandbox.pod.ToString(), sandbox.netns);
  }
  return sandbox;
}

std::string RepositoryOf(const std::string& image) {
  if (image.starts_with("sha256:")) return "";
  std::string repository = image.substr(0, image.find('@'));
  const std::size_t slash = repository.rfind('/');
  // A colon before the last slash is that of a registry's port.
  const std::size_t tag = repository.find(':', slash == std::string::npos ? 0 : slash);
  return repository.substr(0, tag);
}

StatusOr<Container> ToContainer(const v1::Container& listed, const v1::PodSandbox& sandbox,
                                const StatusOr<v1::ContainerStatusResponse>& status) {
  if (!status.ok()) return status.status();
  const v1::ContainerState state = status->status().state();
  if (state != v1::CONTAINER_CREATED && state != v1::CONTAINER_RUNNING) return Ended();
  SL_ASSIGN_OR_RETURN(const RuntimeInfo info, InfoOf(*status));
  return Container{.id = listed.id(),
                   .name = listed.metadata().name(),
                   .pod = {sandbox.metadata().namespace_(), sandbox.metadata().name()},
                   .pod_uid = sandbox.metadata().uid(),
                   .sandbox = sandbox.id(),
                   .cgroup = info.cgroup,
                   .repository = RepositoryOf(status->status().image().image()),
                   .attempt = listed.metadata().attempt()};
}

}  // namespace sluice::cri
