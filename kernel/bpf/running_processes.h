// The processes of this machine, as /proc has them at a moment.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace sluice::bpf {

struct RunningProcess {
  std::uint32_t parent = 0;  // its pid
  std::string program;       // path, as in /proc/PID/exe; empty: not known, or a thread of the kernel
};

// By pid. Those that end meanwhile may be left out.
std::map<std::uint32_t, RunningProcess> RunningProcesses();

}  // namespace sluice::bpf
