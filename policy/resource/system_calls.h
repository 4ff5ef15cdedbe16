// The system calls of Linux by name, so that policies that name one are checked without a kernel. Names and numbers of
// arguments: the kernel's own list of system-call tracepoints (6.18), and its system-call tables for x86. Pure.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace sluice::policy {

struct SystemCall {
  std::string_view name;  // as in the tables: "openat"
  int arguments = 0;      // 0..6
};

std::span<const SystemCall> SystemCalls();  // sorted by name

// How many arguments the call has; absent: there is no such call.
std::optional<int> SyscallArguments(std::string_view name);

}  // namespace sluice::policy
