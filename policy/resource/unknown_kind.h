// What a document is that is none of ours: something that can never be policy or workload, or something that may be,
// which nobody may pass over in silence. Pure.
#pragma once

#include <string>
#include <string_view>

namespace sluice::policy {

// False: what it says never matters to policy (Deployment, Service, RoleBinding, ConfigMap, Kustomization, ...). True:
// it may be meant as policy, or to name workloads, also by a wrong apiVersion.
bool MayBePolicy(std::string_view api_version, std::string_view kind);

// What to write instead of a kind that Kubernetes had once, or that somebody else has; or "".
std::string HintForKind(std::string_view api_version, std::string_view kind);

// What `line` of a file is, if it is no YAML yet but the source of some; or "".
std::string HintForTemplate(std::string_view line);

}  // namespace sluice::policy
