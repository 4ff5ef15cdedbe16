// Records of the process sensors, decoded and checked. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "bpf/abi/process.h"

namespace sluice::telemetry {

// Texts are the kernel's bytes, which need not be UTF-8.
struct ProcessRecord {
  sl_process_start start{};  // exit: only the header is set
  std::string binary;
  std::string script;
  std::string working_directory;
  std::string cgroup_path;
  std::string argument0;
  std::vector<std::string> arguments;  // after argv[0]
  std::uint32_t wait_status = 0;       // exit only

  const sl_process_header& header() const { return start.header; }
  sl_process_event event() const { return static_cast<sl_process_event>(start.header.event); }
};

// InvalidArgument when `bytes` is not exactly one record.
StatusOr<ProcessRecord> DecodeProcessRecord(std::string_view bytes);

}  // namespace sluice::telemetry
