#include "telemetry/tetragon/tetragon_argument.h"

#include "policy/tracing/constants.h"

namespace sluice::telemetry {
namespace {

// In the number of a 32-bit system call, as raw_syscalls has it in Tetragon's events.
constexpr std::uint64_t kCompatCall = 0x80000000;

// Tetragon's name of a capability: CAP_DAC_OVERRIDE has no prefix there.
std::string CapabilityNameOf(const v1::HookArgument& argument, std::uint32_t number) {
  return tetragon::CapabilitiesType_IsValid(static_cast<int>(number))
             ? tetragon::CapabilitiesType_Name(static_cast<tetragon::CapabilitiesType>(number))
             : argument.name();
}

std::uint32_t ProtocolNumber(const std::string& name) {
  for (const auto& row : policy::tracing::IpProtocols()) {
    if (row.name == name) return row.number;
  }
  return 0;
}

// Numbers up to 32 bits. `value` is sign-extended.
void SetShortNumber(const v1::HookArgument& from, std::uint32_t value, bool is_signed, tetragon::KprobeArgument* out) {
  if (from.type() == "capability") {
    out->mutable_capability_arg()->mutable_value()->set_value(static_cast<std::int32_t>(value));
    out->mutable_capability_arg()->set_name(CapabilityNameOf(from, value));
  } else if (from.type() == "bpf_cmd") {
    out->set_bpf_cmd_arg(static_cast<tetragon::BpfCmd>(value));
  } else if (is_signed) {
    out->set_int_arg(static_cast<std::int32_t>(value));
  } else {
    out->set_uint_arg(value);
  }
}

void SetLongNumber(const v1::HookArgument& from, std::uint64_t value, tetragon::KprobeArgument* out) {
  if (from.type() != "syscall64") return out->set_size_arg(value);
  out->mutable_syscall_id()->set_id(static_cast<std::uint32_t>(value & ~kCompatCall));
#if defined(__x86_64__)
  out->mutable_syscall_id()->set_abi((value & kCompatCall) != 0 ? "i386" : "x64");
#elif defined(__aarch64__)
  out->mutable_syscall_id()->set_abi((value & kCompatCall) != 0 ? "arm32" : "arm64");
#endif
}

template <typename Out>
void SetPath(const v1::HookArgument& from, Out* out) {
  out->set_path(from.file().path());
  out->set_permission(from.file().permissions());
  if (from.truncated()) out->set_flags("unresolvedPathComponents");
}

void SetFile(const v1::HookArgument& from, tetragon::KprobeArgument* out) {
  if (from.type() == "linux_binprm") return SetPath(from, out->mutable_linux_binprm_arg());
  if (from.type() == "path" || from.type() == "dentry") return SetPath(from, out->mutable_path_arg());
  SetPath(from, out->mutable_file_arg());
}

// What a socket and a packet have in common.
template <typename Out>
void SetEnds(const v1::HookSocket& from, Out* out) {
  out->set_family(from.family());
  out->set_protocol(from.protocol());
  out->set_mark(from.mark());
  out->set_priority(from.priority());
  out->set_saddr(from.source());
  out->set_daddr(from.destination());
  out->set_sport(from.source_port());
  out->set_dport(from.destination_port());
}

void SetSocket(const v1::HookArgument& from, tetragon::KprobeArgument* out) {
  const v1::HookSocket& socket = from.socket();
  if (from.type() == "skb") {
    SetEnds(socket, out->mutable_skb_arg());
    out->mutable_skb_arg()->set_len(socket.length());
    out->mutable_skb_arg()->set_proto(ProtocolNumber(socket.protocol()));
    return;
  }
  SetEnds(socket, out->mutable_sock_arg());
  out->mutable_sock_arg()->set_type(socket.type());
  out->mutable_sock_arg()->set_state(socket.state());
  out->mutable_sock_arg()->set_cookie(socket.cookie());
}

void SetAddress(const v1::HookArgument& from, tetragon::KprobeArgument* out) {
  if (from.type() == "sockaddr_un") {
    out->mutable_sockaddrun_arg()->set_family(from.address().family());
    out->mutable_sockaddrun_arg()->set_path(from.address().path());
    return;
  }
  out->mutable_sockaddr_arg()->set_family(from.address().family());
  out->mutable_sockaddr_arg()->set_addr(from.address().address());
  out->mutable_sockaddr_arg()->set_port(from.address().port());
}

std::uint64_t MaskOf(const v1::HookCapabilities& capabilities) {
  return std::strtoull(capabilities.mask().c_str(), nullptr, 16);
}

template <typename Add>
void AddCapabilities(const v1::HookCapabilities& from, const Add& add) {
  const std::uint64_t mask = MaskOf(from);
  for (int bit = tetragon::CapabilitiesType_MIN; bit <= tetragon::CapabilitiesType_MAX; ++bit) {
    if ((mask >> bit & 1) != 0) add(static_cast<tetragon::CapabilitiesType>(bit));
  }
}

void SetCredentials(const v1::HookCredentials& from, tetragon::ProcessCredentials* out) {
  out->mutable_uid()->set_value(from.uid());
  out->mutable_gid()->set_value(from.gid());
  out->mutable_euid()->set_value(from.effective_uid());
  out->mutable_egid()->set_value(from.effective_gid());
  out->mutable_suid()->set_value(from.saved_uid());
  out->mutable_sgid()->set_value(from.saved_gid());
  out->mutable_fsuid()->set_value(from.file_system_uid());
  out->mutable_fsgid()->set_value(from.file_system_gid());
  tetragon::Capabilities& caps = *out->mutable_caps();
  AddCapabilities(from.permitted(), [&](tetragon::CapabilitiesType one) { caps.add_permitted(one); });
  AddCapabilities(from.effective(), [&](tetragon::CapabilitiesType one) { caps.add_effective(one); });
  AddCapabilities(from.inheritable(), [&](tetragon::CapabilitiesType one) { caps.add_inheritable(one); });
  if (from.has_user_namespace()) out->mutable_user_ns()->mutable_ns()->set_inum(from.user_namespace());
}

void SetCapabilities(const v1::HookArgument& from, tetragon::KprobeArgument* out) {
  const std::string& mask = from.capabilities().mask();
  if (from.type() == "cap_inheritable") return out->set_cap_inheritable_arg(mask);
  if (from.type() == "cap_permitted") return out->set_cap_permitted_arg(mask);
  if (from.type() == "cap_effective") return out->set_cap_effective_arg(mask);
  out->set_kernel_cap_t_arg(mask);
}

void SetObject(const v1::HookArgument& from, tetragon::KprobeArgument* out) {
  const v1::HookObject& object = from.object();
  if (from.type() == "net_device") {
    out->mutable_net_dev_arg()->set_name(object.name());
  } else if (from.type() == "bpf_attr") {
    out->mutable_bpf_attr_arg()->set_progtype(object.kind());
    out->mutable_bpf_attr_arg()->set_progname(object.name());
  } else if (from.type() == "bpf_prog") {
    out->mutable_bpf_prog_arg()->set_progtype(object.kind());
    out->mutable_bpf_prog_arg()->set_progname(object.name());
  } else if (from.type() == "bpf_map") {
    out->mutable_bpf_map_arg()->set_maptype(object.kind());
    out->mutable_bpf_map_arg()->set_mapname(object.name());
  } else if (from.type() == "perf_event") {
    out->mutable_perf_event_arg()->set_type(object.kind());
  } else if (from.type() == "user_namespace") {
    out->mutable_user_ns_arg()->mutable_ns()->set_inum(object.namespace_());
  } else {
    out->mutable_module_arg()->set_name(object.name());
  }
}

void SetValue(const v1::HookArgument& from, tetragon::KprobeArgument* out) {
  switch (from.value_case()) {
    case v1::HookArgument::kInt32Value:
      return SetShortNumber(from, static_cast<std::uint32_t>(from.int32_value()), true, out);
    case v1::HookArgument::kUint32Value:
      return SetShortNumber(from, from.uint32_value(), false, out);
    case v1::HookArgument::kInt64Value:
      return out->set_long_arg(from.int64_value());
    case v1::HookArgument::kUint64Value:
      return SetLongNumber(from, from.uint64_value(), out);
    case v1::HookArgument::kText:
      return out->set_string_arg(from.text());
    case v1::HookArgument::kBytesValue:
      return from.truncated() ? out->mutable_truncated_bytes_arg()->set_bytes_arg(from.bytes_value())
                              : out->set_bytes_arg(from.bytes_value());
    case v1::HookArgument::kFile:
      return SetFile(from, out);
    case v1::HookArgument::kSocket:
      return SetSocket(from, out);
    case v1::HookArgument::kAddress:
      return SetAddress(from, out);
    case v1::HookArgument::kCredentials:
      return SetCredentials(from.credentials(), out->mutable_process_credentials_arg());
    case v1::HookArgument::kCapabilities:
      return SetCapabilities(from, out);
    case v1::HookArgument::kObject:
      return SetObject(from, out);
    case v1::HookArgument::VALUE_NOT_SET:
      return;
  }
}

}  // namespace

tetragon::KprobeArgument ToTetragonArgument(const v1::HookArgument& argument) {
  tetragon::KprobeArgument out;
  SetValue(argument, &out);
  out.set_label(argument.label());
  return out;
}

}  // namespace sluice::telemetry
