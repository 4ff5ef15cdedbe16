#include "telemetry/event/drop_reason.h"

#include <algorithm>
#include <iterator>

#include "bpf/abi/drop_reasons.h"

namespace sluice::telemetry {
namespace {

constexpr const char* kDropReasons[] = {
#define SL_X(name, description) #name,
    SL_DROP_REASONS(SL_X)
#undef SL_X
};

// The compiler refuses a reason that is missing here.
const char* Advice(sl_drop_reason reason) {
  switch (reason) {
    case SL_DROP_POLICY_DENIED:
      return "Ask `sluice explain --from A --to B --port PORT`: it names the rules that decide, and the rule that "
             "comes "
             "nearest to allowing the flow. Then widen a rule, add one, or remove the rule that denies.";
    case SL_DROP_SPOOFED_SOURCE:
      return "A workload may send from its own addresses only. Compare the packet with `sluice get workloads`, and add "
             "an address that is missing to the Workload's spec.ips. If none is missing, find the program that forges "
             "addresses. On an uplink, look for traffic from outside that uses a workload's address.";
    case SL_DROP_UNKNOWN_ENDPOINT:
      return "`sluice status` lists the interfaces that have no workload, and the workloads that have no interface, "
             "with the cause. Apply the Workload, or correct its netns, hostInterface or addresses.";
    case SL_DROP_MALFORMED_ETHERNET:
    case SL_DROP_MALFORMED_IPV4:
    case SL_DROP_MALFORMED_IPV6:
    case SL_DROP_MALFORMED_L4:
      return "No setting lets such a packet pass. Find its sender by the interface, capture there with tcpdump, and "
             "look for a faulty driver, a faulty tunnel, or a program that builds packets itself.";
    case SL_DROP_TOO_MANY_HEADERS:
      return "At most 2 VLAN tags and 8 IPv6 extension headers are examined. Send the traffic with fewer.";
    case SL_DROP_UNSUPPORTED_L3:
      return "Workloads can use only IPv4 and IPv6, because policies name nothing else. Stop the program that "
             "sends it, or ignore the count: some hosts send such frames (LLDP, spanning tree) by themselves.";
    case SL_DROP_FRAGMENT_NOT_FOUND:
      return "Only the first fragment has ports, so the others wait for it. Look for loss or reordering before this "
             "node, or lower the sender's MTU so that it sends no fragments.";
    case SL_DROP_CONNTRACK_FULL:
      return "`sluice status` shows how full the table is, and `sluice top` which workload has the most traffic. Start "
             "the agent with a larger --max-flows, or make that workload open fewer flows.";
    case SL_DROP_RULESET_MISSING:
      return "This should never last. Read `sluice status` and the agent's log, and restart the agent: it writes all "
             "rulesets again. If it comes back, report it with the archive that `sluice sysdump` makes.";
    case SL_DROP_QUARANTINED:
      return "`sluice status` lists the workloads in quarantine. `sluice quarantine NAMESPACE/NAME --release` ends it. "
             "The agent's --quarantine-allow names peers that may always reach such a workload.";
    case SL_DROP_LINK_CONTROL:
      return "A workload may send ARP, neighbour discovery and multicast membership as a host does, up to 128 KiB a "
             "second. Find the program that sends router advertisements, redirects or queries, or more than that.";
    case SL_DROP_SERVICE_NO_BACKEND:
      return "`kubectl get endpointslices -l kubernetes.io/service-name=NAME` shows the Service's pods: one must be "
             "ready. "
             "With internalTrafficPolicy: Local one on this node must be. A sender that forms its packets itself also "
             "needs a backend to which it has no other flow from the same port.";
    case SL_DROP_WRONG_RECEIVER:
      return "A bridge flooded the packet, or a neighbour entry is wrong. A few such drops are harmless. If they go "
             "on, compare addresses and interfaces in `sluice get workloads` with `ip neigh` on the node.";
    case SL_DROP_NONE:
    case SL_DROP_REASON_COUNT:
      break;
  }
  return "";
}

std::string Sentence(std::string description) {
  description.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(description.front())));
  return description + ".";
}

}  // namespace

const char* DropReasonName(std::uint32_t reason) {
  return reason < std::size(kDropReasons) ? kDropReasons[reason] : "";
}

const std::vector<DropReasonInfo>& DropReasons() {
  static const std::vector<DropReasonInfo> reasons = [] {
    std::vector<DropReasonInfo> all;
#define SL_X(name, description) all.push_back({#name, Sentence(description), Advice(SL_DROP_##name)});
    SL_DROP_REASONS(SL_X)
#undef SL_X
    all.erase(all.begin());  // NONE is not a reason
    return all;
  }();
  return reasons;
}

const DropReasonInfo* FindDropReason(std::string_view name) {
  const auto same = [](unsigned char a, unsigned char b) { return std::toupper(a) == std::toupper(b); };
  const auto& all = DropReasons();
  const auto found = std::find_if(all.begin(), all.end(), [&](const DropReasonInfo& reason) {
    const std::string_view known = reason.name;
    return std::equal(known.begin(), known.end(), name.begin(), name.end(), same);
  });
  return found == all.end() ? nullptr : &*found;
}

}  // namespace sluice::telemetry
