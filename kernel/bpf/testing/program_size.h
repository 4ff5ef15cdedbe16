// How large a loaded program is, for the ceilings in the tests' budget.txt.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"

namespace sluice::bpf {

struct ProgramSize {
  std::string name;
  std::uint32_t instructions = 0;  // after the verifier's rewriting
  std::uint32_t verified = 0;      // instructions that the verifier walked
};
StatusOr<ProgramSize> ReadProgramSize(int program_fd);

}  // namespace sluice::bpf
