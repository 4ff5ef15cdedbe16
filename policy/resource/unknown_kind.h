// Documents of unknown kinds: some can never be a policy or a workload; the others may be, and must not be skipped
// silently. Pure.
#pragma once

#include <string>
#include <string_view>

namespace sluice::policy {

// False: the kind never matters to policy (Deployment, Service, RoleBinding, ConfigMap, Kustomization, ...). True: it
// may be meant as a policy or a workload, perhaps with a wrong apiVersion.
bool MayBePolicy(std::string_view api_version, std::string_view kind);

// What to write instead of a kind of an old Kubernetes or of another product; or "".
std::string HintForKind(std::string_view api_version, std::string_view kind);

// A hint if `line` is from a template that is not rendered yet; or "".
std::string HintForTemplate(std::string_view line);

}  // namespace sluice::policy
