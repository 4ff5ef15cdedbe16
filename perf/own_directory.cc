#include "perf/own_directory.h"

#include <filesystem>

namespace sluice::perf {

std::string OwnDirectory() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
}

}  // namespace sluice::perf
