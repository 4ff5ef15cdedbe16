// The runtime's answers -> what the agent knows a pod sandbox or a container by. Pure functions.
#pragma once

#include "base/status.h"
#include "ctrl/cri/runtime.pb.h"
#include "ctrl/cri/sandbox_watch.h"

namespace sluice::cri {

// NotFound: it has ended since it was listed. Other errors: the status does not say where the sandbox is.
StatusOr<node::Sandbox> ToSandbox(const runtime::v1::PodSandbox& listed,
                                  const StatusOr<runtime::v1::PodSandboxStatusResponse>& status);

// "docker.io/library/nginx:1.25@sha256:..." -> "docker.io/library/nginx". Empty: the image has no name, only a digest.
std::string RepositoryOf(const std::string& image);
// The same -> "1.25". Empty: it has no tag.
std::string TagOf(const std::string& image);

// `sandbox`: the one that it is in. `runtime`: the runtime's name. NotFound as above.
StatusOr<Container> ToContainer(const runtime::v1::Container& listed, const runtime::v1::PodSandbox& sandbox,
                                const std::string& runtime,
                                const StatusOr<runtime::v1::ContainerStatusResponse>& status);

}  // namespace sluice::cri
