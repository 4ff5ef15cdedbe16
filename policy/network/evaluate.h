// The reference evaluator: the specification of which flows policies allow. It is written to be read beside the
// Kubernetes documentation, not to be fast; the compiled tables and the BPF programs are tested against it.
// Numbers in comments are those of docs/policy.md, "Rules".
#pragma once

#include <optional>

#include "policy/network/decision.h"
#include "policy/network/process.h"
#include "policy/network/quarantine.h"
#include "policy/network/snapshot.h"

namespace sluice::policy {

// A new flow: the first packet's source, destination and service.
struct Flow {
  Address source;
  Address destination;
  std::uint8_t protocol = kTcp;
  std::uint16_t port = 0;  // destination port; 0 for protocols without ports
  bool from_node = false;  // sent by the node itself (not merely from one of its addresses)
  // The sending and the listening process (after an accept: the process behind the socket). Absent: not known.
  std::optional<Process> source_process = {};
  std::optional<Process> destination_process = {};
};

// Why policies are not evaluated (14, 22).
enum class Exemption { kNone, kFromNode, kToItself };
const char* ExemptionName(Exemption exemption);  // "FROM_NODE", "TO_ITSELF"; "" for kNone

struct Evaluation {
  bool allowed = true;
  bool audit_denied = false;               // allowed, but policies in audit would have denied it
  bool quarantined = false;                // stopped by quarantine; policies are not evaluated
  Exemption exemption = Exemption::kNone;  // why the flow passes although policies isolate an end
  // Absent: the source (destination) is not a local workload, or quarantine at the other end alone decides. For an end
  // in quarantine: a denial without contributions.
  std::optional<Decision> egress;
  std::optional<Decision> ingress;
  // Rules that match by peer and port also look at the process, so another process may get another verdict.
  bool egress_by_process = false;
  bool ingress_by_process = false;
};

// Which ends are evaluated: only those enforced on this node (Endpoint.ifindex != 0), or all known pods (explain and
// replay, which know no interfaces).
enum class Scope { kLocal, kEverywhere };

Evaluation Evaluate(const Snapshot& snapshot, const Flow& flow, Scope scope, const Quarantine& quarantine = {});

// The evaluator's checks of one policy, peer and port, for code that explains a verdict.
bool Selects(const NetworkPolicy& policy, const Endpoint& subject);
bool AppliesTo(const NetworkPolicy& policy, const Endpoint& subject, Direction direction);
// `pod` is null when no pod has `address`.
bool PeerMatches(const NetworkPolicy& policy, const Peer& peer, const Address& address, const Endpoint* pod);
// `destination` is null when the flow does not go to a pod.
bool PortMatches(const PortRule& rule, const Flow& flow, const Endpoint* destination);

}  // namespace sluice::policy
