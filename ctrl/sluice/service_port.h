// A port on the command line, also by the name that the destination gives it: "80/TCP", "http", "dns/UDP".
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "ctrl/sluice/client.h"
#include "ctrl/sluice/port.h"
#include "policy/resource/model.h"

namespace sluice::client {

// The named ports of a workload or pod, namespace/name. NotFound: it does not exist.
using FindPorts = std::function<StatusOr<std::vector<policy::NamedPort>>(const std::string& end)>;

// Calls `find` only if `text` is a name. InvalidArgument: `text` is neither a port nor a port name of `end`, or it
// names several ports.
StatusOr<ProtocolPort> ResolvePort(const std::string& text, const std::string& end, const FindPorts& find);

// The ports of a Workload, or else of a Pod of the name.
StatusOr<std::vector<policy::NamedPort>> AskForPorts(Client& client, const std::string& end);

}  // namespace sluice::client
