// The machine that a measurement ran on. Unknown values are empty.
#pragma once

#include <string>

namespace sluice::perf {

struct Machine {
  std::string kernel;
  std::string cpu;
  std::string family;  // "family 26 model 2" of a CPU by its vendor: models of one name differ by it
  int cpus = 0;
  std::string revision;  // of the source tree of this build; "-dirty" with uncommitted changes
};

Machine ThisMachine();

// The reason to skip something that may need this many bytes; empty when twice as many are free.
std::string MissingMemory(double bytes);

}  // namespace sluice::perf
