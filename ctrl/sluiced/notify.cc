#include "ctrl/sluiced/notify.h"

#include <systemd/sd-daemon.h>

namespace sluice {

void NotifyReady(const std::string& status) { sd_notify(0, ("READY=1\nSTATUS=" + status).c_str()); }
void NotifyAlive() { sd_notify(0, "WATCHDOG=1"); }
void NotifyStopping() { sd_notify(0, "STOPPING=1"); }

}  // namespace sluice
