// The types of a hook's arguments, and what a filter may compare them with. The one list: the enum, the parser and
// docs/tracing-policy.md are made from it. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace sluice::policy::tracing {

// What a value of the type is to a filter. Each is a bit, so that an operator can name several.
enum class ValueClass : std::uint32_t {
  kNothing = 0,              // is shown, and cannot be compared
  kSigned = 1U << 0U,        // a number
  kUnsigned = 1U << 1U,      // a number
  kCapability = 1U << 2U,    // a number, or the name of a capability
  kText = 1U << 3U,          // bytes
  kPath = 1U << 4U,          // an absolute path
  kName = 1U << 5U,          // a path as a program wrote it, perhaps relative
  kFile = 1U << 6U,          // an absolute path, with the file's type known
  kSocket = 1U << 7U,        // addresses, ports, protocol, family and state
  kPacket = 1U << 8U,        // addresses, ports, protocol and family
  kAddress = 1U << 9U,       // one address with its port and family
  kUnixAddress = 1U << 10U,  // a path or an abstract name, and a family
  kCapabilitySet = 1U << 11U,
};

constexpr std::uint32_t operator|(ValueClass a, ValueClass b) {
  return static_cast<std::uint32_t>(a) | static_cast<std::uint32_t>(b);
}
constexpr std::uint32_t operator|(std::uint32_t a, ValueClass b) { return a | static_cast<std::uint32_t>(b); }
constexpr bool Has(std::uint32_t classes, ValueClass one) { return (classes & static_cast<std::uint32_t>(one)) != 0; }

// X(enumerator, name, class, bits of a number, whether it is a structure of the kernel, meaning)
#define SL_ARG_TYPES(X)                                                                                                \
  X(kAuto, "auto", kNothing, 0, false, "the kernel's own type, from BTF; a filter needs a named type")                 \
  X(kInt, "int", kSigned, 32, false, "C int")                                                                          \
  X(kSint8, "sint8", kSigned, 8, false, "signed, 8 bits")                                                              \
  X(kInt8, "int8", kSigned, 8, false, "signed, 8 bits")                                                                \
  X(kUint8, "uint8", kUnsigned, 8, false, "unsigned, 8 bits")                                                          \
  X(kSint16, "sint16", kSigned, 16, false, "signed, 16 bits")                                                          \
  X(kInt16, "int16", kSigned, 16, false, "signed, 16 bits")                                                            \
  X(kUint16, "uint16", kUnsigned, 16, false, "unsigned, 16 bits")                                                      \
  X(kSint32, "sint32", kSigned, 32, false, "signed, 32 bits")                                                          \
  X(kInt32, "int32", kSigned, 32, false, "signed, 32 bits")                                                            \
  X(kUint32, "uint32", kUnsigned, 32, false, "unsigned, 32 bits")                                                      \
  X(kSint64, "sint64", kSigned, 64, false, "signed, 64 bits")                                                          \
  X(kInt64, "int64", kSigned, 64, false, "signed, 64 bits")                                                            \
  X(kUint64, "uint64", kUnsigned, 64, false, "unsigned, 64 bits")                                                      \
  X(kLong, "long", kSigned, 64, false, "C long of a 64-bit kernel")                                                    \
  X(kUlong, "ulong", kUnsigned, 64, false, "C unsigned long of a 64-bit kernel")                                       \
  X(kSizeT, "size_t", kUnsigned, 64, false, "C size_t of a 64-bit kernel")                                             \
  X(kSyscall64, "syscall64", kUnsigned, 64, false, "number of a system call, with its ABI")                            \
  X(kBpfCmd, "bpf_cmd", kUnsigned, 32, false, "command of bpf(2)")                                                     \
  X(kCapability, "capability", kCapability, 32, false, "number of a capability; filters may name it")                  \
  X(kString, "string", kText, 0, false, "text up to its NUL")                                                          \
  X(kCharBuf, "char_buf", kText, 0, false, "bytes; sizeArgIndex says how many")                                        \
  X(kDataLoc, "data_loc", kText, 0, false, "text of a tracepoint that it points to itself")                            \
  X(kNetDevice, "net_device", kText, 0, true, "name of a network interface")                                           \
  X(kFd, "fd", kPath, 0, false, "path of an open file of the process, by its number")                                  \
  X(kDentry, "dentry", kPath, 0, true, "path of a directory entry")                                                    \
  X(kLinuxBinprm, "linux_binprm", kPath, 0, true, "path of the program that is executed")                              \
  X(kFilename, "filename", kName, 0, true, "path as the program passed it")                                            \
  X(kFile, "file", kFile, 0, true, "path and type of an open file")                                                    \
  X(kPath, "path", kFile, 0, true, "path and type of a file")                                                          \
  X(kSock, "sock", kSocket, 0, true, "socket of the network stack: both addresses and ports, protocol, family, state") \
  X(kSocket, "socket", kSocket, 0, true, "socket of the system-call layer: as sock")                                   \
  X(kSkb, "skb", kPacket, 0, true, "packet: both addresses and ports, protocol, family")                               \
  X(kSockaddr, "sockaddr", kAddress, 0, false, "address that a call passes; of a connect it is the destination")       \
  X(kSockaddrUn, "sockaddr_un", kUnixAddress, 0, false, "address of a Unix socket")                                    \
  X(kKernelCap, "kernel_cap_t", kCapabilitySet, 0, true, "set of capabilities")                                        \
  X(kCapInheritable, "cap_inheritable", kCapabilitySet, 0, true, "inheritable set of capabilities")                    \
  X(kCapPermitted, "cap_permitted", kCapabilitySet, 0, true, "permitted set of capabilities")                          \
  X(kCapEffective, "cap_effective", kCapabilitySet, 0, true, "effective set of capabilities")                          \
  X(kCharIovec, "char_iovec", kNothing, 0, false, "bytes of several buffers")                                          \
  X(kConstBuf, "const_buf", kNothing, 0, false, "bytes of a buffer of fixed size")                                     \
  X(kIovIter, "iov_iter", kNothing, 0, true, "bytes that a read or write still has to move")                           \
  X(kKiocb, "kiocb", kNothing, 0, true, "file of a read or write in progress")                                         \
  X(kNop, "nop", kNothing, 0, false, "left out")                                                                       \
  X(kBpfAttr, "bpf_attr", kNothing, 0, false, "type, name and size of a BPF program that is loaded")                   \
  X(kBpfMap, "bpf_map", kNothing, 0, true, "type, name and sizes of a BPF map")                                        \
  X(kBpfProg, "bpf_prog", kNothing, 0, true, "type, name and size of a BPF program")                                   \
  X(kPerfEvent, "perf_event", kNothing, 0, true, "type and probe of a perf event")                                     \
  X(kUserNamespace, "user_namespace", kNothing, 0, true, "level, owner and number of a user namespace")                \
  X(kCred, "cred", kNothing, 0, true, "users, groups, capabilities and user namespace")                                \
  X(kLoadInfo, "load_info", kNothing, 0, true, "name, signature and taints of a module that is loaded")                \
  X(kModule, "module", kNothing, 0, true, "name, signature and taints of a module")

enum class ArgType {
#define SL_X(enumerator, name, values, bits, of_kernel, meaning) enumerator,
  SL_ARG_TYPES(SL_X)
#undef SL_X
};

struct ArgTypeInfo {
  ArgType type;
  std::string_view name;  // as policies write it
  ValueClass values;
  int bits;        // of a number: 8, 16, 32 or 64; else 0
  bool of_kernel;  // a structure of the kernel: a system call has numbers and addresses of its caller only
  std::string_view meaning;
};

// In the order of ArgType.
inline constexpr std::array kArgTypes = {
#define SL_X(enumerator, name, values, bits, of_kernel, meaning) \
  ArgTypeInfo{ArgType::enumerator, name, ValueClass::values, bits, of_kernel, meaning},
    SL_ARG_TYPES(SL_X)
#undef SL_X
};

constexpr const ArgTypeInfo& InfoOf(ArgType type) { return kArgTypes[static_cast<std::size_t>(type)]; }

}  // namespace sluice::policy::tracing
