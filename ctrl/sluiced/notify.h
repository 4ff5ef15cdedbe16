// sd_notify(3); silent where no service manager listens. The only user of libsystemd.
#pragma once

#include <string>

namespace sluice {

void NotifyReady(const std::string& status);
void NotifyStopping();
// The main loop goes round: at least each 5 seconds, but for what one change takes (WatchdogSec= in the unit file).
void NotifyAlive();

}  // namespace sluice
