// sd_notify(3); silent where no service manager listens. The only user of libsystemd.
#pragma once

#include <string>

namespace sluice {

// Also sent while holding (`holding` not empty: why): all that can be enforced is in place, and the service manager
// must neither kill the agent as not ready nor delay the units that wait for it.
void NotifyReady(const std::string& holding);
void NotifyStatus(const std::string& holding);
void NotifyStopping();
// The main loop runs: called at least every 2 seconds, plus the time that one change takes (WatchdogSec= in the unit
// file).
void NotifyAlive();

}  // namespace sluice
