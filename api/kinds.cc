#include "api/kinds.h"

#include <algorithm>
#include <cctype>

namespace sluice::api {
namespace {

using policy::Kind;

struct KnownKind {
  std::vector<std::string_view> names;
  KindSelection selection;
};

const std::vector<KnownKind>& KnownKinds() {
  static const std::vector<KnownKind> known = {
      {{"workloads", "workload", "wl"}, {Listing::kResources, {Kind::kWorkload}}},
      {{"pods", "pod", "po"}, {Listing::kResources, {Kind::kPod}}},
      {{"namespaces", "namespace", "ns"}, {Listing::kResources, {Kind::kNamespace}}},
      {{"networkpolicies", "networkpolicy", "netpol"},
       {Listing::kResources, {Kind::kNetworkPolicy, Kind::kSluiceNetworkPolicy}}},
      {{"networkpolicies.networking.k8s.io", "networkpolicy.networking.k8s.io"},
       {Listing::kResources, {Kind::kNetworkPolicy}}},
      {{"networkpolicies.sluice.dev", "networkpolicy.sluice.dev"}, {Listing::kResources, {Kind::kSluiceNetworkPolicy}}},
      {{"clusternetworkpolicies", "clusternetworkpolicy", "scnp", "clusternetworkpolicies.sluice.dev",
        "clusternetworkpolicy.sluice.dev"},
       {Listing::kResources, {Kind::kSluiceClusterNetworkPolicy}}},
      {{"tracingpolicies", "tracingpolicy", "tp", "tracingpolicies.cilium.io", "tracingpolicy.cilium.io"},
       {Listing::kResources, {Kind::kTracingPolicy}}},
      {{"tracingpoliciesnamespaced", "tracingpolicynamespaced", "tpn", "tracingpoliciesnamespaced.cilium.io",
        "tracingpolicynamespaced.cilium.io"},
       {Listing::kResources, {Kind::kTracingPolicyNamespaced}}},
      {{"kubearmorpolicies", "kubearmorpolicy", "ksp", "kubearmorpolicies.security.kubearmor.com",
        "kubearmorpolicy.security.kubearmor.com"},
       {Listing::kResources, {Kind::kKubeArmorPolicy}}},
      {{"kubearmorhostpolicies", "kubearmorhostpolicy", "hsp", "kubearmorhostpolicies.security.kubearmor.com",
        "kubearmorhostpolicy.security.kubearmor.com"},
       {Listing::kResources, {Kind::kKubeArmorHostPolicy}}},
      {{"kubearmorclusterpolicies", "kubearmorclusterpolicy", "csp", "kubearmorclusterpolicies.security.kubearmor.com",
        "kubearmorclusterpolicy.security.kubearmor.com"},
       {Listing::kResources, {Kind::kKubeArmorClusterPolicy}}},
      {{"responses", "response", "responses.sluice.dev", "response.sluice.dev"},
       {Listing::kResources, {Kind::kResponse}}},
      {{"identities", "identity"}, {Listing::kIdentities, {}}},
      {{"rulesets", "ruleset"}, {Listing::kRulesets, {}}},
      {{"processes", "process"}, {Listing::kProcesses, {}}},
      {{"flows", "flow"}, {Listing::kFlows, {}}},
  };
  return known;
}

}  // namespace

StatusOr<KindSelection> ParseKind(std::string_view name) {
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  std::string all;
  for (const KnownKind& known : KnownKinds()) {
    if (std::find(known.names.begin(), known.names.end(), lower) != known.names.end()) return known.selection;
    all += (all.empty() ? "" : ", ") + std::string(known.names.front());
  }
  return InvalidError("unknown kind {}; known kinds: {}", name, all);
}

std::vector<std::string_view> KindNames(Names which) {
  std::vector<std::string_view> names;
  for (const KnownKind& known : KnownKinds()) {
    if (which == Names::kOfResources && known.selection.listing != Listing::kResources) continue;
    names.insert(names.end(), known.names.begin(), known.names.end());
  }
  return names;
}

std::string_view KindArgument(Kind kind) {
  for (const KnownKind& known : KnownKinds()) {
    if (known.selection.kinds == std::vector<Kind>{kind}) return known.names[1];
  }
  return "";  // not reached: every kind is in the list
}

}  // namespace sluice::api
