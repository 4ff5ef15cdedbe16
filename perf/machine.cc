#include "perf/machine.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <cstdio>
#include <fstream>
#include <thread>

namespace sluice::perf {
namespace {

// A field of the first CPU; empty: not known on this kind of CPU.
std::string CpuField(const std::string& name) {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const std::size_t colon = line.find(": ");
    if (colon == std::string::npos || !line.starts_with(name)) continue;
    if (line.find_first_not_of(" \t", name.size()) == line.find(':')) return line.substr(colon + 2);
  }
  return {};
}

std::string CpuFamily() {
  const std::string family = CpuField("cpu family"), model = CpuField("model");
  if (family.empty() || model.empty()) return {};
  return fmt::format("family {} model {}", family, model);
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

double AvailableBytes() {
  std::ifstream info("/proc/meminfo");
  for (std::string word; info >> word;) {
    double kilobytes = 0;
    if (word == "MemAvailable:" && info >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}

}  // namespace

Machine ThisMachine() {
  Machine machine;
  if (utsname name{}; uname(&name) == 0) machine.kernel = name.release;
  machine.cpu = CpuField("model name");
  machine.family = CpuFamily();
  machine.cpus = static_cast<int>(std::thread::hardware_concurrency());
  machine.revision = Revision();
  return machine;
}

std::string MissingMemory(double bytes) {
  const double available = AvailableBytes();
  if (bytes * 2 < available) return {};
  return fmt::format("may need {:.1f} GB, and {:.1f} GB of memory are free", bytes / 1e9, available / 1e9);
}

}  // namespace sluice::perf
