#include "telemetry/calls/call_descriptor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>

namespace sluice::telemetry {
namespace {

using policy::Address;
using policy::rules::Descriptor;
using policy::rules::DescriptorKind;
using policy::rules::SocketEnds;

constexpr std::uint32_t kPidFsMagic = 0x50494446;  // linux/magic.h of newer kernels
constexpr std::uint32_t kModeCreated = 0x100000;   // FMODE_CREATED of linux/fs.h
constexpr int kArgumentsOfSend = 5;

struct AnonymousKind {
  std::string_view name;  // begins so
  DescriptorKind kind;
};
// What the kernel calls its files without a name.
constexpr AnonymousKind kAnonymousKinds[] = {
    {"[eventfd]", DescriptorKind::kEvent},
    {"[eventpoll]", DescriptorKind::kEpoll},
    {"[signalfd]", DescriptorKind::kSignal},
    {"[timerfd]", DescriptorKind::kTimer},
    {"inotify", DescriptorKind::kInotify},
    {"[userfaultfd]", DescriptorKind::kUserfault},
    {"[io_uring]", DescriptorKind::kIoUring},
    {"[pidfd]", DescriptorKind::kPidfd},
    {"bpf-", DescriptorKind::kBpf},
    {"bpf_", DescriptorKind::kBpf},
    {"btf", DescriptorKind::kBpf},
};

DescriptorKind KindOfOther(const sl_call_file& file, std::string_view name) {
  if (file.magic == kPidFsMagic) return DescriptorKind::kPidfd;
  if (file.magic != ANON_INODE_FS_MAGIC) return DescriptorKind::kUnknown;
  if (name.starts_with('/')) name.remove_prefix(1);
  for (const AnonymousKind& one : kAnonymousKinds) {
    if (name.starts_with(one.name)) return one.kind;
  }
  return DescriptorKind::kUnknown;
}

DescriptorKind KindOfFile(const sl_call_file& file, std::string_view name) {
  switch (file.descriptor) {
    case SL_CALL_OF_FILE:
      return (file.flags & SL_CALL_FILE_DETACHED) != 0 && name.starts_with("/memfd:") ? DescriptorKind::kMemfd
                                                                                      : DescriptorKind::kFile;
    case SL_CALL_OF_DIRECTORY:
      return DescriptorKind::kDirectory;
    case SL_CALL_OF_IPV4:
      return DescriptorKind::kIpv4;
    case SL_CALL_OF_IPV6:
      return DescriptorKind::kIpv6;
    case SL_CALL_OF_IPV4_LISTENER:
      return DescriptorKind::kIpv4Listener;
    case SL_CALL_OF_IPV6_LISTENER:
      return DescriptorKind::kIpv6Listener;
    case SL_CALL_OF_UNIX:
      return DescriptorKind::kUnix;
    case SL_CALL_OF_PIPE:
      return DescriptorKind::kPipe;
    case SL_CALL_OF_NETLINK:
      return DescriptorKind::kNetlink;
    default:
      return KindOfOther(file, name);
  }
}

bool IsIp(DescriptorKind kind) {
  return kind == DescriptorKind::kIpv4 || kind == DescriptorKind::kIpv6 || kind == DescriptorKind::kIpv4Listener ||
         kind == DescriptorKind::kIpv6Listener;
}

std::string ProtocolName(const sl_call_file& file) {
  if (file.type == SOCK_RAW) return "raw";
  switch (file.protocol) {
    case IPPROTO_TCP:
      return "tcp";
    case IPPROTO_UDP:
      return "udp";
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
      return "icmp";
    default:
      return "";
  }
}

bool Sends(sl_call_kind kind) { return kind == SL_CALL_SENDTO || kind == SL_CALL_SENDMSG; }
bool Receives(sl_call_kind kind) { return kind == SL_CALL_RECVFROM || kind == SL_CALL_RECVMSG; }

// The two ends of a socket of IP. A socket that is not connected gets its other end from the call's address.
std::optional<SocketEnds> EndsOf(const CallRecord& record, DescriptorKind kind, bool* renamed) {
  const sl_call_file& file = record.event.file;
  Address remote(file.remote);
  std::uint16_t remote_port = file.remote_port;
  bool local_is_server = (file.flags & SL_CALL_FILE_SERVER) != 0;
  const bool listens = kind == DescriptorKind::kIpv4Listener || kind == DescriptorKind::kIpv6Listener;
  if (!listens && remote_port == 0) {
    const auto named = ParseCallAddress(record.text(SL_CALL_TEXT_ADDRESS));
    const bool uses = record.kind() == SL_CALL_CONNECT || Sends(record.kind()) || Receives(record.kind());
    if (!uses || !named || (named->family != AF_INET && named->family != AF_INET6)) return std::nullopt;
    remote = named->address;
    remote_port = named->port;
    if (Sends(record.kind())) {
      *renamed = true;
      local_is_server = false;
    }
  }
  if (record.kind() == SL_CALL_CONNECT) local_is_server = false;
  if (record.kind() == SL_CALL_ACCEPT || record.kind() == SL_CALL_ACCEPT4) local_is_server = true;
  SocketEnds ends;
  ends.local_is_server = local_is_server || listens;
  const Address local(file.local);
  ends.server = ends.local_is_server ? local : remote;
  ends.server_port = ends.local_is_server ? file.local_port : remote_port;
  if (listens) return ends;
  ends.client = ends.local_is_server ? remote : local;
  ends.client_port = ends.local_is_server ? remote_port : file.local_port;
  return ends;
}

// An IPv4 address in a socket of IPv6 is one of IPv4 for rules, too: Address keeps both in one form.
void DescribeSocket(const CallRecord& record, const AddressNames& names, CallDescriptor* out) {
  Descriptor& to = out->descriptor;
  to.protocol = ProtocolName(record.event.file);
  to.connected = (record.event.file.flags & SL_CALL_FILE_CONNECTED) != 0;
  to.ends = EndsOf(record, to.kind, &out->renamed);
  if (!to.ends) return;
  if (names) {
    to.ends->server_names = names(to.ends->server);
    to.ends->client_names = names(to.ends->client);
  }
  to.name = SocketName(to);
}

// What a call that failed would have opened.
std::optional<CallDescriptor> DescribeUnopened(const CallRecord& record) {
  if (!OpenModeOf(record)) return std::nullopt;
  CallDescriptor out;
  out.number = -1;
  out.descriptor.kind = DescriptorKind::kFile;
  out.descriptor.is_open = !record.failed();  // by io_uring, without a number
  out.descriptor.raw_name = record.text(SL_CALL_TEXT_FIRST);
  out.descriptor.name = MeantPath(record.text(SL_CALL_TEXT_FIRST_BASE), record.text(SL_CALL_TEXT_FIRST));
  return out;
}

// 1 to 6: the argument; else see bpf/abi/call.h.
std::uint32_t PlaceOfDescriptor(sl_call_kind kind) {
  static constexpr std::uint8_t kPlaces[] = {SL_CALL_NO,
#define SL_X(name, label, descriptor, ...) descriptor,
                                             SL_CALLS(SL_X)
#undef SL_X
  };
  return kPlaces[kind];
}

std::optional<std::int64_t> NumberOf(const CallRecord& record) {
  const std::uint32_t place = PlaceOfDescriptor(record.kind());
  if (place == SL_CALL_AT_RESULT) return record.failed() ? -1 : record.event.result;
  if (place == SL_CALL_NO || place > 6) return std::nullopt;
  return static_cast<std::int32_t>(record.event.arguments[place - 1]);
}

}  // namespace

std::string UnixName(std::string_view bytes) {
  if (bytes.empty()) return "";
  if (bytes.front() == '\0') return "@" + std::string(bytes.substr(1));
  return std::string(bytes.substr(0, bytes.find('\0')));
}

std::optional<CallAddress> ParseCallAddress(std::string_view bytes) {
  CallAddress out;
  if (bytes.size() < sizeof(out.family)) return std::nullopt;
  std::memcpy(&out.family, bytes.data(), sizeof(out.family));
  if (out.family == AF_INET && bytes.size() >= sizeof(sockaddr_in)) {
    sockaddr_in from{};
    std::memcpy(&from, bytes.data(), sizeof(from));
    std::array<std::uint8_t, 16> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    std::memcpy(&mapped[12], &from.sin_addr, sizeof(from.sin_addr));
    out.address = Address(mapped);
    out.port = ntohs(from.sin_port);
  } else if (out.family == AF_INET6 && bytes.size() >= offsetof(sockaddr_in6, sin6_scope_id)) {
    sockaddr_in6 from{};
    std::memcpy(&from, bytes.data(), std::min(bytes.size(), sizeof(from)));
    std::array<std::uint8_t, 16> whole{};
    std::memcpy(whole.data(), &from.sin6_addr, sizeof(from.sin6_addr));
    out.address = Address(whole);
    out.port = ntohs(from.sin6_port);
  } else if (out.family == AF_UNIX) {
    out.path = UnixName(bytes.substr(sizeof(out.family)));
  }
  return out;
}

std::string ToText(const CallAddress& address) {
  if (address.family == AF_UNIX) return address.path;
  if (address.family != AF_INET && address.family != AF_INET6) return fmt::format("family {}", address.family);
  const std::string text = address.address.ToString();
  return address.address.is_v4() ? fmt::format("{}:{}", text, address.port)
                                 : fmt::format("[{}]:{}", text, address.port);
}

std::optional<policy::rules::OpenMode> OpenModeOf(const CallRecord& record) {
  const sl_call_event& event = record.event;
  std::uint64_t flags = 0;
  switch (record.kind()) {
    case SL_CALL_OPEN:
      flags = event.arguments[1];
      break;
    case SL_CALL_OPENAT:
    case SL_CALL_OPEN_BY_HANDLE_AT:
      flags = event.arguments[2];
      break;
    case SL_CALL_OPENAT2:
      flags = event.extra[0];
      break;
    case SL_CALL_CREAT:
      flags = O_WRONLY;
      break;
    default:
      return std::nullopt;
  }
  policy::rules::OpenMode mode;
  if (!record.failed() && (event.file.flags & SL_CALL_FILE_KNOWN) != 0) {
    flags = event.file.open_flags;
    mode.create = (event.file.open_mode & kModeCreated) != 0;
    mode.execute = mode.create && (event.file.mode & 0111) != 0;
  }
  const std::uint64_t access = flags & O_ACCMODE;
  mode.read = access == O_RDONLY || access == O_RDWR;
  mode.write = access != O_RDONLY;
  return mode;
}

std::optional<CallDescriptor> DescribeDescriptor(const CallRecord& record, const AddressNames& names) {
  const sl_call_file& file = record.event.file;
  if ((file.flags & SL_CALL_FILE_KNOWN) == 0) return DescribeUnopened(record);
  CallDescriptor out;
  Descriptor& to = out.descriptor;
  const std::string& name = record.text(SL_CALL_TEXT_NAME);
  to.kind = KindOfFile(file, name);
  to.inode = file.inode;
  to.upper_layer = (file.flags & SL_CALL_FILE_UPPER) != 0;
  to.lower_layer = (file.flags & SL_CALL_FILE_LOWER) != 0;
  out.number = NumberOf(record);
  if (IsIp(to.kind)) {
    DescribeSocket(record, names, &out);
  } else if (to.kind == DescriptorKind::kUnix) {
    to.name = UnixName(name);
    to.connected = (file.flags & SL_CALL_FILE_CONNECTED) != 0;
    if (to.name.empty()) {
      if (const auto named = ParseCallAddress(record.text(SL_CALL_TEXT_ADDRESS))) to.name = named->path;
    }
  } else if (to.kind == DescriptorKind::kPipe && name.size() <= 1) {
    to.name = fmt::format("pipe:[{}]", file.inode);
  } else {
    to.name = name;
  }
  if (OpenModeOf(record)) to.raw_name = record.text(SL_CALL_TEXT_FIRST);
  return out;
}

}  // namespace sluice::telemetry
