#include "telemetry/lsm/alert_record.h"

#include <cstring>

namespace sluice::telemetry {

StatusOr<AlertRecord> DecodeAlertRecord(std::string_view bytes) {
  AlertRecord record;
  sl_lsm_event& event = record.event;
  if (bytes.size() < sizeof(event))
    return InvalidError("{} bytes: a record has at least {}", bytes.size(), sizeof(event));
  std::memcpy(&event, bytes.data(), sizeof(event));
  bytes.remove_prefix(sizeof(event));
  const std::size_t lengths = std::size_t{event.path_length} + event.program_length + event.arguments_length;
  if (bytes.size() < lengths) return InvalidError("texts of {} bytes in {} bytes", lengths, bytes.size());
  if (event.operation >= SL_LSM_OPERATION_COUNT) return InvalidError("operation {}", event.operation);
  record.path = bytes.substr(0, event.path_length);
  record.program = bytes.substr(event.path_length, event.program_length);
  std::string_view arguments =
      bytes.substr(std::size_t{event.path_length} + event.program_length, event.arguments_length);
  while (!arguments.empty()) {
    const std::size_t end = std::min(arguments.find('\0'), arguments.size());
    record.arguments.emplace_back(arguments.substr(0, end));
    arguments.remove_prefix(std::min(end + 1, arguments.size()));
  }
  return record;
}

}  // namespace sluice::telemetry
