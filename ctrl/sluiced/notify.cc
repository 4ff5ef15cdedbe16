#include "ctrl/sluiced/notify.h"

#include <systemd/sd-daemon.h>

namespace sluice {

namespace {

std::string StatusLine(const std::string& holding) {
  return "STATUS=" + (holding.empty() ? "enforcing" : "holding: " + holding);
}

}  // namespace

void NotifyReady(const std::string& holding) { sd_notify(0, ("READY=1\n" + StatusLine(holding)).c_str()); }
void NotifyStatus(const std::string& holding) { sd_notify(0, StatusLine(holding).c_str()); }
void NotifyAlive() { sd_notify(0, "WATCHDOG=1"); }
void NotifyStopping() { sd_notify(0, "STOPPING=1"); }

}  // namespace sluice
