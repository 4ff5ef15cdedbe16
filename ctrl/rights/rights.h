// What the agent may do, and that it may do no more: the capabilities that it needs, each with what for, and no new
// privileges; which system calls, is in system_calls.h. Not systemd's business alone: an agent that is started by hand
// or in a container has no more rights.
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

// For good, for this process and what it starts: effective, permitted, inheritable, ambient and bounding set, and no
// new privileges. What is missing is not asked for. An error says what could not be given up; the rest is.
//
// What both together need is in deploy/sluice.service too (tests hold them together).
Status GiveUpOtherRights(Whose whose);

struct Held {
  std::vector<Right> rights;             // that it needs, in the order of their numbers; and any that could not go
  std::vector<std::string> confinement;  // "no new privileges", "system call filter": those that are on
};
// As the kernel says it.
StatusOr<Held> ReadHeld(pid_t pid, Whose whose);

}  // namespace sluice::rights
