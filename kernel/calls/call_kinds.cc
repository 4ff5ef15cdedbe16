#include "kernel/calls/call_kinds.h"

#include <cstdlib>
#include <string>
#include <utility>

#include "kernel/bpf/system_call.h"

namespace sluice::calls {
namespace {

using policy::rules::DescriptorKind;
using policy::rules::EventClass;
using policy::rules::EventType;

struct KindInfo {
  std::string_view name;
  std::uint32_t descriptor = SL_CALL_NO;
};

constexpr KindInfo kKinds[] = {{},
#define SL_X(name, label, descriptor, ...) {label, descriptor},
                               SL_CALLS(SL_X)
#undef SL_X
};

struct RingOperation {
  std::uint8_t number;
  sl_call_kind kind;
};
constexpr RingOperation kRingOperations[] = {
#define SL_X(number, name) {number, SL_CALL_##name},
    SL_CALL_RINGS(SL_X)
#undef SL_X
};

// Names that 32-bit programs have for the call beside its own, whose numbers of users have 16 bits there.
constexpr std::pair<sl_call_kind, std::string_view> kWideCalls[] = {
    {SL_CALL_CHOWN, "chown32"},
    {SL_CALL_LCHOWN, "lchown32"},
    {SL_CALL_FCHOWN, "fchown32"},
    {SL_CALL_SETUID, "setuid32"},
};

// fchmodat2(2), since Linux 6.6: the same call with flags. It has this number for all callers.
constexpr std::uint32_t kChangeModeWithFlags = 452;

// The parts of socketcall(2): linux/net.h.
constexpr std::pair<std::uint8_t, sl_call_kind> kSocketCalls[] = {
    {1, SL_CALL_SOCKET},    {2, SL_CALL_BIND},     {3, SL_CALL_CONNECT},   {4, SL_CALL_LISTEN},
    {5, SL_CALL_ACCEPT},    {9, SL_CALL_SENDTO},   {10, SL_CALL_RECVFROM}, {11, SL_CALL_SENDTO},
    {12, SL_CALL_RECVFROM}, {16, SL_CALL_SENDMSG}, {17, SL_CALL_RECVMSG},  {18, SL_CALL_ACCEPT4},
};

bool Opens(sl_call_kind kind) { return kind >= SL_CALL_OPEN && kind <= SL_CALL_OPEN_BY_HANDLE_AT; }

void PutNumber(std::optional<std::uint32_t> number, std::uint32_t first, std::uint8_t kind,
               bpf::CallPrograms::Kinds* kinds) {
  if (number && *number < SL_CALL_NUMBERS) (*kinds)[first + *number] = kind;
}

std::vector<DescriptorKind> KindsOf(std::uint32_t descriptor) {
  switch (descriptor) {
    case SL_CALL_OF_FILE:
      return {DescriptorKind::kFile, DescriptorKind::kMemfd};
    case SL_CALL_OF_DIRECTORY:
      return {DescriptorKind::kDirectory};
    case SL_CALL_OF_IPV4:
      return {DescriptorKind::kIpv4};
    case SL_CALL_OF_IPV6:
      return {DescriptorKind::kIpv6};
    case SL_CALL_OF_IPV4_LISTENER:
      return {DescriptorKind::kIpv4Listener};
    case SL_CALL_OF_IPV6_LISTENER:
      return {DescriptorKind::kIpv6Listener};
    case SL_CALL_OF_UNIX:
      return {DescriptorKind::kUnix};
    case SL_CALL_OF_PIPE:
      return {DescriptorKind::kPipe};
    case SL_CALL_OF_NETLINK:
      return {DescriptorKind::kNetlink};
    default:
      return {DescriptorKind::kEvent, DescriptorKind::kSignal, DescriptorKind::kEpoll,     DescriptorKind::kInotify,
              DescriptorKind::kTimer, DescriptorKind::kBpf,    DescriptorKind::kUserfault, DescriptorKind::kIoUring,
              DescriptorKind::kPidfd, DescriptorKind::kUnknown};
  }
}

}  // namespace

std::string_view NameOf(sl_call_kind kind) { return kind < SL_CALL_KIND_COUNT ? kKinds[kind].name : ""; }

EventType TypeOf(sl_call_kind kind) {
  static const auto types = [] {
    std::array<EventType, SL_CALL_KIND_COUNT> made{};
    for (std::size_t i = 1; i < made.size(); ++i) {
      const auto type = policy::rules::FindEventType(kKinds[i].name);
      if (!type) std::abort();  // a call of bpf/abi/call.h that rules do not know
      made[i] = *type;
    }
    return made;
  }();
  return types.at(kind);
}

std::optional<sl_call_kind> KindOf(EventType type) {
  for (std::size_t i = 1; i < SL_CALL_KIND_COUNT; ++i) {
    const auto kind = static_cast<sl_call_kind>(i);
    if (TypeOf(kind) == type) return kind;
  }
  return std::nullopt;
}

CallNumberTables TablesOf(std::uint64_t kinds) {
  CallNumberTables tables;
  const auto wanted = [&](sl_call_kind kind) { return (kinds >> kind & 1) != 0; };
  for (std::size_t i = 1; i < SL_CALL_KIND_COUNT; ++i) {
    const auto kind = static_cast<std::uint8_t>(i);
    if (!wanted(static_cast<sl_call_kind>(kind))) continue;
    const bpf::CallNumbers numbers = bpf::FindCallNumbers(std::string(kKinds[i].name));
    PutNumber(numbers.native, 0, kind, &tables.kinds);
    PutNumber(numbers.x32, 0, kind, &tables.kinds);
    PutNumber(numbers.compat, SL_CALL_COMPAT, kind, &tables.kinds);
  }
  for (const auto& [kind, name] : kWideCalls) {
    if (wanted(kind))
      PutNumber(bpf::FindCallNumbers(std::string(name)).compat, SL_CALL_COMPAT, static_cast<std::uint8_t>(kind),
                &tables.kinds);
  }
  if (wanted(SL_CALL_FCHMODAT)) {
    tables.kinds[kChangeModeWithFlags] = SL_CALL_FCHMODAT;
    tables.kinds[SL_CALL_COMPAT + kChangeModeWithFlags] = SL_CALL_FCHMODAT;
  }
  bool socket_calls = false;
  for (const auto& [part, kind] : kSocketCalls) {
    if (!wanted(kind)) continue;
    socket_calls = true;
    tables.kinds[SL_CALL_SOCKETCALLS + part] = static_cast<std::uint8_t>(kind);
  }
  if (socket_calls)
    PutNumber(bpf::FindCallNumbers("socketcall").compat, SL_CALL_COMPAT, SL_CALL_SOCKETCALL, &tables.kinds);
  for (const RingOperation& operation : kRingOperations) {
    if (wanted(operation.kind)) tables.rings[operation.number] = static_cast<std::uint8_t>(operation.kind);
  }
  return tables;
}

bool IsPossible(sl_call_kind kind, std::uint32_t call_class) {
  const std::uint32_t open = call_class & 15, descriptor = call_class >> 4 & 15, outcome = call_class >> 8;
  if (outcome >= SL_CALL_OUTCOMES || descriptor >= SL_CALL_DESCRIPTORS) return false;
  const std::uint32_t place = kKinds[kind].descriptor;
  if (place == SL_CALL_NO && descriptor != SL_CALL_OF_NOTHING) return false;
  const bool failed = outcome != SL_CALL_SUCCEEDED;
  if (failed && place == SL_CALL_AT_RESULT && descriptor != SL_CALL_OF_NOTHING) return false;
  if (!Opens(kind)) return open == 0;
  if ((open & (SL_CALL_READS | SL_CALL_WRITES)) == 0) return false;
  if (failed) return (open & (SL_CALL_CREATES | SL_CALL_RUNS)) == 0;
  return (open & SL_CALL_RUNS) == 0 || (open & SL_CALL_CREATES) != 0;
}

EventClass KnownOf(sl_call_kind kind, std::uint32_t call_class) {
  const std::uint32_t open = call_class & 15, descriptor = call_class >> 4 & 15, outcome = call_class >> 8;
  EventClass known{.type = TypeOf(kind)};
  known.outcome = outcome == SL_CALL_SUCCEEDED     ? policy::rules::Outcome::kSucceeded
                  : outcome == SL_CALL_IN_PROGRESS ? policy::rules::Outcome::kInProgress
                                                   : policy::rules::Outcome::kFailed;
  known.result_is_descriptor = kKinds[kind].descriptor == SL_CALL_AT_RESULT;
  if (Opens(kind))
    known.open = policy::rules::OpenMode{.read = (open & SL_CALL_READS) != 0,
                                         .write = (open & SL_CALL_WRITES) != 0,
                                         .create = (open & SL_CALL_CREATES) != 0,
                                         .execute = (open & SL_CALL_RUNS) != 0};
  if (descriptor != SL_CALL_OF_NOTHING) {
    known.kinds = KindsOf(descriptor);
  } else if (Opens(kind) && known.outcome != policy::rules::Outcome::kSucceeded) {
    known.kinds = {DescriptorKind::kFile};  // what would have been opened
  } else {
    known.no_descriptor = kKinds[kind].descriptor == SL_CALL_NO;  // else it has one that cannot be found
  }
  return known;
}

}  // namespace sluice::calls
