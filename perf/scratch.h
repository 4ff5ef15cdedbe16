// Places of an agent's own for the time of a measurement: its state on a disk, its pins on the BPF file system.
#pragma once

#include <string>

#include "base/status.h"

namespace sluice::perf {

// All that is there goes with it: what is attached, pinned and saved. Nobody uses it any more by then.
class Scratch {
 public:
  static StatusOr<Scratch> Create();
  ~Scratch();
  Scratch(Scratch&& other) noexcept;
  Scratch& operator=(Scratch&&) = delete;

  std::string state_dir() const { return directory_ + "/state"; }
  std::string directory() const { return directory_; }  // for other files
  const std::string& bpf_root() const { return bpf_root_; }
  // As if nothing had run there yet.
  Status Clear() const;

 private:
  Scratch(std::string directory, std::string bpf_root)
      : directory_(std::move(directory)), bpf_root_(std::move(bpf_root)) {}
  std::string directory_;
  std::string bpf_root_;
};

}  // namespace sluice::perf
