// Records of the sensors of system calls, decoded and checked. Pure.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "base/status.h"
#include "bpf/abi/call.h"

namespace sluice::telemetry {

// Texts are the kernel's bytes, which need not be UTF-8.
struct CallRecord {
  sl_call_event event{};
  std::array<std::string, SL_CALL_TEXT_COUNT> texts;

  const std::string& text(sl_call_text which) const { return texts[which]; }
  sl_call_kind kind() const { return static_cast<sl_call_kind>(event.kind); }
  bool failed() const { return event.result < 0; }
};

// InvalidArgument when `bytes` does not begin with one record; the ring may have padding after it.
StatusOr<CallRecord> DecodeCallRecord(std::string_view bytes);

// The path that a text of the caller means: relative to `base`, without "." and "..", as links are not looked at.
std::string MeantPath(std::string_view base, std::string_view text);

}  // namespace sluice::telemetry
