// What the policies of a workload or a node say about one operation: the reference evaluator, which is the
// specification of docs/kubearmor-policy.md. It says nothing about speed. Pure.
//   const Decision decision = Evaluate(policies, postures, {.program = "/usr/bin/bash"}, Execution{.path = "/bin/ls"});
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "policy/lsm/model.h"
#include "policy/lsm/postures.h"

namespace sluice::policy::lsm {

// The process that does it.
struct Subject {
  std::string program;    // the path that it runs; of an execution, the one that it runs before
  std::uint32_t uid = 0;  // as which it uses files
  bool terminal = false;  // it has a controlling terminal
};

struct Execution {
  std::string path;               // of the program, without symbolic links
  std::uint32_t owner = 0;        // of its file
  std::vector<std::string> args;  // without the first, which is the program's name
  bool in_memory = false;         // no file system has it
  bool from_outside = false;      // it begins a process that enters a container, as `kubectl exec` does
};

struct Opening {
  std::string path;  // without symbolic links; of a directory with "/" at the end
  std::uint32_t owner = 0;
  bool writes = false;
  bool of_other_process = false;  // `path` is below /proc/PID of another process
};

// The creation of a socket.
struct SocketCreation {
  SocketFacts socket;
};

// A connection, or a datagram that is sent.
struct Contact {
  Address address;
  std::uint16_t port = 0;
  std::uint8_t protocol = kTcp;
};

struct CapabilityUse {
  std::uint32_t capability = 0;
};

struct SystemCallUse {
  std::string name;
  std::string path;  // that it is for, as in Opening; empty: none
};

// Memory without a file behind it becomes executable.
struct CodeMapping {};

using Operation = std::variant<Execution, Opening, SocketCreation, Contact, CapabilityUse, SystemCallUse, CodeMapping>;

struct Decision {
  Action action = Action::kAllow;  // kAudit: it passes, and is reported
  bool by_posture = false;         // no rule decides: the section is an allow list because of `rule`
  const Policy* policy = nullptr;  // null: no rule and no posture is about it
  const Rule* rule = nullptr;
};

// `policies`: those that select the workload or the node, in any order. The decision points into them.
Decision Evaluate(const std::vector<const Policy*>& policies, const Postures& postures, const Subject& subject,
                  const Operation& operation);

}  // namespace sluice::policy::lsm
