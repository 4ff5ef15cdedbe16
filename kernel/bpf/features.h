// What this kernel can do beyond what Sluice needs, found by trying it. Changes nothing; needs the rights to load
// programs.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"

namespace sluice::bpf {

struct Feature {
  std::string name;
  bool present = false;
  std::string cost;  // of its absence
};

// `tc_program_fd`: any loaded tc program.
std::vector<Feature> ProbeFeatures(int tc_program_fd);

// What the packet path cannot do without, and this kernel has not; empty: all is there.
std::vector<std::string> MissingRequirements();

}  // namespace sluice::bpf
