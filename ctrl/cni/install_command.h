// The command line: sluice-cni install | uninstall.
#pragma once

namespace sluice::cni {

// Returns the exit code: 0; 1: it failed, and why is on standard error; 2: the arguments are wrong.
int RunInstallCommand(int argc, char** argv);

}  // namespace sluice::cni
