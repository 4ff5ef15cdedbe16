#include "policy/resource/unknown_kind.h"

#include <algorithm>
#include <array>

namespace sluice::policy {
namespace {

// These groups are about admission, reports and pod lifecycles, even where a kind's name says "policy".
constexpr std::array<std::string_view, 7> kGroupsWithoutNetwork = {
    "admissionregistration.k8s.io",      "kyverno.io",     "policies.kyverno.io", "policy",
    "policy.open-cluster-management.io", "wgpolicyk8s.io", "openreports.io"};

std::string_view GroupOf(std::string_view api_version) {
  const std::size_t slash = api_version.find('/');
  return slash == std::string_view::npos ? std::string_view() : api_version.substr(0, slash);
}

bool HasVariable(std::string_view line) {
  const std::size_t at = line.find("${");
  return at != std::string_view::npos && line.find('}', at) != std::string_view::npos;
}

}  // namespace

bool MayBePolicy(std::string_view api_version, std::string_view kind) {
  const std::string_view group = GroupOf(api_version);
  if (group == "sluice.dev" || group == "policy.networking.k8s.io") return true;
  if (std::find(kGroupsWithoutNetwork.begin(), kGroupsWithoutNetwork.end(), group) != kGroupsWithoutNetwork.end()) {
    return false;
  }
  // Our kinds under a wrong apiVersion.
  if (kind == "Namespace" || kind == "Pod" || kind == "Workload") return true;
  return kind.find("Policy") != std::string_view::npos || kind.find("Policies") != std::string_view::npos;
}

std::string HintForKind(std::string_view api_version, std::string_view kind) {
  if (kind == "NetworkPolicy" && api_version == "extensions/v1beta1") {
    return "removed in Kubernetes 1.16: write apiVersion networking.k8s.io/v1, with the same fields";
  }
  if (kind == "NetworkPolicy" && GroupOf(api_version).ends_with("projectcalico.org")) {
    return "Calico's own policies are not supported: write apiVersion networking.k8s.io/v1";
  }
  if (kind == "KubeArmorNetworkPolicy") {
    return "a NetworkPolicy of sluice.dev/v1alpha1 has rules about addresses and ports: write one instead";
  }
  if (GroupOf(api_version) == "policy.networking.k8s.io") {
    return "tiers and priorities are not supported: ClusterNetworkPolicy of sluice.dev/v1alpha1 is cluster-wide too";
  }
  return "";
}

std::string HintForTemplate(std::string_view line) {
  if (line.find("{{") != std::string_view::npos) {
    return "this is a Helm or Go template: render it first, for example with `helm template`";
  }
  if (HasVariable(line)) return "this has a variable for another tool: fill it in first, for example with `envsubst`";
  return "";
}

}  // namespace sluice::policy
