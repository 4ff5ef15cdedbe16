#include "telemetry/hubble/hubble_drop_reason.h"

#include <algorithm>
#include <string_view>

namespace sluice::telemetry {
namespace {

struct ReasonOfHubble {
  std::string_view ours;
  flow::DropReason theirs;
};
constexpr ReasonOfHubble kReasons[] = {
    {"POLICY_DENIED", flow::POLICY_DENIED},
    {"SPOOFED_SOURCE", flow::INVALID_SOURCE_IP},
    {"UNKNOWN_ENDPOINT", flow::DROP_EP_NOT_READY},
    {"MALFORMED_ETHERNET", flow::INVALID_PACKET_DROPPED},
    {"MALFORMED_IPV4", flow::INVALID_PACKET_DROPPED},
    {"MALFORMED_IPV6", flow::INVALID_PACKET_DROPPED},
    {"MALFORMED_L4", flow::CT_TRUNCATED_OR_INVALID_HEADER},
    {"TOO_MANY_HEADERS", flow::INVALID_IPV6_EXTENSION_HEADER},
    {"UNSUPPORTED_L3", flow::UNSUPPORTED_L3_PROTOCOL},
    {"FRAGMENT_NOT_FOUND", flow::FIRST_LOGICAL_DATAGRAM_FRAGMENT_NOT_FOUND},
    {"CONNTRACK_FULL", flow::CT_MAP_INSERTION_FAILED},
    {"RULESET_MISSING", flow::NO_CONFIGURATION_AVAILABLE_TO_PERFORM_POLICY_DECISION},
    {"QUARANTINED", flow::POLICY_DENY},
    {"LINK_CONTROL", flow::INVALID_PACKET_DROPPED},
    {"WRONG_RECEIVER", flow::UNKNOWN_L3_TARGET_ADDRESS},
    {"SERVICE_NO_BACKEND", flow::SERVICE_BACKEND_NOT_FOUND},
};

// Hubble has a reason of its own for a rule that denies.
bool IsDeniedByRule(const v1::Flow& flow) {
  return std::any_of(flow.policies().begin(), flow.policies().end(),
                     [](const v1::PolicyRef& policy) { return policy.effect() == v1::PolicyRef::DENY; });
}

}  // namespace

flow::DropReason ToHubbleDropReason(const v1::Flow& flow) {
  const auto* const found = std::find_if(std::begin(kReasons), std::end(kReasons), [&](const ReasonOfHubble& reason) {
    return reason.ours == flow.drop_reason();
  });
  if (found == std::end(kReasons)) return flow::DROP_REASON_UNKNOWN;
  return found->theirs == flow::POLICY_DENIED && IsDeniedByRule(flow) ? flow::POLICY_DENY : found->theirs;
}

}  // namespace sluice::telemetry
