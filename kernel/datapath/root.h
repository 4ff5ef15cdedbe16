// The directory on a BPF file system where one agent pins everything.
#pragma once

#include <string>
#include <vector>

#include "base/fd.h"
#include "base/status.h"

namespace sluice::datapath {

// Creates the directory, and locks it until the descriptor is closed. AlreadyExists: another process has it.
StatusOr<Fd> LockRoot(const std::string& bpf_root);

// What a start makes of the root, so that a start that fails can remove it again.
class NewRoot {
 public:
  // Notes what is there already. Call before LockRoot.
  explicit NewRoot(const std::string& bpf_root);
  // Removes what was not there: this version's maps, if none of its programs is attached, then directories that are
  // empty. Call while the root is locked.
  void TakeBack() const;

 private:
  std::string root_;
  bool had_version_ = false;
  std::vector<std::string> missing_;  // directories, from the root upwards
};

struct Uninstalled {
  bool existed = false;  // the directory
  int pods = 0;          // pods' interfaces that programs were detached from, over all versions
};

// Detaches and unpins everything below `bpf_root`. AlreadyExists: an agent runs there. InvalidArgument: it is not on a
// BPF file system.
StatusOr<Uninstalled> Uninstall(const std::string& bpf_root);

}  // namespace sluice::datapath
