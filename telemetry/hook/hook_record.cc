#include "telemetry/hook/hook_record.h"

#include <algorithm>
#include <cstring>

namespace sluice::telemetry {
namespace {

// The ring rounds records up to 8 bytes.
constexpr std::size_t kPadding = 7;

bool HasSocket(std::uint8_t read) {
  return read == SL_HOOK_READ_SOCK || read == SL_HOOK_READ_SOCKET || read == SL_HOOK_READ_SKB ||
         read == SL_HOOK_READ_SOCKADDR;
}

// Nothing: `data` has another size.
template <typename T>
std::optional<T> Copy(std::string_view data) {
  T value;
  if (data.size() != sizeof(value)) return std::nullopt;
  std::memcpy(&value, data.data(), sizeof(value));
  return value;
}

// Sets `cut` if the value is not whole. A text keeps what is there of it.
HookValue DecodeValue(const sl_hook_value& from, std::string_view data, bool* cut) {
  HookValue value;
  *cut = from.read >= SL_HOOK_READ_COUNT;
  if (*cut) return value;
  value = {.number = from.number, .read = static_cast<sl_hook_read>(from.read), .flags = from.flags};
  if (from.length == 0) return value;
  *cut = from.offset > data.size() || data.size() - from.offset < from.length;
  const std::string_view own = data.substr(std::min<std::size_t>(from.offset, data.size()), from.length);
  if (HasSocket(from.read)) {
    value.socket = Copy<sl_hook_socket>(own);
  } else if (from.read == SL_HOOK_READ_CRED) {
    value.cred = Copy<sl_hook_cred>(own);
  } else {
    value.text = own;
  }
  const bool lacks_struct = (HasSocket(from.read) && !value.socket) || (from.read == SL_HOOK_READ_CRED && !value.cred);
  *cut = *cut || lacks_struct;
  if (lacks_struct || own.empty()) {
    value.flags = 0;
  } else if (*cut) {
    value.flags |= SL_HOOK_VALUE_TRUNCATED;
  }
  return value;
}

}  // namespace

std::size_t HookRecord::bytes() const {
  std::size_t sum = sizeof(*this) + arguments.size() * sizeof(HookValue);
  for (const HookValue& value : arguments) sum += value.text.capacity();
  return sum;
}

StatusOr<HookRecord> DecodeHookRecord(std::string_view bytes) {
  HookRecord record;
  sl_hook_event& event = record.event;
  if (bytes.size() < sizeof(event)) return InvalidError("a hook record of {} bytes is truncated", bytes.size());
  std::memcpy(&event, bytes.data(), sizeof(event));
  std::string_view data = bytes.substr(sizeof(event));
  if (event.length > data.size() || data.size() - event.length > kPadding) {
    return InvalidError("a hook record with {} bytes of data, not {}", data.size(), event.length);
  }
  data = data.substr(0, event.length);
  if (event.kind < SL_HOOK_EVENT_ENTER || event.kind > SL_HOOK_EVENT_WHOLE) {
    return InvalidError("a hook record of type {}", event.kind);
  }
  if (event.argument_count > SL_HOOK_ARGUMENTS) {
    return InvalidError("a hook record with {} arguments", event.argument_count);
  }
  for (std::size_t i = 0; i < event.argument_count; ++i) {
    bool cut = false;
    record.arguments.push_back(DecodeValue(event.arguments[i], data, &cut));
    record.cut_arguments += cut ? 1 : 0;
  }
  return record;
}

}  // namespace sluice::telemetry
