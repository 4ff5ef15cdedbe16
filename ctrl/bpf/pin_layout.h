// The one place that knows where things are pinned:
//   ROOT/v<ABI>/maps/NAME   ROOT/v<ABI>/links/PROGRAM-IFINDEX   ROOT/v<ABI>/probes/SET/PROGRAM
#pragma once

#include <string>

#include "bpf/abi/types.h"

namespace sluice::bpf {

class PinLayout {
 public:
  explicit PinLayout(std::string root) : root_(std::move(root)) {}

  const std::string& root() const { return root_; }
  std::string version_dir() const { return root_ + "/v" + std::to_string(SL_ABI_VERSION); }
  std::string maps_dir() const { return version_dir() + "/maps"; }
  std::string links_dir() const { return version_dir() + "/links"; }
  std::string probes_dir() const { return version_dir() + "/probes"; }
  std::string map(const std::string& name) const { return maps_dir() + "/" + name; }
  std::string link(const std::string& program, unsigned ifindex) const {
    return links_dir() + "/" + program + "-" + std::to_string(ifindex);
  }

 private:
  std::string root_;
};

}  // namespace sluice::bpf
