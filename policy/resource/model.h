// The resource model: what people's files say, after parsing and validation, before any meaning is computed.
// Plain values, immutable once built; safe to share between threads.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "policy/resource/address.h"

namespace sluice::policy {

using Labels = std::map<std::string, std::string>;

enum class Direction { kIngress, kEgress };

// IANA protocol numbers: kTcp 6, kUdp 17, kSctp 132; others occur in flows only.
inline constexpr std::uint8_t kTcp = 6;
inline constexpr std::uint8_t kUdp = 17;
inline constexpr std::uint8_t kSctp = 132;
inline constexpr std::uint8_t kIcmp = 1;
inline constexpr std::uint8_t kIcmpv6 = 58;
std::string ProtocolName(std::uint8_t protocol);  // "TCP" and so on for the five above, else the number

struct ObjectName {
  std::string ns;  // empty for cluster-scoped kinds
  std::string name;
  auto operator<=>(const ObjectName&) const = default;
  std::string ToString() const { return ns.empty() ? name : ns + "/" + name; }
};

// metav1.LabelSelector. Requirements are ANDed; no requirement selects everything.
struct Selector {
  enum class Operator { kIn, kNotIn, kExists, kDoesNotExist };
  struct Requirement {
    std::string key;
    Operator op = Operator::kIn;
    std::vector<std::string> values;
    auto operator<=>(const Requirement&) const = default;
  };
  std::vector<Requirement> requirements;  // matchLabels become In with one value
  auto operator<=>(const Selector&) const = default;

  bool Matches(const Labels& labels) const;  // NotIn and DoesNotExist match absent keys (rule 10)
};

struct IpBlock {
  Prefix cidr;
  std::vector<Prefix> except;  // each strictly inside cidr
  bool Matches(const Address& address) const;
};

// networking.k8s.io/v1 NetworkPolicyPeer: either ip_block, or one or both selectors.
struct Peer {
  std::optional<Selector> pod_selector;
  std::optional<Selector> namespace_selector;
  std::optional<IpBlock> ip_block;
};

// networking.k8s.io/v1 NetworkPolicyPort.
struct PortRule {
  std::uint8_t protocol = kTcp;
  std::optional<std::uint16_t> port;      // numeric; absent with absent name: all ports of the protocol
  std::optional<std::uint16_t> end_port;  // inclusive, >= port
  std::string port_name;                  // named port of the destination pod; empty: none
};

// What a rule requires of the process at the workload's end: patterns of paths, see policy/network/glob.h.
struct ProcessMatch {
  std::vector<std::string> binaries;   // empty: any
  std::vector<std::string> ancestors;  // empty: any
};

enum class RuleAction { kAllow, kDeny, kAudit };
enum class PolicyMode { kEnforce, kAudit };
enum class UnknownProcesses { kDeny, kAllow };

// Of the rules of KubeArmor policies, which are read as one: of those that match, the first one in this order decides.
struct Precedence {
  bool any_program = false;             // it is not for certain programs
  std::array<std::uint32_t, 4> rank{};  // smaller is more precise
  bool is_allow = false;                // of two that are equally precise, Block decides
  bool is_default = false;              // the default posture of an allow list: only where no other rule decides
  auto operator<=>(const Precedence&) const = default;
};

struct Rule {
  std::vector<Peer> peers;      // empty: every peer
  std::vector<PortRule> ports;  // empty: every port of every protocol
  RuleAction action = RuleAction::kAllow;
  std::optional<ProcessMatch> processes = {};  // absent: any process; at least one of its lists is not empty
  std::optional<Precedence> precedence = {};   // of a KubeArmor policy only
  std::string field = {};                      // likewise: "spec.network.matchPeers[0]"
};

// A NetworkPolicy of networking.k8s.io/v1 or of sluice.dev/v1alpha1, or a ClusterNetworkPolicy of the latter; or what
// network.matchPeers of a KubeArmorPolicy or KubeArmorClusterPolicy says (PeerPolicies).
struct NetworkPolicy {
  enum class Api { kKubernetes, kSluice, kSluiceCluster, kKubeArmor, kKubeArmorCluster };
  Api api = Api::kKubernetes;
  ObjectName name;
  std::optional<Selector> namespace_selector = {};  // of the pods that it selects (rule 53); kSluiceCluster only
  Selector pod_selector;
  bool default_deny = true;         // false: it isolates nothing (rule 55)
  bool applies_to_ingress = false;  // policyTypes, defaults applied (rule 2)
  bool applies_to_egress = false;
  std::vector<Rule> ingress;
  std::vector<Rule> egress;
  PolicyMode mode = PolicyMode::kEnforce;
  UnknownProcesses unknown_processes = UnknownProcesses::kDeny;
  bool blocks_unlisted = false;  // of a KubeArmor policy: its allow lists have the posture "block"

  bool IsKubeArmor() const { return api == Api::kKubeArmor || api == Api::kKubeArmorCluster; }
  bool AppliesTo(Direction d) const { return d == Direction::kIngress ? applies_to_ingress : applies_to_egress; }
  bool Isolates(Direction d) const { return default_deny && AppliesTo(d); }
  // Whether it selects the pods with these labels (rules 1 and 53). `ns`: the pod's namespace.
  bool Selects(const std::string& ns, const Labels& namespace_labels, const Labels& labels) const;
  const std::vector<Rule>& rules(Direction d) const { return d == Direction::kIngress ? ingress : egress; }
};

// A KubeArmor policy's network.matchPeers, for the packet path. Several policies where one selector cannot say whom it
// is for; their rules are the same.
struct PeerPolicies {
  using List = std::vector<std::shared_ptr<const NetworkPolicy>>;
  List audit;  // where the namespace's posture for the network is "audit"
  List block;  // where it is "block"; the same policies if it makes no difference
};

struct NamedPort {
  std::string name;
  std::uint16_t port = 0;
  std::uint8_t protocol = kTcp;
  auto operator<=>(const NamedPort&) const = default;
};

// The annotations of a namespace that Sluice reads: policy/lsm/postures.h says what they mean.
inline constexpr std::array kPostureAnnotations = {"kubearmor-file-posture", "kubearmor-network-posture",
                                                   "kubearmor-capabilities-posture"};

struct Namespace {
  std::string name;
  Labels labels;    // with kubernetes.io/metadata.name
  Labels postures;  // those of kPostureAnnotations that it has: "audit" or "block"
};

inline constexpr char kConfigHashAnnotation[] = "kubernetes.io/config.hash";

// What a pod belongs to: see policy/resource/pod_owner.h.
struct PodOwner {
  std::string kind;  // "Deployment"
  std::string name;
  bool operator==(const PodOwner&) const = default;
};

// A v1 Pod: a peer that is known by its addresses.
struct Pod {
  ObjectName name;
  std::string uid;
  Labels labels;
  std::vector<NamedPort> ports;
  std::vector<Address> ips;
  bool host_network = false;
  std::string config_hash;                // of a static pod: the uid that the kubelet knows it by; else empty
  bool finished = false;                  // phase Succeeded or Failed: owns no address any more (rule 18)
  std::shared_ptr<const PodOwner> owner;  // null: none
};

// A sluice.dev/v1alpha1 Workload: a local pod to enforce on.
struct Workload {
  ObjectName name;
  Labels labels;
  std::vector<NamedPort> ports;
  std::vector<Address> ips;  // from the file; empty: use the interface's addresses
  std::string netns;         // exactly one of netns and host_interface
  std::string host_interface;
  std::string interface = "eth0";
  std::string cgroup;
  std::string closed_because;  // not empty: no packet passes, whatever policy says, and why; no file can say so
  std::shared_ptr<const PodOwner> owner;  // of its pod; null: none; no file can say so
};

namespace tracing {
struct TracingPolicy;  // policy/tracing/model.h
}
namespace lsm {
struct Policy;  // policy/lsm/model.h
}
namespace response {
struct Response;  // policy/response/model.h
}

enum class Kind {
  kNamespace,
  kPod,
  kWorkload,
  kNetworkPolicy,
  kSluiceNetworkPolicy,
  kSluiceClusterNetworkPolicy,
  kTracingPolicy,
  kTracingPolicyNamespaced,
  kKubeArmorPolicy,
  kKubeArmorHostPolicy,
  kKubeArmorClusterPolicy,
  kResponse,
};
inline constexpr std::array kAllKinds = {Kind::kNamespace,
                                         Kind::kPod,
                                         Kind::kWorkload,
                                         Kind::kNetworkPolicy,
                                         Kind::kSluiceNetworkPolicy,
                                         Kind::kSluiceClusterNetworkPolicy,
                                         Kind::kTracingPolicy,
                                         Kind::kTracingPolicyNamespaced,
                                         Kind::kKubeArmorPolicy,
                                         Kind::kKubeArmorHostPolicy,
                                         Kind::kKubeArmorClusterPolicy,
                                         Kind::kResponse};
// Of the network.
inline constexpr std::array kPolicyKinds = {Kind::kNetworkPolicy, Kind::kSluiceNetworkPolicy,
                                            Kind::kSluiceClusterNetworkPolicy};
inline constexpr std::array kTracingKinds = {Kind::kTracingPolicy, Kind::kTracingPolicyNamespaced};
inline constexpr std::array kKubeArmorKinds = {Kind::kKubeArmorPolicy, Kind::kKubeArmorHostPolicy,
                                               Kind::kKubeArmorClusterPolicy};
const char* KindName(Kind kind);  // "NetworkPolicy" for both policies of a namespace
const char* KindApiVersion(Kind kind);
bool IsPolicy(Kind kind);      // of the network
bool IsNamespaced(Kind kind);  // false: its objects belong to the whole cluster, and have no namespace
Kind KindOf(NetworkPolicy::Api api);

// What names a resource: a later document with the same id replaces it.
struct ResourceId {
  Kind kind = Kind::kNamespace;
  ObjectName name;
  auto operator<=>(const ResourceId&) const = default;
  std::string ToString() const;  // "NetworkPolicy shop/db"
};

// One parsed document. Exactly the member of `kind` is set.
struct Resource {
  ResourceId id;
  std::string yaml;  // the document, normalised; for the state directory and `get -o yaml`
  std::shared_ptr<const Namespace> ns;
  std::shared_ptr<const Pod> pod;
  std::shared_ptr<const Workload> workload;
  std::shared_ptr<const NetworkPolicy> policy;
  std::shared_ptr<const tracing::TracingPolicy> tracing;  // of both tracing kinds
  std::shared_ptr<const lsm::Policy> lsm;                 // of KubeArmor's three kinds
  std::shared_ptr<const PeerPolicies> peers;              // of these: null without network.matchPeers
  std::shared_ptr<const response::Response> response;
};

}  // namespace sluice::policy
