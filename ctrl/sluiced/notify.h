// sd_notify(3); silent where no service manager listens. The only user of libsystemd.
#pragma once

#include <string>

namespace sluice {

// Also of an agent that holds (not empty: why): all that can be enforced is in place, and a service manager must
// neither kill it for not being ready nor keep from starting what waits for it.
void NotifyReady(const std::string& holding);
void NotifyStatus(const std::string& holding);
void NotifyStopping();
// The main loop goes round: at least each 2 seconds, but for what one change takes (WatchdogSec= in the unit file).
void NotifyAlive();

}  // namespace sluice
