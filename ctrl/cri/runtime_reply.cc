#include "ctrl/cri/runtime_reply.h"

#include "base/log.h"
#include "ctrl/cri/runtime_info.h"

namespace sluice::cri {
namespace {

namespace v1 = runtime::v1;

constexpr std::string_view kDigest = "sha256:";

template <typename Response>
StatusOr<RuntimeInfo> InfoOf(const Response& response) {
  const auto info = response.info().find("info");
  if (info == response.info().end()) return InvalidError("the runtime adds no info to its status");
  return ParseRuntimeInfo(info->second);
}

std::string PropagationName(v1::MountPropagation propagation) {
  switch (propagation) {
    case v1::PROPAGATION_PRIVATE:
      return "private";
    case v1::PROPAGATION_HOST_TO_CONTAINER:
      return "rslave";
    case v1::PROPAGATION_BIDIRECTIONAL:
      return "rshared";
    default:
      return "unknown";
  }
}

// A runtime may name a container's image by its id alone; the name is then in the reference.
void SetImage(const v1::ContainerStatus& status, const RuntimeInfo& info, Container* container) {
  const std::string& reference = status.image_ref();
  const std::string& asked = status.image().image();
  const std::string& image = RepositoryOf(asked).empty() ? reference : asked;
  container->repository = RepositoryOf(image);
  container->tag = TagOf(image);
  container->image = container->repository + (container->tag.empty() ? "" : ":" + container->tag);
  if (const std::size_t digest = reference.find(kDigest); digest != std::string::npos)
    container->image_digest = reference.substr(digest);
  const std::string& id = info.image.starts_with(kDigest) ? info.image : status.image_id();
  container->image_id = id.starts_with(kDigest) ? id.substr(kDigest.size()) : id;
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

std::string TagOf(const std::string& image) {
  const std::string repository = RepositoryOf(image);
  const std::string rest =
      repository.empty() ? "" : image.substr(repository.size(), image.find('@') - repository.size());
  return rest.empty() ? "" : rest.substr(1);
}

StatusOr<Container> ToContainer(const v1::Container& listed, const v1::PodSandbox& sandbox, const std::string& runtime,
                                const StatusOr<v1::ContainerStatusResponse>& status) {
  if (!status.ok()) return status.status();
  const v1::ContainerState state = status->status().state();
  if (state != v1::CONTAINER_CREATED && state != v1::CONTAINER_RUNNING) return Ended();
  SL_ASSIGN_OR_RETURN(const RuntimeInfo info, InfoOf(*status));
  Container container{.id = listed.id(),
                      .name = listed.metadata().name(),
                      .pod = {sandbox.metadata().namespace_(), sandbox.metadata().name()},
                      .pod_uid = sandbox.metadata().uid(),
                      .sandbox = sandbox.id(),
                      .cgroup = info.cgroup,
                      .attempt = listed.metadata().attempt(),
                      .runtime = runtime,
                      .privileged = info.privileged};
  SetImage(status->status(), info, &container);
  for (const v1::Mount& mount : status->status().mounts()) {
    container.mounts.push_back({.source = mount.host_path(),
                                .destination = mount.container_path(),
                                .writable = !mount.readonly(),
                                .propagation = PropagationName(mount.propagation())});
  }
  return container;
}

}  // namespace sluice::cri
