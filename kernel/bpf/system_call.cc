#include "kernel/bpf/system_call.h"

#include <seccomp.h>

namespace sluice::bpf {
namespace {

#ifdef __aarch64__
constexpr std::string_view kPrefix = "__arm64_sys_";
#else
constexpr std::string_view kPrefix = "__x64_sys_";
#endif

struct Renamed {
  std::string_view call;
  std::string_view function;
};

// Calls whose function has another name (the kernel's system-call tables).
constexpr Renamed kRenamed[] = {
    {"stat", "newstat"},           {"fstat", "newfstat"},      {"lstat", "newlstat"},
    {"uname", "newuname"},         {"sendfile", "sendfile64"}, {"umount2", "umount"},
#ifdef __aarch64__
    {"fadvise64", "fadvise64_64"},
#endif
};

}  // namespace

SystemCall FindSystemCall(std::string_view name) {
  Renamed found{name, name};
  for (const Renamed& one : kRenamed) {
    if (name == one.call || name == one.function) found = one;
  }
  SystemCall call{.name = std::string(found.call),
                  .number = std::nullopt,
                  .function = std::string(kPrefix) + std::string(found.function)};
  const int number = seccomp_syscall_resolve_name(call.name.c_str());
  if (number >= 0) call.number = static_cast<std::uint32_t>(number);  // below 0: another architecture's
  return call;
}

}  // namespace sluice::bpf
