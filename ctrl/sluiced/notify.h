// sd_notify(3); silent where no service manager listens. The only user of libsystemd.
#pragma once

#include <string>

namespace sluice {

void NotifyReady(const std::string& status);
void NotifyStopping();

}  // namespace sluice
