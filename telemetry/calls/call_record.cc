#include "telemetry/calls/call_record.h"

#include <cstring>
#include <vector>

namespace sluice::telemetry {

StatusOr<CallRecord> DecodeCallRecord(std::string_view bytes) {
  CallRecord record;
  sl_call_event& event = record.event;
  if (bytes.size() < sizeof(event))
    return InvalidError("{} bytes: a record of a system call has at least {}", bytes.size(), sizeof(event));
  std::memcpy(&event, bytes.data(), sizeof(event));
  bytes.remove_prefix(sizeof(event));
  if (event.kind == SL_CALL_NONE || event.kind >= SL_CALL_KIND_COUNT) return InvalidError("kind {}", event.kind);
  if (event.file.descriptor >= SL_CALL_DESCRIPTORS) return InvalidError("descriptor {}", event.file.descriptor);
  for (std::size_t i = 0; i < record.texts.size(); ++i) {
    if (event.lengths[i] > bytes.size())
      return InvalidError("text {} of {} bytes in {}", i, event.lengths[i], bytes.size());
    record.texts[i] = bytes.substr(0, event.lengths[i]);
    bytes.remove_prefix(event.lengths[i]);
  }
  return record;
}

std::string MeantPath(std::string_view base, std::string_view text) {
  std::string joined;
  if (!text.starts_with('/')) joined.append(base).append("/");
  joined.append(text);
  std::vector<std::string_view> parts;
  std::string_view left = joined;
  while (!left.empty()) {
    const std::size_t slash = std::min(left.find('/'), left.size());
    const std::string_view part = left.substr(0, slash);
    left.remove_prefix(std::min(slash + 1, left.size()));
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      parts.push_back(part);
    } else if (!parts.empty()) {
      parts.pop_back();
    }
  }
  std::string path;
  for (const std::string_view part : parts) path.append("/").append(part);
  return path.empty() ? "/" : path;
}

}  // namespace sluice::telemetry
