// The directory on a BPF file system below which one agent pins everything.
#pragma once

#include <string>

#include "base/fd.h"
#include "base/status.h"

namespace sluice::datapath {

// Makes the directory, and keeps it to the caller until the descriptor is closed. AlreadyExists when another has it.
StatusOr<Fd> LockRoot(const std::string& bpf_root);

struct Uninstalled {
  bool existed = false;  // the directory
  int pods = 0;          // interfaces of pods that were detached from, over all versions
};

// Detaches and unpins everything below `bpf_root`. AlreadyExists when an agent is running there; InvalidArgument when
// it is not on a BPF file system.
StatusOr<Uninstalled> Uninstall(const std::string& bpf_root);

}  // namespace sluice::datapath
