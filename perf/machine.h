// Where a measurement was made. What cannot be found out is empty.
#pragma once

#include <string>

namespace sluice::perf {

struct Machine {
  std::string kernel;
  std::string cpu;
  int cpus = 0;
  std::string revision;  // of the source tree that the program was built from, "-dirty" when it has changes
};

Machine ThisMachine();

// Why something that may need so many bytes is left out. Empty: twice as many are free.
std::string MissingMemory(double bytes);

}  // namespace sluice::perf
