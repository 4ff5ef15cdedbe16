// Flow events for the tests of Hubble's form.
#pragma once

#include <memory>
#include <string>

#include "telemetry/event/fair_queue.h"
#include "telemetry/hubble/hubble_flow.h"
#include "tests/unit/client/messages.h"

namespace sluice::telemetry {

// web asks db, and is let in by a rule.
inline constexpr char kWebToDb[] = R"({
  "time": "2026-03-04T05:06:07.123456789Z", "node": "node-1", "type": "flow", "event": "NEW", "verdict": "FORWARDED",
  "direction": "EGRESS", "hook": "TC", "interface": "veth-web", "reply": false, "flowId": "a-1",
  "ip": {"version": 4, "source": "10.1.0.2", "destination": "10.1.0.3"},
  "l4": {"protocol": "TCP", "sourcePort": 40112, "destinationPort": 5432, "tcpFlags": ["SYN"]},
  "source": {"namespace": "shop", "workload": "web-0", "identity": 259, "labels": {"app": "web", "tier": "front"},
    "owner": {"kind": "Deployment", "name": "web"},
    "process": {"execId": "node-1:4242:1", "pid": 4242, "binary": "/usr/bin/psql", "arguments": ["-h", "db"],
      "uid": 0, "ancestors": ["/bin/bash"]}},
  "destination": {"namespace": "bank", "workload": "db-0", "identity": 260, "labels": {"app": "db"},
    "process": {"pid": 77, "binary": "/usr/lib/postgres"}},
  "policies": [{"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "namespace": "bank", "name": "db",
    "rule": "ingress[0]", "effect": "ALLOW", "direction": "INGRESS"}],
  "forward": {"packets": 1, "bytes": 60}, "backward": {"packets": 0, "bytes": 0}})";

inline v1::Flow WebToDb() { return test::FromJson<v1::Flow>(kWebToDb); }

inline HubbleNode Node1() { return {.name = "node-1", .cluster = "default", .version = "sluice 1.2.3"}; }

inline EventPtr EventOf(v1::Flow flow) {
  auto event = std::make_shared<v1::Event>();
  *event->mutable_flow() = std::move(flow);
  return event;
}

inline flow::Flow HubbleWebToDb() { return ToHubbleFlow(WebToDb(), HubblePart::kPacket, Node1()); }

}  // namespace sluice::telemetry
