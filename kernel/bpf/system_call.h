// How the running kernel calls a system call: the number that programs give it, and the function that serves it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::bpf {

struct SystemCall {
  std::string name;                     // "stat"
  std::optional<std::uint32_t> number;  // absent: this architecture has no such call
  std::string function;                 // "__x64_sys_newstat"; its only argument is struct pt_regs*
};

// `name` without a prefix, of the call ("stat") or of its function ("newstat").
SystemCall FindSystemCall(std::string_view name);

// The numbers that a call has for the callers that one kernel serves. Absent: they have no such call.
struct CallNumbers {
  std::optional<std::uint32_t> native;
  std::optional<std::uint32_t> x32;     // without its bit
  std::optional<std::uint32_t> compat;  // 32-bit programs
};
CallNumbers FindCallNumbers(const std::string& name);

}  // namespace sluice::bpf
