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

#ifdef __aarch64__
constexpr std::uint32_t kCompatArch = SCMP_ARCH_ARM;
#else
constexpr std::uint32_t kCompatArch = SCMP_ARCH_X86;
constexpr std::uint32_t kX32Bit = 0x40000000;

struct DirectCall {
  std::string_view name;
  std::uint32_t number;
};
// libseccomp knows these only as parts of socketcall(2) there. asm/unistd_32.h; since Linux 4.3.
constexpr DirectCall kDirectCalls[] = {
    {"socket", 359}, {"bind", 361},    {"connect", 362},  {"listen", 363},  {"accept4", 364},
    {"sendto", 369}, {"sendmsg", 370}, {"recvfrom", 371}, {"recvmsg", 372},
};
#endif

std::optional<std::uint32_t> NumberFor(std::uint32_t arch, const std::string& name) {
  const int number = seccomp_syscall_resolve_name_arch(arch, name.c_str());
  return number < 0 ? std::nullopt : std::optional(static_cast<std::uint32_t>(number));  // below 0: it has none
}

}  // namespace

CallNumbers FindCallNumbers(const std::string& name) {
  CallNumbers numbers{
      .native = NumberFor(seccomp_arch_native(), name), .x32 = std::nullopt, .compat = NumberFor(kCompatArch, name)};
#ifndef __aarch64__
  if (const auto number = NumberFor(SCMP_ARCH_X32, name)) numbers.x32 = *number & ~kX32Bit;
  for (const DirectCall& call : kDirectCalls) {
    if (call.name == name) numbers.compat = call.number;
  }
#endif
  return numbers;
}

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
