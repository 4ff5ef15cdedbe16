// The nodes that a relay learns of. Pure.
#pragma once

#include <string>
#include <vector>

#include "api/hubble_observer.pb.h"
#include "api/hubble_peer.pb.h"
#include "base/status.h"
#include "telemetry/hubble/hubble_flow.h"

namespace sluice::hubble {

struct HubblePeer {
  std::string name;     // of the node
  std::string address;  // IP:PORT, HOST:PORT or unix:///PATH
};

// "NAME=ADDRESS". InvalidArgument says what is wrong.
StatusOr<HubblePeer> ParsePeer(const std::string& text);

// The name that a relay expects in a node's certificate: dots of the node's and the cluster's name become dashes.
std::string TlsServerName(const std::string& node, const std::string& cluster);

// `address`: of this node. InvalidArgument: it is no address that others can reach, as 0.0.0.0:4244.
Status CheckAdvertised(const std::string& address);

}  // namespace sluice::hubble
