// The client's configuration files: values of options that were not given.
//   # ~/.config/sluice/config
//   server = /run/sluice/sluice.sock
//   output = json
//   namespace = shop
// The command line takes precedence, then the environment, then the user's file, then the machine's.
#pragma once

#include "ctrl/sluice/verb.h"

namespace sluice::client {

// Reads the user's file ($XDG_CONFIG_HOME or ~/.config, then sluice/config) and /etc/sluice/client.conf; missing files
// count as empty. Call it after all verbs are added. InvalidArgument names the file and the wrong setting.
Status ReadClientConfig(CLI::App& app, CommandLine& line);

// Reads one of them. `output` applies to the verbs that have that form.
Status ReadClientConfigFile(const std::string& path, CLI::App& app, CommandLine& line);

}  // namespace sluice::client
