#include "policy/resource/model.h"

#include <algorithm>

namespace sluice::policy {
namespace {

bool Holds(const Selector::Requirement& requirement, const Labels& labels) {
  const auto label = labels.find(requirement.key);
  const bool present = label != labels.end();
  const auto listed = [&] {
    return std::find(requirement.values.begin(), requirement.values.end(), label->second) != requirement.values.end();
  };
  switch (requirement.op) {
    case Selector::Operator::kIn:
      return present && listed();
    case Selector::Operator::kNotIn:
      return !present || !listed();
    case Selector::Operator::kExists:
      return present;
    case Selector::Operator::kDoesNotExist:
      return !present;
  }
  return false;
}

}  // namespace

bool Selector::Matches(const Labels& labels) const {
  return std::all_of(requirements.begin(), requirements.end(),
                     [&](const Requirement& requirement) { return Holds(requirement, labels); });
}

bool IpBlock::Matches(const Address& address) const {
  return cidr.Contains(address) &&
         std::none_of(except.begin(), except.end(), [&](const Prefix& hole) { return hole.Contains(address); });
}

bool NetworkPolicy::Selects(const std::string& ns, const Labels& namespace_labels, const Labels& labels) const {
  const bool right_namespace = namespace_selector ? namespace_selector->Matches(namespace_labels) : ns == name.ns;
  return right_namespace && pod_selector.Matches(labels);
}

std::string ProtocolName(std::uint8_t protocol) {
  switch (protocol) {
    case kTcp:
      return "TCP";
    case kUdp:
      return "UDP";
    case kSctp:
      return "SCTP";
    case kIcmp:
      return "ICMP";
    case kIcmpv6:
      return "ICMPv6";
    default:
      return std::to_string(protocol);
  }
}

const char* KindName(Kind kind) {
  switch (kind) {
    case Kind::kNamespace:
      return "Namespace";
    case Kind::kPod:
      return "Pod";
    case Kind::kWorkload:
      return "Workload";
    case Kind::kNetworkPolicy:
    case Kind::kSluiceNetworkPolicy:
      return "NetworkPolicy";
    case Kind::kSluiceClusterNetworkPolicy:
      return "ClusterNetworkPolicy";
    case Kind::kTracingPolicy:
      return "TracingPolicy";
    case Kind::kTracingPolicyNamespaced:
      return "TracingPolicyNamespaced";
    case Kind::kKubeArmorPolicy:
      return "KubeArmorPolicy";
    case Kind::kKubeArmorHostPolicy:
      return "KubeArmorHostPolicy";
    case Kind::kKubeArmorClusterPolicy:
      return "KubeArmorClusterPolicy";
    case Kind::kResponse:
      return "Response";
  }
  return "";
}

const char* KindApiVersion(Kind kind) {
  switch (kind) {
    case Kind::kNamespace:
    case Kind::kPod:
      return "v1";
    case Kind::kNetworkPolicy:
      return "networking.k8s.io/v1";
    case Kind::kWorkload:
    case Kind::kSluiceNetworkPolicy:
    case Kind::kSluiceClusterNetworkPolicy:
    case Kind::kResponse:
      return "sluice.dev/v1alpha1";
    case Kind::kTracingPolicy:
    case Kind::kTracingPolicyNamespaced:
      return "cilium.io/v1alpha1";
    case Kind::kKubeArmorPolicy:
    case Kind::kKubeArmorHostPolicy:
    case Kind::kKubeArmorClusterPolicy:
      return "security.kubearmor.com/v1";
  }
  return "";
}

bool IsPolicy(Kind kind) { return std::find(kPolicyKinds.begin(), kPolicyKinds.end(), kind) != kPolicyKinds.end(); }

bool IsNamespaced(Kind kind) {
  switch (kind) {
    case Kind::kNamespace:
    case Kind::kSluiceClusterNetworkPolicy:
    case Kind::kTracingPolicy:
    case Kind::kKubeArmorHostPolicy:
    case Kind::kKubeArmorClusterPolicy:
    case Kind::kResponse:
      return false;
    default:
      return true;
  }
}

Kind KindOf(NetworkPolicy::Api api) {
  switch (api) {
    case NetworkPolicy::Api::kKubernetes:
      return Kind::kNetworkPolicy;
    case NetworkPolicy::Api::kSluice:
      return Kind::kSluiceNetworkPolicy;
    case NetworkPolicy::Api::kKubeArmor:
      return Kind::kKubeArmorPolicy;
    case NetworkPolicy::Api::kKubeArmorCluster:
      return Kind::kKubeArmorClusterPolicy;
    case NetworkPolicy::Api::kSluiceCluster:
      break;
  }
  return Kind::kSluiceClusterNetworkPolicy;
}

std::string ResourceId::ToString() const { return fmt::format("{} {}", KindName(kind), name.ToString()); }

}  // namespace sluice::policy
