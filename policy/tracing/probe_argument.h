// Arguments of static probes (SDT), as compilers write them into a program's notes: a size with a sign, "@", and an
// operand of the assembler. Pure. Source of the form:
// https://sourceware.org/systemtap/wiki/UserSpaceProbeImplementation
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace sluice::policy::tracing {

enum class Machine { kX86_64, kAarch64 };

// Of this machine's programs.
constexpr Machine ThisMachine() {
#if defined(__aarch64__)
  return Machine::kAarch64;
#else
  return Machine::kX86_64;
#endif
}

// "-4@%edi", "8@16(%rsp)" for "-4@%edi 8@16(%rsp)".
std::vector<std::string_view> SplitProbeArguments(std::string_view arguments);

// The way to the argument's value, as SL_HOOK_STEPs that begin at 0. InvalidArgument: an operand that cannot be read.
StatusOr<std::vector<std::uint64_t>> StepsOfProbeArgument(std::string_view argument, Machine machine);

}  // namespace sluice::policy::tracing
