// The system calls of Linux by name, so that a policy that hooks one is checked without a kernel. Names and numbers of
// arguments: the kernel's own list of system-call tracepoints (6.18), and its system-call tables for x86. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::policy::tracing {

// How many arguments the call has (0..6); absent: there is no such call. `name` as in the tables: "openat".
std::optional<int> SyscallArguments(std::string_view name);

// "openat" for "sys_openat", "__x64_sys_openat", "__arm64_sys_openat", ...; absent: not the function of a known call.
std::optional<std::string_view> SyscallOfFunction(std::string_view function);

// Whether a list may write `name` before a call, as in "i386/sys_dup".
bool IsAbi(std::string_view name);

// All calls as policies write them: "sys_openat". To find the name that a mistyped one means.
std::vector<std::string> SyscallFunctions();

}  // namespace sluice::policy::tracing
