// Flow events in Hubble's form. Pure.
//   for (const HubblePart part : HubbleParts(event.flow())) Send(ToHubbleFlow(event.flow(), part, node));
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "api/hubble_flow.pb.h"
#include "api/sluice.pb.h"

namespace sluice::telemetry {

// This node, as Hubble's clients name it.
struct HubbleNode {
  std::string name;
  std::string cluster = "default";
  std::string version;  // of the agent

  // With the cluster in front, if it is not the default one.
  std::string full_name() const { return cluster == "default" ? name : cluster + "/" + name; }
};

// Hubble has one event for the packet, and before it one for the policies of each end.
enum class HubblePart : std::uint8_t { kEgressVerdict, kIngressVerdict, kPacket };

// What is sent for an event, in order. The policies' verdicts only with a flow's first event, and only of ends that are
// isolated. Nothing for the end of a flow: its time is that of the last packet, maybe minutes ago, and readers rely on
// the order of times.
std::vector<HubblePart> HubbleParts(const v1::Flow& flow);

// Without uuid, and without extensions (ToHubbleExtensions).
flow::Flow ToHubbleFlow(const v1::Flow& flow, HubblePart part, const HubbleNode& node);

}  // namespace sluice::telemetry
