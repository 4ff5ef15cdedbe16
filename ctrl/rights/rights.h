// Limits what the agent may do: to the capabilities that it needs, each with its use, and no new privileges. System
// calls are in system_calls.h. systemd does not do this alone, so that an agent that is started by hand or in a
// container has no more rights.
//
// What needs CAP_SYS_ADMIN is done by a helper, a process that can do nothing else (helper.h).
//   GiveUpOtherRights(Whose::kAgent).IgnoreError();  // in main, before any thread starts: all then have the same
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/status.h"

namespace sluice::rights {

enum class Whose { kAgent, kHelper };

struct Right {
  std::string name;  // "CAP_BPF"
  std::string use;
};

// For good, for this process and those that it starts: effective, permitted, inheritable, ambient and bounding set, and
// no new privileges. Missing rights are no error. An error says what could not be given up; all the rest is.
//
// deploy/sluice.service has the rights of both too (a test compares them).
Status GiveUpOtherRights(Whose whose);

struct Held {
  std::vector<Right> rights;             // in the order of their numbers; also any that could not be given up
  std::vector<std::string> confinement;  // "no new privileges", "system call filter": those that are on
};
// As the kernel reports it.
StatusOr<Held> ReadHeld(pid_t pid, Whose whose);

}  // namespace sluice::rights
