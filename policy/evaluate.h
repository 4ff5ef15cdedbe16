// The reference evaluator: the specification of who may talk to whom. It is written to be read beside the
// Kubernetes documentation, not to be fast; the compiled tables and the BPF programs are tested against it.
// Numbers in comments are those of docs/policy.md, "Rules".
#pragma once

#include <optional>

#include "policy/decision.h"
#include "policy/snapshot.h"

namespace sluice::policy {

// A new flow: the first packet's source, destination and service.
struct Flow {
  Address source;
  Address destination;
  std::uint8_t protocol = kTcp;
  std::uint16_t port = 0;  // destination port; 0 for protocols without ports
  bool from_node = false;  // sent by the node itself (not merely from one of its addresses)
};

struct Evaluation {
  bool allowed = true;
  bool audit_denied = false;        // allowed, but policies in audit would have denied it
  std::optional<Decision> egress;   // absent: the source is not a local workload
  std::optional<Decision> ingress;  // absent: the destination is not a local workload
};

// Whether which ends are decided: only those enforced on this node (Endpoint.ifindex != 0), or all known pods
// (explain and replay, which know no interfaces).
enum class Scope { kLocal, kEverywhere };

Evaluation Evaluate(const Snapshot& snapshot, const Flow& flow, Scope scope);

// One direction at one workload. `peer` may be a pod, the node or anything else.
Decision Decide(const Snapshot& snapshot, const Endpoint& subject, Direction direction, const Flow& flow);

}  // namespace sluice::policy
