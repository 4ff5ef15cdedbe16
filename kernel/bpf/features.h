// Optional features of this kernel, found by trying them. Changes nothing; needs the rights to load programs.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"

namespace sluice::bpf {

struct Feature {
  std::string name;
  bool present = false;
  std::string cost;  // the effect of its absence
};

// `tc_program_fd`: any loaded tc program.
std::vector<Feature> ProbeFeatures(int tc_program_fd);

// Features that the packet path requires and this kernel lacks; empty: none.
std::vector<std::string> MissingRequirements();

}  // namespace sluice::bpf
