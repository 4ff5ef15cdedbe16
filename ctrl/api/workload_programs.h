// Finds programs by their paths in the file systems of workloads, through a process that runs there. Looks at the
// processes once, at the first call. Not thread-safe.
#pragma once

#include <map>

#include "ctrl/explain/program_links.h"
#include "ctrl/node/process_root.h"
#include "telemetry/process/process_sensor.h"

namespace sluice::api {

class WorkloadPrograms {
 public:
  // `sensor` null: no processes are known. It outlives this.
  explicit WorkloadPrograms(const telemetry::ProcessSensor* sensor) : sensor_(sensor) {}

  // As FindProgram.
  std::vector<explain::ProgramFile> Find(const policy::ObjectName& workload, const std::string& path);

 private:
  struct MountNamespace {
    std::uint64_t number = 0;
    std::vector<std::uint32_t> pids;  // oldest first
  };
  void LookAtProcesses();
  std::vector<node::ProcessRoot>& RootsOf(const policy::ObjectName& workload);

  const telemetry::ProcessSensor* const sensor_;
  bool has_looked_ = false;
  std::map<policy::ObjectName, std::vector<MountNamespace>> namespaces_;
  std::map<policy::ObjectName, std::vector<node::ProcessRoot>> roots_;
};

}  // namespace sluice::api
