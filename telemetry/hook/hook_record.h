// Records of the hook programs, decoded and checked. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "bpf/abi/hook.h"

namespace sluice::telemetry {

// An argument as the kernel read it. At most one of the last three has something, as `read` says.
struct HookValue {
  std::uint64_t number = 0;
  sl_hook_read read = SL_HOOK_READ_NOTHING;
  std::uint8_t flags = 0;  // enum sl_hook_value_flags
  std::string text;        // the kernel's bytes, which need not be UTF-8
  std::optional<sl_hook_socket> socket;
  std::optional<sl_hook_cred> cred;

  bool Is(sl_hook_value_flags flag) const { return (flags & flag) != 0; }
};

struct HookRecord {
  sl_hook_event event{};  // without `arguments`
  std::vector<HookValue> arguments;
  std::uint32_t cut_arguments = 0;  // of which the record has only a part, or nothing

  std::size_t bytes() const;  // of memory
};

// InvalidArgument: `bytes` is not one record. An argument that is not wholly in the record is truncated, or has not
// been read: the rest of the event must not be lost with it.
StatusOr<HookRecord> DecodeHookRecord(std::string_view bytes);

}  // namespace sluice::telemetry
