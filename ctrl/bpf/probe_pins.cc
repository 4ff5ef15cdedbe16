#include "ctrl/bpf/probe_pins.h"

#include <bpf/libbpf.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <set>

namespace sluice::bpf {

Status PinProbes(const PinLayout& layout, const std::string& set, const std::vector<AttachedProbe>& probes) {
  const std::string directory = layout.probes_dir() + "/" + set;
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return ErrnoError(error.value(), "create {} (is a BPF file system mounted there?)", directory);
  std::set<std::string> current;
  for (const AttachedProbe& probe : probes) {
    const std::string pin = directory + "/" + probe.name, fresh = pin + "-new";
    unlink(fresh.c_str());  // of an agent that was killed here
    if (const int rc = bpf_link__pin(probe.link, fresh.c_str()); rc != 0) return ErrnoError(-rc, "pin {}", fresh);
    if (rename(fresh.c_str(), pin.c_str()) != 0) return ErrnoError(errno, "put {} in place of {}", fresh, pin);
    current.insert(pin);
  }
  std::vector<std::string> others;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    if (!current.contains(entry.path())) others.push_back(entry.path());
  }
  if (error) return ErrnoError(error.value(), "list {}", directory);
  for (const std::string& other : others) {
    if (unlink(other.c_str()) != 0) return ErrnoError(errno, "end the probe {}", other);
  }
  return OkStatus();
}

Status ReleaseProbes(const PinLayout& layout) {
  std::error_code error;
  std::filesystem::remove_all(layout.probes_dir(), error);
  return error ? ErrnoError(error.value(), "end the probes in {}", layout.probes_dir()) : OkStatus();
}

}  // namespace sluice::bpf
