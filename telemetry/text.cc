#include "telemetry/text.h"

#include <fmt/format.h>

#include <csignal>
#include <cstring>

namespace sluice::telemetry {
namespace {

// By number, as in linux/capability.h.
constexpr const char* kCapabilities[] = {"CHOWN",
                                         "DAC_OVERRIDE",
                                         "DAC_READ_SEARCH",
                                         "FOWNER",
                                         "FSETID",
                                         "KILL",
                                         "SETGID",
                                         "SETUID",
                                         "SETPCAP",
                                         "LINUX_IMMUTABLE",
                                         "NET_BIND_SERVICE",
                                         "NET_BROADCAST",
                                         "NET_ADMIN",
                                         "NET_RAW",
                                         "IPC_LOCK",
                                         "IPC_OWNER",
                                         "SYS_MODULE",
                                         "SYS_RAWIO",
                                         "SYS_CHROOT",
                                         "SYS_PTRACE",
                                         "SYS_PACCT",
                                         "SYS_ADMIN",
                                         "SYS_BOOT",
                                         "SYS_NICE",
                                         "SYS_RESOURCE",
                                         "SYS_TIME",
                                         "SYS_TTY_CONFIG",
                                         "MKNOD",
                                         "LEASE",
                                         "AUDIT_WRITE",
                                         "AUDIT_CONTROL",
                                         "SETFCAP",
                                         "MAC_OVERRIDE",
                                         "MAC_ADMIN",
                                         "SYSLOG",
                                         "WAKE_ALARM",
                                         "BLOCK_SUSPEND",
                                         "AUDIT_READ",
                                         "PERFMON",
                                         "BPF",
                                         "CHECKPOINT_RESTORE"};

struct Range {
  unsigned char low, high;
};

bool IsIn(unsigned char byte, Range range) { return byte >= range.low && byte <= range.high; }

// The length of the character at the start of `text` (RFC 3629: no overlong forms, no surrogates); 0: there is none.
std::size_t CharacterLength(std::string_view text) {
  const auto at = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const unsigned char first = at(0);
  const Range tail{0x80, 0xbf};
  Range second = tail;
  std::size_t length = 0;
  if (first < 0x80) return 1;
  if (IsIn(first, {0xc2, 0xdf})) length = 2;
  if (IsIn(first, {0xe0, 0xef})) length = 3;
  if (IsIn(first, {0xf0, 0xf4})) length = 4;
  if (first == 0xe0) second.low = 0xa0;
  if (first == 0xed) second.high = 0x9f;
  if (first == 0xf0) second.low = 0x90;
  if (first == 0xf4) second.high = 0x8f;
  if (length == 0 || !IsIn(at(1), second)) return 0;
  for (std::size_t i = 2; i < length; ++i) {
    if (!IsIn(at(i), tail)) return 0;
  }
  return length;
}

}  // namespace

std::string ToUtf8(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    const std::size_t length = CharacterLength(bytes);
    if (length == 0) {
      text += fmt::format("\\x{:02x}", static_cast<unsigned char>(bytes.front()));
    } else {
      text += bytes.substr(0, length);
    }
    bytes.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return text;
}

std::string CapabilityName(unsigned capability) {
  if (capability < std::size(kCapabilities)) return std::string("CAP_") + kCapabilities[capability];
  return fmt::format("CAP_{}", capability);
}

std::string SignalName(int signal) {
  const char* name = sigabbrev_np(signal);
  return name == nullptr ? fmt::format("SIG{}", signal) : std::string("SIG") + name;
}

}  // namespace sluice::telemetry
