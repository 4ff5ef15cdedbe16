// The port of a question, also by the name that the destination gives it: "80/TCP", "http", "dns/UDP".
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "ctrl/sluice/client.h"
#include "ctrl/sluice/port.h"
#include "policy/resource/model.h"

namespace sluice::client {

// The named ports of a workload or pod, namespace/name. NotFound: there is no such one.
using FindPorts = std::function<StatusOr<std::vector<policy::NamedPort>>(const std::string& end)>;

// `find` is asked only where `text` is a name. InvalidArgument: it is neither a port nor a name that `end` has, or one
// of several ports.
StatusOr<ProtocolPort> ResolvePort(const std::string& text, const std::string& end, const FindPorts& find);

// A Workload's before a Pod's of the same name.
StatusOr<std::vector<policy::NamedPort>> AskForPorts(Client& client, const std::string& end);

}  // namespace sluice::client
