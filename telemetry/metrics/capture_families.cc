#include "telemetry/metrics/capture_families.h"

namespace sluice::telemetry {

void AddCaptureFamilies(const CaptureNumbers& numbers, Families* out) {
  FamilyBuilder builder(out);
  const auto add = [&](const char* name, std::uint64_t value) { builder.Begin(name).Add(static_cast<double>(value)); };
  add("sluice_capture_workloads", numbers.workloads);
  add("sluice_capture_memory_bytes", numbers.memory_bytes);
  add("sluice_capture_memory_limit_bytes", numbers.memory_limit);
  builder.Begin("sluice_capture_packets_lost_total")
      .Add(static_cast<double>(numbers.contended), {{"cause", "contended"}})
      .Add(static_cast<double>(numbers.overwritten), {{"cause", "overwritten"}});
  builder.Begin("sluice_capture_files_written_total");
  // Present from the start, so that the first file is an increase.
  std::map<std::string, std::uint64_t> written = {{"alert", 0}, {"denied", 0}, {"detection", 0}, {"hook", 0}};
  for (const auto& [cause, count] : numbers.written) written[cause] = count;
  for (const auto& [cause, count] : written) builder.Add(static_cast<double>(count), {{"cause", cause}});
  add("sluice_capture_written_bytes_total", numbers.written_bytes);
  add("sluice_capture_files_suppressed_total", numbers.suppressed);
  add("sluice_capture_files_failed_total", numbers.failed);
  add("sluice_capture_files_removed_total", numbers.removed);
  add("sluice_capture_files", numbers.files);
  add("sluice_capture_file_bytes", numbers.file_bytes);
  add("sluice_capture_file_limit_bytes", numbers.file_limit);
}

}  // namespace sluice::telemetry
