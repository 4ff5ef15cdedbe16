// Private directories of an agent for one measurement: its state on a disk, its pins on the BPF file system.
#pragma once

#include <string>

#include "base/status.h"

namespace sluice::perf {

// The destructor removes everything: what is attached, pinned and saved. Nothing may use it any more by then.
class Scratch {
 public:
  static StatusOr<Scratch> Create();
  ~Scratch();
  Scratch(Scratch&& other) noexcept;
  Scratch& operator=(Scratch&&) = delete;

  std::string state_dir() const { return directory_ + "/state"; }
  std::string directory() const { return directory_; }  // for other files
  const std::string& bpf_root() const { return bpf_root_; }
  // Restores the state before any run.
  Status Clear() const;

 private:
  Scratch(std::string directory, std::string bpf_root)
      : directory_(std::move(directory)), bpf_root_(std::move(bpf_root)) {}
  std::string directory_;
  std::string bpf_root_;
};

}  // namespace sluice::perf
