// The directory on a BPF file system where one agent pins everything.
#pragma once

#include <string>

#include "base/fd.h"
#include "base/status.h"

namespace sluice::datapath {

// Creates the directory, and locks it until the descriptor is closed. AlreadyExists: another process has it.
StatusOr<Fd> LockRoot(const std::string& bpf_root);

struct Uninstalled {
  bool existed = false;  // the directory
  int pods = 0;          // pods' interfaces that programs were detached from, over all versions
};

// Detaches and unpins everything below `bpf_root`. AlreadyExists: an agent runs there. InvalidArgument: it is not on a
// BPF file system.
StatusOr<Uninstalled> Uninstall(const std::string& bpf_root);

}  // namespace sluice::datapath
