#include "telemetry/hook/hook_names.h"

#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <seccomp.h>
#include <sys/stat.h>

#include <array>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>

#include "policy/tracing/constants.h"

namespace sluice::telemetry {
namespace {

// Of two names for one number the first: AF_UNIX, not AF_LOCAL.
std::string Named(std::span<const policy::tracing::NamedNumber> names, std::uint32_t number) {
  for (const auto& row : names) {
    if (row.number == number) return std::string(row.name);
  }
  return std::to_string(number);
}

// `names` by number, from 0.
std::string Numbered(std::string_view prefix, std::span<const std::string_view> names, std::uint64_t number) {
  return number < names.size() ? std::string(prefix).append(names[number]) : std::to_string(number);
}

constexpr std::array<std::string_view, 11> kSocketTypes = {"0",    "STREAM", "DGRAM", "RAW", "RDM",   "SEQPACKET",
                                                           "DCCP", "7",      "8",     "9",   "PACKET"};

constexpr std::array<std::string_view, 37> kBpfCommands = {"MAP_CREATE",        "MAP_LOOKUP_ELEM",
                                                           "MAP_UPDATE_ELEM",   "MAP_DELETE_ELEM",
                                                           "MAP_GET_NEXT_KEY",  "PROG_LOAD",
                                                           "OBJ_PIN",           "OBJ_GET",
                                                           "PROG_ATTACH",       "PROG_DETACH",
                                                           "PROG_TEST_RUN",     "PROG_GET_NEXT_ID",
                                                           "MAP_GET_NEXT_ID",   "PROG_GET_FD_BY_ID",
                                                           "MAP_GET_FD_BY_ID",  "OBJ_GET_INFO_BY_FD",
                                                           "PROG_QUERY",        "RAW_TRACEPOINT_OPEN",
                                                           "BTF_LOAD",          "BTF_GET_FD_BY_ID",
                                                           "TASK_FD_QUERY",     "MAP_LOOKUP_AND_DELETE_ELEM",
                                                           "MAP_FREEZE",        "BTF_GET_NEXT_ID",
                                                           "MAP_LOOKUP_BATCH",  "MAP_LOOKUP_AND_DELETE_BATCH",
                                                           "MAP_UPDATE_BATCH",  "MAP_DELETE_BATCH",
                                                           "LINK_CREATE",       "LINK_UPDATE",
                                                           "LINK_GET_FD_BY_ID", "LINK_GET_NEXT_ID",
                                                           "ENABLE_STATS",      "ITER_CREATE",
                                                           "LINK_DETACH",       "PROG_BIND_MAP",
                                                           "TOKEN_CREATE"};
static_assert(kBpfCommands[BPF_LINK_CREATE] == "LINK_CREATE" && kBpfCommands[BPF_PROG_BIND_MAP] == "PROG_BIND_MAP");

constexpr std::array<std::string_view, 33> kProgramTypes = {"UNSPEC",
                                                            "SOCKET_FILTER",
                                                            "KPROBE",
                                                            "SCHED_CLS",
                                                            "SCHED_ACT",
                                                            "TRACEPOINT",
                                                            "XDP",
                                                            "PERF_EVENT",
                                                            "CGROUP_SKB",
                                                            "CGROUP_SOCK",
                                                            "LWT_IN",
                                                            "LWT_OUT",
                                                            "LWT_XMIT",
                                                            "SOCK_OPS",
                                                            "SK_SKB",
                                                            "CGROUP_DEVICE",
                                                            "SK_MSG",
                                                            "RAW_TRACEPOINT",
                                                            "CGROUP_SOCK_ADDR",
                                                            "LWT_SEG6LOCAL",
                                                            "LIRC_MODE2",
                                                            "SK_REUSEPORT",
                                                            "FLOW_DISSECTOR",
                                                            "CGROUP_SYSCTL",
                                                            "RAW_TRACEPOINT_WRITABLE",
                                                            "CGROUP_SOCKOPT",
                                                            "TRACING",
                                                            "STRUCT_OPS",
                                                            "EXT",
                                                            "LSM",
                                                            "SK_LOOKUP",
                                                            "SYSCALL",
                                                            "NETFILTER"};
static_assert(kProgramTypes[BPF_PROG_TYPE_SYSCALL] == "SYSCALL" && kProgramTypes[BPF_PROG_TYPE_XDP] == "XDP");

constexpr std::array<std::string_view, 34> kMapTypes = {"UNSPEC",
                                                        "HASH",
                                                        "ARRAY",
                                                        "PROG_ARRAY",
                                                        "PERF_EVENT_ARRAY",
                                                        "PERCPU_HASH",
                                                        "PERCPU_ARRAY",
                                                        "STACK_TRACE",
                                                        "CGROUP_ARRAY",
                                                        "LRU_HASH",
                                                        "LRU_PERCPU_HASH",
                                                        "LPM_TRIE",
                                                        "ARRAY_OF_MAPS",
                                                        "HASH_OF_MAPS",
                                                        "DEVMAP",
                                                        "SOCKMAP",
                                                        "CPUMAP",
                                                        "XSKMAP",
                                                        "SOCKHASH",
                                                        "CGROUP_STORAGE",
                                                        "REUSEPORT_SOCKARRAY",
                                                        "PERCPU_CGROUP_STORAGE",
                                                        "QUEUE",
                                                        "STACK",
                                                        "SK_STORAGE",
                                                        "DEVMAP_HASH",
                                                        "STRUCT_OPS",
                                                        "RINGBUF",
                                                        "INODE_STORAGE",
                                                        "TASK_STORAGE",
                                                        "BLOOM_FILTER",
                                                        "USER_RINGBUF",
                                                        "CGRP_STORAGE",
                                                        "ARENA"};
static_assert(kMapTypes[BPF_MAP_TYPE_BLOOM_FILTER] == "BLOOM_FILTER" && kMapTypes[BPF_MAP_TYPE_HASH] == "HASH");

constexpr std::array<std::string_view, 6> kPerfTypes = {"HARDWARE", "SOFTWARE", "TRACEPOINT",
                                                        "HW_CACHE", "RAW",      "BREAKPOINT"};
static_assert(kPerfTypes[PERF_TYPE_BREAKPOINT] == "BREAKPOINT");

}  // namespace

std::string FamilyName(std::uint16_t family) { return Named(policy::tracing::AddressFamilies(), family); }

std::string ProtocolName(std::uint16_t protocol) { return Named(policy::tracing::IpProtocols(), protocol); }

std::string TcpStateName(std::uint8_t state) { return Named(policy::tracing::TcpStates(), state); }

std::string SocketTypeName(std::uint16_t type) {
  const bool named = type < kSocketTypes.size() && kSocketTypes[type] != std::to_string(type);
  return named ? "SOCK_" + std::string(kSocketTypes[type]) : std::to_string(type);
}

std::string BpfCommandName(std::uint64_t command) { return Numbered("BPF_", kBpfCommands, command); }

std::string BpfProgramTypeName(std::uint64_t type) { return Numbered("BPF_PROG_TYPE_", kProgramTypes, type); }

std::string BpfMapTypeName(std::uint64_t type) { return Numbered("BPF_MAP_TYPE_", kMapTypes, type); }

std::string PerfTypeName(std::uint64_t type) { return Numbered("PERF_TYPE_", kPerfTypes, type); }

std::string SyscallName(std::uint64_t number) {
  if (number > INT_MAX) return std::to_string(number);
  const std::unique_ptr<char, decltype(&std::free)> name(
      seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, static_cast<int>(number)), &std::free);
  return name == nullptr ? std::to_string(number) : name.get();
}

std::string ErrorName(std::int64_t error) {
  const std::int64_t positive = error < 0 ? -error : error;
  const char* name = positive > 0 && positive < 4096 ? strerrorname_np(static_cast<int>(positive)) : nullptr;
  return name == nullptr ? std::to_string(error) : name;
}

std::string PermissionsText(std::uint64_t mode) {
  struct Letter {
    std::uint64_t type;
    char letter;
  };
  constexpr Letter kLetters[] = {{S_IFBLK, 'b'}, {S_IFCHR, 'c'}, {S_IFDIR, 'd'}, {S_IFIFO, 'p'},
                                 {S_IFLNK, 'l'}, {S_IFREG, '-'}, {S_IFSOCK, 's'}};
  std::string text;
  for (const Letter& one : kLetters) {
    if ((mode & S_IFMT) == one.type) text += one.letter;
  }
  struct Special {
    int shift;
    std::uint64_t bit;
    char with_execute, without;
  };
  constexpr Special kSpecial[] = {{6, S_ISUID, 's', 'S'}, {3, S_ISGID, 's', 'S'}, {0, S_ISVTX, 't', 'T'}};
  for (const Special& part : kSpecial) {
    const std::uint64_t bits = mode >> part.shift & 7;
    const bool executes = (bits & 1) != 0, is_special = (mode & part.bit) != 0;
    text += (bits & 4) != 0 ? 'r' : '-';
    text += (bits & 2) != 0 ? 'w' : '-';
    text += is_special ? (executes ? part.with_execute : part.without) : executes ? 'x' : '-';
  }
  return text;
}

}  // namespace sluice::telemetry
