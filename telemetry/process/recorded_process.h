// Whose a record of other programs than the sensors is: those of hooks and of LSM rules name a process by what the
// sensors' map says of it, and by what the kernel says.
//   const auto found = FindRecorded(*tree, recorded);
//   v1::Event out = processes->MakeHook(found ? *found : UnknownInstance(recorded), event.time_ns);
#pragma once

#include "telemetry/process/process_tree.h"

namespace sluice::telemetry {

struct RecordedProcess {
  sl_process_id id = 0;        // 0: the sensors' map had none
  std::uint64_t birth_ns = 0;  // of the process, boot time; 0: likewise
  std::uint64_t cgroup = 0;
  std::uint32_t pid = 0;  // of the host's pid namespace
};

// The instance with this id, or else the living one of this pid that was born then.
std::optional<ProcessInstance> FindRecorded(const ProcessTree& tree, const RecordedProcess& process);
// What is known of it anyway.
ProcessInstance UnknownInstance(const RecordedProcess& process);
// The sensors have sent its record, but it has not been read yet.
bool IsAwaited(const ProcessTree& tree, const RecordedProcess& process);

}  // namespace sluice::telemetry
