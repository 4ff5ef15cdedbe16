#include "perf/machine.h"

#include <sys/utsname.h>

#include <cstdio>
#include <fstream>
#include <thread>

namespace sluice::perf {
namespace {

std::string CpuModel() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return {};
}

std::string Revision() {
  FILE* const git =
      popen("git -C '" SLUICE_SOURCE_DIR "' describe --always --dirty --abbrev=40 --exclude='*' 2>/dev/null", "r");
  if (git == nullptr) return {};
  char line[128] = "";
  const bool read = fgets(line, sizeof(line), git) != nullptr;
  if (pclose(git) != 0 || !read) return {};
  std::string revision = line;
  while (revision.ends_with('\n')) revision.pop_back();
  return revision;
}

}  // namespace

Machine ThisMachine() {
  Machine machine;
  if (utsname name{}; uname(&name) == 0) machine.kernel = name.release;
  machine.cpu = CpuModel();
  machine.cpus = static_cast<int>(std::thread::hardware_concurrency());
  machine.revision = Revision();
  return machine;
}

}  // namespace sluice::perf
