// System calls as a TracingPolicy writes them: by the kernel's functions. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/resource/system_calls.h"

namespace sluice::policy::tracing {

// "openat" for "sys_openat", "__x64_sys_openat", "__arm64_sys_openat", ...; absent: not the function of a known call.
std::optional<std::string_view> SyscallOfFunction(std::string_view function);

// Whether a list may write `name` before a call, as in "i386/sys_dup".
bool IsAbi(std::string_view name);

// All calls as policies write them: "sys_openat". To find the name that a mistyped one means.
std::vector<std::string> SyscallFunctions();

}  // namespace sluice::policy::tracing
