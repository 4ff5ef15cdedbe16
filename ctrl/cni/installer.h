// Puts the plugin and its entry on a node, and takes both away again.
//
// At each moment, also when the process is killed between two steps, the first configuration of the directory is one
// that a runtime takes, and names no binary that is missing: the binary is there before the entry, and goes after it;
// files are replaced by a rename within their directory (containerd reloads on that, not on a file that is moved in).
// Calls exclude each other by a lock on the configuration's directory, over processes too.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "ctrl/cni/call.h"

namespace sluice::cni {

struct InstallOptions {
  std::string conf_dir = "/etc/cni/net.d";
  std::string bin_dir = "/opt/cni/bin";
  bool drop_in = false;      // CONF_DIR/NETWORK/50-sluice.conf, for libcni 1.3 and newer
  bool keep_binary = false;  // Uninstall
  Json entry;                // {"type": "sluice-cni", ...}
};

// What was changed, as sentences; empty: nothing had to be.
using Changes = std::vector<std::string>;

// NotFound: there is no network configuration (yet). InvalidArgument, FailedPrecondition: the first one is not valid,
// or must not get the entry; nothing is changed then.
StatusOr<Changes> Install(const InstallOptions& options);

// Goes on after an error with what is independent of it, and returns the first; the binary stays then.
StatusOr<Changes> Uninstall(const InstallOptions& options);

}  // namespace sluice::cni
