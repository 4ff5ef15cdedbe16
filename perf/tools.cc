#include "perf/tools.h"

#include <unistd.h>

#include <cstdlib>
#include <sstream>

namespace sluice::perf {

bool IsInstalled(const std::string& program) {
  const char* const path = std::getenv("PATH");
  std::istringstream directories(path == nullptr ? "/usr/sbin:/usr/bin" : path);
  for (std::string directory; std::getline(directories, directory, ':');)
    if (access(directory.append("/").append(program).c_str(), X_OK) == 0) return true;
  return false;
}

}  // namespace sluice::perf
