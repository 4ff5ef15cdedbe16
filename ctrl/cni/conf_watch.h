// Keeps the plugin and its entry in place while other installers write the same directory.
#pragma once

#include "base/status.h"
#include "ctrl/cni/installer.h"

namespace sluice::cni {

// Installs, and again whenever something in the directories changes, until SIGTERM or SIGINT. Waits where there is no
// configuration yet, or none that can be used. What it does, and why it waits, goes to standard error. Another
// installer that overwrites the entry again and again is followed more and more slowly, at least once a minute.
Status KeepInstalled(const InstallOptions& options);

}  // namespace sluice::cni
