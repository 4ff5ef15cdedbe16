// The known facts about one process instance: what runs between two of fork, exec and exit. Cheap to copy.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bpf/abi/process.h"

namespace sluice::telemetry {

// The program that an exec loaded; forked children share it.
struct ProcessImage {
  std::string binary;
  std::string script;
  std::string argument0;
  std::vector<std::string> arguments;
  std::string working_directory;
};

struct ProcessInstance {
  sl_process_id id = 0;
  sl_process_id parent = 0;    // 0: unknown, or none
  sl_process_id previous = 0;  // the same process before this instance's exec
  std::uint32_t pid = 0;
  std::uint32_t parent_pid = 0;
  std::uint32_t tid = 0;
  std::uint32_t namespace_pid = 0;
  std::uint32_t namespace_tid = 0;
  std::uint64_t start_ns = 0;  // CLOCK_BOOTTIME, as all times here
  std::uint64_t birth_ns = 0;  // start of the process
  std::uint64_t end_ns = 0;    // 0: alive
  std::uint32_t flags = 0;     // enum sl_process_flags
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint32_t effective_uid = 0;
  std::uint32_t login_uid = ~0U;
  std::uint64_t capabilities = 0;
  sl_process_namespaces namespaces{};
  std::uint64_t cgroup = 0;
  bool incomplete = true;                          // its start was not seen: only the numbers above `flags` are valid
  std::string name;                                // the kernel's name
  std::shared_ptr<const std::string> cgroup_path;  // null: not known
  std::shared_ptr<const ProcessImage> image;       // null: not known, or a kernel thread
  std::optional<std::uint32_t> wait_status;        // absent: its exit was not seen
};

// The 64 hexadecimal digits in the innermost part of the path that has them, as all runtimes do; empty: none.
std::string ContainerId(const std::string& cgroup_path);

// "NODE:PID:NANOSECONDS": the pid on the host, and the start of the instance in nanoseconds since boot.
std::string ExecId(const std::string& node, const ProcessInstance& instance);

}  // namespace sluice::telemetry
