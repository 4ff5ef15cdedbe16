#include "policy/tracing/syscalls.h"

#include <algorithm>
#include <array>

namespace sluice::policy::tracing {
namespace {

// The beginnings of the kernel's functions, and the ABIs that a list may name.
constexpr std::array<std::string_view, 6> kFunctionPrefixes = {"__x64_",   "__ia32_",         "__ia32_compat_",
                                                               "__arm64_", "__arm64_compat_", ""};
constexpr std::array<std::string_view, 4> kAbis = {"x64", "i386", "arm64", "arm32"};

}  // namespace

std::optional<std::string_view> SyscallOfFunction(std::string_view function) {
  for (const std::string_view prefix : kFunctionPrefixes) {
    if (!function.starts_with(prefix)) continue;
    const std::string_view rest = function.substr(prefix.size());
    if (rest.starts_with("sys_") && SyscallArguments(rest.substr(4))) return rest.substr(4);
  }
  return std::nullopt;
}

bool IsAbi(std::string_view name) { return std::find(kAbis.begin(), kAbis.end(), name) != kAbis.end(); }

std::vector<std::string> SyscallFunctions() {
  std::vector<std::string> names;
  for (const SystemCall& one : SystemCalls()) names.push_back("sys_" + std::string(one.name));
  return names;
}

}  // namespace sluice::policy::tracing
