// What the agent may do, and that it may do no more: the capabilities that it needs, each with what for; no new
// privileges; and a filter that refuses system calls which it never makes. Not systemd's business alone: an agent that
// is started by hand or in a container has no more rights. The only user of libseccomp.
//
//   GiveUpOtherRights().IgnoreError();  // in main, before any thread starts: all threads then have the same
#pragma once

#include <string>
#include <vector>

#include "ctrl/base/status.h"

namespace sluice {

struct Right {
  std::string name;  // "CAP_BPF"
  std::string use;
};

// All that the agent uses, in the order of their numbers. deploy/sluice.service has the same (tests hold them
// together).
const std::vector<Right>& NeededRights();

// For good, for this process and what it starts: effective, permitted, inheritable, ambient and bounding set, and no
// new privileges. What is missing is not asked for. An error says what could not be given up; the rest is.
Status GiveUpOtherRights();

// From now on the calls that the agent never makes fail with EPERM, in all threads that this one starts: other
// programs, mounts, other namespaces than network ones, modules, clocks, tracing, keys, raw I/O, other address
// families. CLONE_NEWNET by setns stays (the workloads' namespaces).
Status RefuseSystemCalls();

// All that this process has: those of NeededRights, and any that could not be given up.
std::vector<Right> HeldRights();
// "no new privileges", "system call filter": those that are on.
std::vector<std::string> Confinement();

}  // namespace sluice
