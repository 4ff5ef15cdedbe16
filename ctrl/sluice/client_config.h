// The client's configuration files: values that stand for options which were not given.
//   # ~/.config/sluice/config
//   server = /run/sluice/sluice.sock
//   output = json
//   namespace = shop
// What counts more: the command line, then the environment, then the user's file, then the machine's.
#pragma once

#include "ctrl/sluice/verb.h"

namespace sluice::client {

// The user's file ($XDG_CONFIG_HOME or ~/.config, then sluice/config) and /etc/sluice/client.conf; those that are not
// there count as empty. After all verbs have been added. InvalidArgument names the file and the setting that is wrong.
Status ReadClientConfig(CLI::App& app, CommandLine& line);

// One of them. `output` is for the verbs that have that form.
Status ReadClientConfigFile(const std::string& path, CLI::App& app, CommandLine& line);

}  // namespace sluice::client
