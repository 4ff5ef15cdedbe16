#include "telemetry/process/process_record.h"

#include <cstring>

namespace sluice::telemetry {
namespace {

std::string_view Take(std::string_view& bytes, std::size_t length) {
  const std::string_view taken = bytes.substr(0, length);
  bytes.remove_prefix(length);
  return taken;
}

// Splits at each NUL; text after the last NUL is one more string.
std::vector<std::string> Split(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t end = text.find('\0');
    parts.emplace_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return parts;
}

void SplitArguments(std::string_view text, ProcessRecord& record) {
  std::vector<std::string> all = Split(text);
  // A process that wrote a title over its arguments leaves NULs after it. After an exec, the list is the caller's.
  if (record.event() == SL_PROCESS_EVENT_SEED) {
    while (!all.empty() && all.back().empty()) all.pop_back();
  }
  if (all.empty()) return;
  record.argument0 = std::move(all.front());
  record.arguments.assign(std::make_move_iterator(all.begin() + 1), std::make_move_iterator(all.end()));
}

// The script's path as the caller wrote it, made absolute if the working directory is known.
std::string ScriptPath(std::string_view script, const std::string& working_directory) {
  if (script.empty() || script.front() == '/' || working_directory.empty()) return std::string(script);
  while (script.starts_with("./")) script.remove_prefix(2);
  return working_directory + (working_directory.ends_with('/') ? "" : "/") + std::string(script);
}

StatusOr<ProcessRecord> DecodeExit(std::string_view bytes) {
  sl_process_exit exit;
  if (bytes.size() != sizeof(exit))
    return InvalidError("an exit record of {} bytes, not {}", bytes.size(), sizeof(exit));
  std::memcpy(&exit, bytes.data(), sizeof(exit));
  ProcessRecord record;
  record.start.header = exit.header;
  record.wait_status = exit.status;
  return record;
}

}  // namespace

StatusOr<ProcessRecord> DecodeProcessRecord(std::string_view bytes) {
  sl_process_header header;
  if (bytes.size() < sizeof(header)) return InvalidError("a process record of {} bytes has no header", bytes.size());
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (header.event == SL_PROCESS_EVENT_EXIT) return DecodeExit(bytes);
  if (header.event >= SL_PROCESS_EVENT_COUNT) return InvalidError("a process record of type {}", header.event);
  ProcessRecord record;
  if (bytes.size() < sizeof(record.start))
    return InvalidError("a process record of {} bytes is truncated", bytes.size());
  std::memcpy(&record.start, Take(bytes, sizeof(record.start)).data(), sizeof(record.start));
  const sl_process_start& start = record.start;
  const std::uint64_t texts = std::uint64_t{start.binary_length} + start.script_length + start.cwd_length +
                              start.cgroup_length + start.arguments_length;
  if (bytes.size() != texts) return InvalidError("a process record with {} bytes of text, not {}", bytes.size(), texts);
  record.binary = Take(bytes, start.binary_length);
  const std::string_view script = Take(bytes, start.script_length);
  record.working_directory = Take(bytes, start.cwd_length);
  record.script = ScriptPath(script, record.working_directory);
  record.cgroup_path = Take(bytes, start.cgroup_length);
  SplitArguments(Take(bytes, start.arguments_length), record);
  return record;
}

}  // namespace sluice::telemetry
