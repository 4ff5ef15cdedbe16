#include "telemetry/hook/hook_arguments.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include "base/capability.h"
#include "policy/resource/address.h"
#include "telemetry/event/text.h"
#include "telemetry/hook/hook_names.h"

namespace sluice::telemetry {
namespace {

using policy::tracing::ArgType;
using policy::tracing::Argument;

v1::HookArgument Begin(const Argument& wanted) {
  v1::HookArgument out;
  out.set_type(std::string(policy::tracing::InfoOf(wanted.type).name));
  out.set_label(ToUtf8(wanted.label));
  return out;
}

void SetNumber(std::uint64_t number, const sl_hook_argument& how, v1::HookArgument* out) {
  const bool is_signed = (how.flags & SL_HOOK_ARGUMENT_SIGNED) != 0;
  if (how.size == 8 && is_signed) {
    out->set_int64_value(static_cast<std::int64_t>(number));
  } else if (how.size == 8) {
    out->set_uint64_value(number);
  } else if (is_signed) {
    out->set_int32_value(static_cast<std::int32_t>(number));
  } else {
    out->set_uint32_value(static_cast<std::uint32_t>(number));
  }
}

void NameNumber(std::uint64_t number, ArgType type, v1::HookArgument* out) {
  if (type == ArgType::kCapability) out->set_name(CapabilityName(static_cast<unsigned>(number)));
  if (type == ArgType::kBpfCmd) out->set_name(BpfCommandName(number));
  if (type == ArgType::kSyscall64) out->set_name(SyscallName(number));
}

// Of others with a path, `number` is something else.
bool HasMode(sl_hook_read read) {
  return read == SL_HOOK_READ_FILE || read == SL_HOOK_READ_PATH || read == SL_HOOK_READ_BINPRM ||
         read == SL_HOOK_READ_KIOCB;
}

void SetFile(const HookValue& value, v1::HookFile* out) {
  out->set_path(ToUtf8(value.text));
  if (HasMode(value.read) && value.number != 0) out->set_permissions(PermissionsText(value.number));
  out->set_detached(value.Is(SL_HOOK_VALUE_DETACHED));
}

// Empty: the address is not known.
std::string AddressText(const sl_addr& address) {
  const policy::Address parsed(address);
  return parsed == policy::Address() ? "" : parsed.ToString();
}

bool HasPorts(std::uint16_t family) { return family == AF_INET || family == AF_INET6; }

void SetSocket(const sl_hook_socket& socket, bool packet, v1::HookSocket* out) {
  out->set_family(FamilyName(socket.family));
  out->set_protocol(ProtocolName(socket.protocol));
  out->set_source(AddressText(socket.source));
  out->set_destination(AddressText(socket.destination));
  if (HasPorts(socket.family)) {
    out->set_source_port(socket.source_port);
    out->set_destination_port(socket.destination_port);
  }
  out->set_mark(socket.mark);
  out->set_priority(socket.priority);
  if (packet) {
    out->set_length(socket.length);
    return;
  }
  if (socket.type != 0) out->set_type(SocketTypeName(socket.type));
  if (socket.state != 0) out->set_state(TcpStateName(socket.state));
  if (socket.cookie != 0) out->set_cookie(socket.cookie);
}

void SetAddress(const sl_hook_socket& socket, v1::HookAddress* out) {
  out->set_family(FamilyName(socket.family));
  out->set_address(AddressText(socket.source));
  if (HasPorts(socket.family)) out->set_port(socket.source_port);
}

void SetCapabilities(std::uint64_t mask, v1::HookCapabilities* out) {
  out->set_mask(fmt::format("{:016x}", mask));
  for (unsigned bit = 0; bit < 64; ++bit) {
    if ((mask >> bit & 1) != 0) out->add_names(CapabilityName(bit));
  }
}

void SetCredentials(const sl_hook_cred& cred, v1::HookCredentials* out) {
  out->set_uid(cred.uid);
  out->set_gid(cred.gid);
  out->set_effective_uid(cred.euid);
  out->set_effective_gid(cred.egid);
  out->set_saved_uid(cred.suid);
  out->set_saved_gid(cred.sgid);
  out->set_file_system_uid(cred.fsuid);
  out->set_file_system_gid(cred.fsgid);
  out->set_secure_bits(cred.secure_bits);
  if (cred.user_namespace != 0) out->set_user_namespace(cred.user_namespace);
  SetCapabilities(cred.effective, out->mutable_effective());
  SetCapabilities(cred.inheritable, out->mutable_inheritable());
  SetCapabilities(cred.permitted, out->mutable_permitted());
}

void SetObject(const HookValue& value, v1::HookObject* out) {
  out->set_name(ToUtf8(value.text));
  if (value.read == SL_HOOK_READ_BPF_PROGRAM || value.read == SL_HOOK_READ_BPF_OBJECT)
    out->set_kind(BpfProgramTypeName(value.number));
  if (value.read == SL_HOOK_READ_BPF_MAP) out->set_kind(BpfMapTypeName(value.number));
  if (value.read == SL_HOOK_READ_PERF_EVENT) out->set_kind(PerfTypeName(value.number));
  if (value.read == SL_HOOK_READ_USER_NAMESPACE) out->set_namespace_(static_cast<std::uint32_t>(value.number));
}

void SetSocketOf(const HookValue& value, v1::HookArgument* out) {
  if (!value.socket) return;
  if (value.read == SL_HOOK_READ_SOCKADDR) {
    SetAddress(*value.socket, out->mutable_address());
  } else {
    SetSocket(*value.socket, value.read == SL_HOOK_READ_SKB, out->mutable_socket());
  }
}

void SetUnixAddress(const HookValue& value, v1::HookAddress* out) {
  out->set_family(FamilyName(AF_UNIX));
  out->set_path(ToUtf8(value.text));
}

void SetValue(const HookValue& value, const Argument& wanted, const sl_hook_argument& how, v1::HookArgument* out) {
  switch (value.read) {
    case SL_HOOK_READ_NUMBER:
      SetNumber(value.number, how, out);
      return NameNumber(value.number, wanted.type, out);
    case SL_HOOK_READ_STRING:
    case SL_HOOK_READ_FILENAME:
    case SL_HOOK_READ_DATA_LOC:
      return out->set_text(ToUtf8(value.text));
    case SL_HOOK_READ_BYTES:
    case SL_HOOK_READ_IOVEC:
    case SL_HOOK_READ_IOV_ITER:
      return out->set_bytes_value(value.text);
    case SL_HOOK_READ_FD:
    case SL_HOOK_READ_FILE:
    case SL_HOOK_READ_PATH:
    case SL_HOOK_READ_DENTRY:
    case SL_HOOK_READ_BINPRM:
    case SL_HOOK_READ_KIOCB:
      return SetFile(value, out->mutable_file());
    case SL_HOOK_READ_SOCK:
    case SL_HOOK_READ_SOCKET:
    case SL_HOOK_READ_SKB:
    case SL_HOOK_READ_SOCKADDR:
      return SetSocketOf(value, out);
    case SL_HOOK_READ_SOCKADDR_UNIX:
      return SetUnixAddress(value, out->mutable_address());
    case SL_HOOK_READ_CAPABILITIES:
      return SetCapabilities(value.number, out->mutable_capabilities());
    case SL_HOOK_READ_CRED:
      if (value.cred) SetCredentials(*value.cred, out->mutable_credentials());
      return;
    case SL_HOOK_READ_NET_DEVICE:
    case SL_HOOK_READ_USER_NAMESPACE:
    case SL_HOOK_READ_MODULE:
    case SL_HOOK_READ_LOAD_INFO:
    case SL_HOOK_READ_BPF_PROGRAM:
    case SL_HOOK_READ_BPF_MAP:
    case SL_HOOK_READ_BPF_OBJECT:
    case SL_HOOK_READ_PERF_EVENT:
      return SetObject(value, out->mutable_object());
    case SL_HOOK_READ_NOTHING:
    case SL_HOOK_READ_COUNT:
      return;
  }
}

}  // namespace

v1::HookArgument MakeHookArgument(const HookValue& value, const Argument& wanted, const sl_hook_argument& how) {
  v1::HookArgument out = Begin(wanted);
  if (!value.Is(SL_HOOK_VALUE_READ)) return out;
  SetValue(value, wanted, how, &out);
  out.set_truncated(value.Is(SL_HOOK_VALUE_TRUNCATED));
  return out;
}

v1::HookArgument MakeReturnValue(std::int64_t value, const Argument& wanted, const sl_hook_argument& how) {
  v1::HookArgument out = Begin(wanted);
  if (how.read != SL_HOOK_READ_NUMBER) return out;
  SetNumber(static_cast<std::uint64_t>(value), how, &out);
  NameNumber(static_cast<std::uint64_t>(value), wanted.type, &out);
  return out;
}

}  // namespace sluice::telemetry
