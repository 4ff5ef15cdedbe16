#include "telemetry/calls/call_names.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/bpf.h>
#include <linux/memfd.h>
#include <linux/module.h>
#include <linux/openat2.h>
#include <linux/ptrace.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <span>

#include "bpf/abi/call.h"

namespace sluice::telemetry {
namespace {

struct NumberName {
  std::uint64_t number;
  const char* name;
};

#define SL_NAMED(name) \
  { static_cast<std::uint64_t>(name), #name }

// O_SYNC and O_TMPFILE have the bits of O_DSYNC and O_DIRECTORY and more: they come first, and take those.
constexpr NumberName kOpenFlags[] = {
    SL_NAMED(O_TMPFILE),  SL_NAMED(O_DIRECTORY), SL_NAMED(O_DIRECT),  SL_NAMED(O_TRUNC),  SL_NAMED(O_SYNC),
    SL_NAMED(O_NONBLOCK), SL_NAMED(O_EXCL),      SL_NAMED(O_DSYNC),   SL_NAMED(O_APPEND), SL_NAMED(O_CREAT),
    SL_NAMED(O_CLOEXEC),  SL_NAMED(O_NOFOLLOW),  SL_NAMED(O_NOATIME), SL_NAMED(O_NOCTTY), SL_NAMED(O_PATH),
};
constexpr NumberName kCloneFlags[] = {
    SL_NAMED(CLONE_FILES),   SL_NAMED(CLONE_FS),        SL_NAMED(CLONE_IO),
    SL_NAMED(CLONE_NEWIPC),  SL_NAMED(CLONE_NEWNET),    SL_NAMED(CLONE_NEWNS),
    SL_NAMED(CLONE_NEWPID),  SL_NAMED(CLONE_NEWUTS),    SL_NAMED(CLONE_SIGHAND),
    SL_NAMED(CLONE_SYSVSEM), SL_NAMED(CLONE_THREAD),    SL_NAMED(CLONE_VM),
    SL_NAMED(CLONE_NEWUSER), SL_NAMED(CLONE_NEWCGROUP), {0x00000080, "CLONE_NEWTIME"},
};
constexpr NumberName kMountFlags[] = {
    SL_NAMED(MS_RDONLY),      SL_NAMED(MS_NOSUID),     SL_NAMED(MS_NODEV),       SL_NAMED(MS_NOEXEC),
    SL_NAMED(MS_SYNCHRONOUS), SL_NAMED(MS_REMOUNT),    SL_NAMED(MS_MANDLOCK),    SL_NAMED(MS_DIRSYNC),
    SL_NAMED(MS_NOATIME),     SL_NAMED(MS_NODIRATIME), SL_NAMED(MS_BIND),        SL_NAMED(MS_MOVE),
    SL_NAMED(MS_REC),         SL_NAMED(MS_SILENT),     SL_NAMED(MS_POSIXACL),    SL_NAMED(MS_UNBINDABLE),
    SL_NAMED(MS_PRIVATE),     SL_NAMED(MS_SLAVE),      SL_NAMED(MS_SHARED),      SL_NAMED(MS_RELATIME),
    SL_NAMED(MS_KERNMOUNT),   SL_NAMED(MS_I_VERSION),  SL_NAMED(MS_STRICTATIME), SL_NAMED(MS_LAZYTIME),
};
constexpr NumberName kResolveFlags[] = {
    SL_NAMED(RESOLVE_BENEATH),     SL_NAMED(RESOLVE_IN_ROOT), SL_NAMED(RESOLVE_NO_MAGICLINKS),
    SL_NAMED(RESOLVE_NO_SYMLINKS), SL_NAMED(RESOLVE_NO_XDEV), SL_NAMED(RESOLVE_CACHED),
};
constexpr NumberName kAtFlags[] = {SL_NAMED(AT_SYMLINK_FOLLOW), SL_NAMED(AT_EMPTY_PATH), SL_NAMED(AT_SYMLINK_NOFOLLOW)};
constexpr NumberName kUnlinkFlags[] = {SL_NAMED(AT_REMOVEDIR)};
constexpr NumberName kRenameFlags[] = {{1, "RENAME_NOREPLACE"}, {2, "RENAME_EXCHANGE"}, {4, "RENAME_WHITEOUT"}};
constexpr NumberName kMemoryFileFlags[] = {
    SL_NAMED(MFD_CLOEXEC), SL_NAMED(MFD_ALLOW_SEALING), SL_NAMED(MFD_HUGETLB), {8, "MFD_NOEXEC_SEAL"}, {16, "MFD_EXEC"},
};
constexpr NumberName kProgramFlags[] = {{SL_CALL_EXE_WRITABLE, "EXE_WRITABLE"},
                                        {SL_CALL_EXE_UPPER, "EXE_UPPER_LAYER"},
                                        {SL_CALL_EXE_MEMORY, "EXE_FROM_MEMFD"},
                                        {SL_CALL_EXE_LOWER, "EXE_LOWER_LAYER"}};
constexpr NumberName kModuleFlags[] = {SL_NAMED(MODULE_INIT_IGNORE_MODVERSIONS),
                                       SL_NAMED(MODULE_INIT_IGNORE_VERMAGIC),
                                       {4, "MODULE_INIT_COMPRESSED_FILE"}};
constexpr NumberName kModes[] = {
    SL_NAMED(S_IXOTH), SL_NAMED(S_IWOTH), SL_NAMED(S_IROTH), SL_NAMED(S_IXGRP), SL_NAMED(S_IWGRP), SL_NAMED(S_IRGRP),
    SL_NAMED(S_IXUSR), SL_NAMED(S_IWUSR), SL_NAMED(S_IRUSR), SL_NAMED(S_ISVTX), SL_NAMED(S_ISGID), SL_NAMED(S_ISUID),
};
constexpr NumberName kFamilies[] = {
    SL_NAMED(AF_UNSPEC),    SL_NAMED(AF_UNIX),    SL_NAMED(AF_INET),   SL_NAMED(AF_AX25),    SL_NAMED(AF_IPX),
    SL_NAMED(AF_APPLETALK), SL_NAMED(AF_NETROM),  SL_NAMED(AF_BRIDGE), SL_NAMED(AF_ATMPVC),  SL_NAMED(AF_X25),
    SL_NAMED(AF_INET6),     SL_NAMED(AF_ROSE),    SL_NAMED(AF_DECnet), SL_NAMED(AF_NETBEUI), SL_NAMED(AF_SECURITY),
    SL_NAMED(AF_KEY),       SL_NAMED(AF_NETLINK), SL_NAMED(AF_PACKET), SL_NAMED(AF_ASH),     SL_NAMED(AF_ECONET),
    SL_NAMED(AF_ATMSVC),    SL_NAMED(AF_RDS),     SL_NAMED(AF_SNA),    SL_NAMED(AF_IRDA),    SL_NAMED(AF_PPPOX),
    SL_NAMED(AF_WANPIPE),   SL_NAMED(AF_LLC),     SL_NAMED(AF_CAN),    SL_NAMED(AF_TIPC),    SL_NAMED(AF_BLUETOOTH),
    SL_NAMED(AF_IUCV),      SL_NAMED(AF_RXRPC),   SL_NAMED(AF_ISDN),   SL_NAMED(AF_PHONET),  SL_NAMED(AF_IEEE802154),
    SL_NAMED(AF_CAIF),      SL_NAMED(AF_ALG),     SL_NAMED(AF_NFC),    SL_NAMED(AF_VSOCK),   SL_NAMED(AF_KCM),
    SL_NAMED(AF_QIPCRTR),   SL_NAMED(AF_SMC),     SL_NAMED(AF_XDP),
};
// linux/ptrace.h, and asm/ptrace-abi.h of x86.
constexpr NumberName kTraceRequests[] = {
    SL_NAMED(PTRACE_TRACEME),         SL_NAMED(PTRACE_PEEKTEXT),    SL_NAMED(PTRACE_PEEKDATA),
    SL_NAMED(PTRACE_PEEKUSR),         SL_NAMED(PTRACE_POKETEXT),    SL_NAMED(PTRACE_POKEDATA),
    SL_NAMED(PTRACE_POKEUSR),         SL_NAMED(PTRACE_CONT),        SL_NAMED(PTRACE_KILL),
    SL_NAMED(PTRACE_SINGLESTEP),      {12, "PTRACE_GETREGS"},       {13, "PTRACE_SETREGS"},
    {14, "PTRACE_GETFPREGS"},         {15, "PTRACE_SETFPREGS"},     SL_NAMED(PTRACE_ATTACH),
    SL_NAMED(PTRACE_DETACH),          {18, "PTRACE_GETFPXREGS"},    {19, "PTRACE_SETFPXREGS"},
    SL_NAMED(PTRACE_SYSCALL),         {21, "PTRACE_OLDSETOPTIONS"}, {25, "PTRACE_GET_THREAD_AREA"},
    {26, "PTRACE_SET_THREAD_AREA"},   {30, "PTRACE_ARCH_PRCTL"},    {31, "PTRACE_SYSEMU"},
    {32, "PTRACE_SYSEMU_SINGLESTEP"}, {33, "PTRACE_SINGLEBLOCK"},   SL_NAMED(PTRACE_SETOPTIONS),
    SL_NAMED(PTRACE_GETEVENTMSG),     SL_NAMED(PTRACE_GETSIGINFO),  SL_NAMED(PTRACE_SETSIGINFO),
    SL_NAMED(PTRACE_GETREGSET),       SL_NAMED(PTRACE_SETREGSET),   SL_NAMED(PTRACE_SEIZE),
    SL_NAMED(PTRACE_INTERRUPT),       SL_NAMED(PTRACE_LISTEN),      SL_NAMED(PTRACE_PEEKSIGINFO),
    SL_NAMED(PTRACE_GETSIGMASK),      SL_NAMED(PTRACE_SETSIGMASK),
};
constexpr NumberName kBpfCommands[] = {
    SL_NAMED(BPF_MAP_CREATE),        SL_NAMED(BPF_MAP_LOOKUP_ELEM),
    SL_NAMED(BPF_MAP_UPDATE_ELEM),   SL_NAMED(BPF_MAP_DELETE_ELEM),
    SL_NAMED(BPF_MAP_GET_NEXT_KEY),  SL_NAMED(BPF_PROG_LOAD),
    SL_NAMED(BPF_OBJ_PIN),           SL_NAMED(BPF_OBJ_GET),
    SL_NAMED(BPF_PROG_ATTACH),       SL_NAMED(BPF_PROG_DETACH),
    SL_NAMED(BPF_PROG_TEST_RUN),     SL_NAMED(BPF_PROG_GET_NEXT_ID),
    SL_NAMED(BPF_MAP_GET_NEXT_ID),   SL_NAMED(BPF_PROG_GET_FD_BY_ID),
    SL_NAMED(BPF_MAP_GET_FD_BY_ID),  SL_NAMED(BPF_OBJ_GET_INFO_BY_FD),
    SL_NAMED(BPF_PROG_QUERY),        SL_NAMED(BPF_RAW_TRACEPOINT_OPEN),
    SL_NAMED(BPF_BTF_LOAD),          SL_NAMED(BPF_BTF_GET_FD_BY_ID),
    SL_NAMED(BPF_TASK_FD_QUERY),     SL_NAMED(BPF_MAP_LOOKUP_AND_DELETE_ELEM),
    SL_NAMED(BPF_MAP_FREEZE),        SL_NAMED(BPF_BTF_GET_NEXT_ID),
    SL_NAMED(BPF_MAP_LOOKUP_BATCH),  SL_NAMED(BPF_MAP_LOOKUP_AND_DELETE_BATCH),
    SL_NAMED(BPF_MAP_UPDATE_BATCH),  SL_NAMED(BPF_MAP_DELETE_BATCH),
    SL_NAMED(BPF_LINK_CREATE),       SL_NAMED(BPF_LINK_UPDATE),
    SL_NAMED(BPF_LINK_GET_FD_BY_ID), SL_NAMED(BPF_LINK_GET_NEXT_ID),
    SL_NAMED(BPF_ENABLE_STATS),      SL_NAMED(BPF_ITER_CREATE),
    SL_NAMED(BPF_LINK_DETACH),       SL_NAMED(BPF_PROG_BIND_MAP),
    {36, "BPF_TOKEN_CREATE"},
};
#undef SL_NAMED

void Append(const char* name, std::string* text) {
  if (!text->empty()) *text += '|';
  *text += name;
}

std::string FlagTexts(std::span<const NumberName> names, std::uint64_t flags, std::string text = "") {
  for (const NumberName& one : names) {
    if (one.number == 0 || (flags & one.number) != one.number) continue;
    Append(one.name, &text);
    flags &= ~one.number;
  }
  return text.empty() ? "0" : text;
}

std::string OneName(std::span<const NumberName> names, std::uint64_t number) {
  for (const NumberName& one : names) {
    if (one.number == number) return one.name;
  }
  return fmt::format("{}", number);
}

}  // namespace

std::string OpenFlagNames(std::uint64_t flags) {
  const std::uint64_t access = flags & O_ACCMODE;
  return FlagTexts(kOpenFlags, flags, access == O_RDONLY ? "O_RDONLY" : access == O_WRONLY ? "O_WRONLY" : "O_RDWR");
}
std::string CloneFlagNames(std::uint64_t flags) { return FlagTexts(kCloneFlags, flags); }
std::string MountFlagNames(std::uint64_t flags) { return FlagTexts(kMountFlags, flags); }
std::string ResolveFlagNames(std::uint64_t flags) { return FlagTexts(kResolveFlags, flags); }
std::string AtFlagNames(std::uint64_t flags) { return FlagTexts(kAtFlags, flags); }
std::string UnlinkFlagNames(std::uint64_t flags) { return FlagTexts(kUnlinkFlags, flags); }
std::string RenameFlagNames(std::uint64_t flags) { return FlagTexts(kRenameFlags, flags); }
std::string MemoryFileFlagNames(std::uint64_t flags) { return FlagTexts(kMemoryFileFlags, flags); }
std::string ProgramFlagNames(std::uint64_t flags) { return FlagTexts(kProgramFlags, flags); }
std::string ModuleFlagNames(std::uint64_t flags) { return FlagTexts(kModuleFlags, flags); }
std::string ModeNames(std::uint64_t mode) { return FlagTexts(kModes, mode); }
std::string FamilyName(std::uint64_t family) { return OneName(kFamilies, family); }
std::string TraceRequestName(std::uint64_t request) { return OneName(kTraceRequests, request); }
std::string BpfCallName(std::uint64_t command) { return OneName(kBpfCommands, command); }

}  // namespace sluice::telemetry
