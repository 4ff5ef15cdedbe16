// Records in the sensors' format.
#pragma once

#include <string>

#include "bpf/abi/process.h"

namespace sluice::telemetry {

struct Header {
  sl_process_id id = 0;
  sl_process_id parent = 0;
  std::uint32_t pid = 1;
  std::uint64_t start_ns = 0;
  std::uint64_t birth_ns = 0;
  std::uint64_t time_ns = 0;
  std::uint32_t flags = 0;
  std::uint64_t cgroup = 1;
  sl_process_event event = SL_PROCESS_EVENT_EXEC;
  sl_process_id previous = 0;
};

inline sl_process_header ToHeader(const Header& from) {
  sl_process_header header{};
  header.time_ns = from.time_ns;
  header.id = from.id;
  header.parent = from.parent;
  header.start_ns = from.start_ns;
  header.birth_ns = from.birth_ns;
  header.cgroup = from.cgroup;
  header.pid = from.pid;
  header.flags = from.flags;
  header.event = from.event;
  return header;
}

// A literal's text including NULs, except the last one.
template <std::size_t N>
std::string ExecBytes(const Header& header, const std::string& binary, const char (&arguments)[N],
                      const std::string& script) {
  const std::string cwd = "/srv", cgroup = "/pod";
  sl_process_start start{};
  start.header = ToHeader(header);
  start.previous = header.previous;
  start.tid = start.ns_pid = start.ns_tid = header.pid;
  start.binary_length = static_cast<std::uint16_t>(binary.size());
  start.script_length = static_cast<std::uint16_t>(script.size());
  start.cwd_length = static_cast<std::uint16_t>(cwd.size());
  start.cgroup_length = static_cast<std::uint16_t>(cgroup.size());
  start.arguments_length = N - 1;
  return std::string(reinterpret_cast<const char*>(&start), sizeof(start)) + binary + script + cwd + cgroup +
         std::string(arguments, N - 1);
}

inline std::string ForkBytes(Header header) {
  header.event = SL_PROCESS_EVENT_FORK;
  sl_process_start start{};
  start.header = ToHeader(header);
  start.tid = start.ns_pid = start.ns_tid = header.pid;
  return {reinterpret_cast<const char*>(&start), sizeof(start)};
}

inline std::string ExitBytes(Header header, std::uint32_t status) {
  header.event = SL_PROCESS_EVENT_EXIT;
  sl_process_exit exit{};
  exit.header = ToHeader(header);
  exit.status = status;
  return {reinterpret_cast<const char*>(&exit), sizeof(exit)};
}

}  // namespace sluice::telemetry
