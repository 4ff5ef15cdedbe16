// The only code that knows where objects are pinned:
//   ROOT/v<ABI>/maps/NAME   ROOT/v<ABI>/links/PROGRAM-IFINDEX   ROOT/v<ABI>/probes/SET/PROGRAM
//   ROOT/v<ABI>/services/PROGRAM   ROOT/v<ABI>/hooks/LIFE/POINT-PROGRAM   ROOT/v<ABI>/lsm/LIFE/PROGRAM
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "bpf/abi/types.h"

namespace sluice::bpf {

class PinLayout {
 public:
  explicit PinLayout(std::string root, int version = SL_ABI_VERSION) : root_(std::move(root)), version_(version) {}

  const std::string& root() const { return root_; }
  int version() const { return version_; }
  std::string version_dir() const { return root_ + "/v" + std::to_string(version_); }
  std::string maps_dir() const { return version_dir() + "/maps"; }
  std::string links_dir() const { return version_dir() + "/links"; }
  std::string probes_dir() const { return version_dir() + "/probes"; }
  std::string services_dir() const { return version_dir() + "/services"; }
  std::string hooks_dir() const { return version_dir() + "/hooks"; }
  std::string lsm_dir() const { return version_dir() + "/lsm"; }
  std::string map(const std::string& name) const { return maps_dir() + "/" + name; }
  std::string link(const std::string& program, std::uint32_t ifindex) const {
    return links_dir() + "/" + program + "-" + std::to_string(ifindex);
  }

 private:
  std::string root_;
  int version_;
};

// The layouts of all versions that have something pinned below `root`, oldest first. Touches nothing.
StatusOr<std::vector<PinLayout>> FindLayouts(const std::string& root);

// FailedPrecondition: a newer version has something pinned below `root`, and ours cannot take it over.
Status RefuseNewerLayouts(const std::string& root);

// The parts of the name of a link's pin.
struct LinkName {
  std::string program;
  std::uint32_t ifindex = 0;
};
std::optional<LinkName> ParseLinkName(const std::string& name);

}  // namespace sluice::bpf
