// Fields of what the call is about: fd.*.
#include <array>

#include "policy/rules/field_groups.h"

namespace sluice::policy::rules {
namespace {

struct KindNames {
  std::string_view letter;  // fd.typechar
  std::string_view name;    // fd.type
};

// In the order of DescriptorKind.
constexpr std::array<KindNames, 20> kKinds = {
    {{"f", "file"},        {"d", "directory"}, {"4", "ipv4"},    {"6", "ipv6"},    {"2", "ipv4"},
     {"9", "ipv6"},        {"u", "unix"},      {"p", "pipe"},    {"e", "event"},   {"s", "signalfd"},
     {"l", "eventpoll"},   {"i", "inotify"},   {"t", "timerfd"}, {"n", "netlink"}, {"b", "bpf"},
     {"u", "userfaultfd"}, {"r", "io_uring"},  {"m", "memfd"},   {"P", "pidfd"},   {"o", "<NA>"}}};

const KindNames& NamesOf(DescriptorKind kind) { return kKinds[static_cast<std::size_t>(kind)]; }

bool IsListener(DescriptorKind kind) {
  return kind == DescriptorKind::kIpv4Listener || kind == DescriptorKind::kIpv6Listener;
}

bool IsConnection(DescriptorKind kind) { return kind == DescriptorKind::kIpv4 || kind == DescriptorKind::kIpv6; }

const SocketEnds* EndsOf(const Event& event) {
  const Descriptor* const one = event.descriptor;
  if (one == nullptr || !one->ends || !(IsConnection(one->kind) || IsListener(one->kind))) return nullptr;
  return &*one->ends;
}

// Of a connection, not of a listener, which has one end.
const SocketEnds* BothEndsOf(const Event& event) {
  const SocketEnds* const ends = EndsOf(event);
  return ends != nullptr && IsConnection(event.descriptor->kind) ? ends : nullptr;
}

enum class End { kClient, kServer, kLocal, kRemote };

const SocketEnds* EndsWith(End end, const Event& event) {
  return end == End::kServer ? EndsOf(event) : BothEndsOf(event);
}

bool IsServer(End end, const SocketEnds& ends) {
  return end == End::kServer || (end == End::kLocal && ends.local_is_server) ||
         (end == End::kRemote && !ends.local_is_server);
}

template <End end>
void AddressOf(const FieldUse&, const Event& event, Values& out) {
  const SocketEnds* const ends = EndsWith(end, event);
  if (ends != nullptr) out.AddAddress(IsServer(end, *ends) ? ends->server : ends->client);
}

template <End end>
void PortOf(const FieldUse&, const Event& event, Values& out) {
  const SocketEnds* const ends = EndsWith(end, event);
  if (ends != nullptr) out.AddNumber(IsServer(end, *ends) ? ends->server_port : ends->client_port);
}

template <End end>
void HostNamesOf(const FieldUse&, const Event& event, Values& out) {
  const SocketEnds* const ends = EndsWith(end, event);
  if (ends == nullptr) return;
  for (const std::string& name : IsServer(end, *ends) ? ends->server_names : ends->client_names) out.AddKnown(name);
}

void BothAddresses(const FieldUse&, const Event& event, Values& out) {
  const SocketEnds* const ends = EndsOf(event);
  if (ends == nullptr) return;
  if (IsConnection(event.descriptor->kind)) out.AddAddress(ends->client);
  out.AddAddress(ends->server);
}

void BothPorts(const FieldUse&, const Event& event, Values& out) {
  const SocketEnds* const ends = EndsOf(event);
  if (ends == nullptr) return;
  if (IsConnection(event.descriptor->kind)) out.AddNumber(ends->client_port);
  out.AddNumber(ends->server_port);
}

const Descriptor* OpenDescriptor(const Event& event) {
  return event.descriptor != nullptr && event.descriptor->is_open ? event.descriptor : nullptr;
}

void DescriptorNumber(const FieldUse&, const Event& event, Values& out) {
  if (event.descriptor_number) out.AddSigned(*event.descriptor_number);
}

void TypeName(const FieldUse&, const Event& event, Values& out) {
  const Descriptor* const one = OpenDescriptor(event);
  if (one != nullptr) out.AddText(NamesOf(one->kind).name);
}

void TypeLetter(const FieldUse&, const Event& event, Values& out) {
  if (event.descriptor != nullptr) out.AddText(NamesOf(event.descriptor->kind).letter);
}

void DescriptorName(const FieldUse&, const Event& event, Values& out) {
  if (event.descriptor != nullptr) out.AddText(event.descriptor->name);
}

// Falco writes "//" as "/" here, and changes nothing else.
void RawName(const FieldUse&, const Event& event, Values& out) {
  if (event.descriptor == nullptr) return;
  const std::string& raw = event.descriptor->raw_name;
  if (raw.find("//") == std::string::npos) return out.AddText(raw);
  std::string& text = out.Own("");
  for (const char c : raw) {
    if (c != '/' || !text.ends_with('/')) text += c;
  }
  out.AddText(text);
}

// The directory of "/a" is "/"; that of "/a/" is "/a/" itself.
void Directory(const FieldUse&, const Event& event, Values& out) {
  const Descriptor* const one = event.descriptor;
  if (one == nullptr) return;
  const std::string_view name = one->name;
  if (one->kind == DescriptorKind::kDirectory && one->is_open) return out.AddText(name);
  if (one->kind != DescriptorKind::kFile && one->is_open) return;
  const std::size_t slash = name.rfind('/');
  if (slash == std::string_view::npos || slash == 0) return out.AddText("/");
  out.AddText(slash + 1 < name.size() ? name.substr(0, slash) : name);
}

void FileName(const FieldUse&, const Event& event, Values& out) {
  const Descriptor* const one = OpenDescriptor(event);
  if (one == nullptr || one->kind != DescriptorKind::kFile) return;
  const std::string_view name = one->name;
  const std::size_t slash = name.rfind('/');
  if (slash == std::string_view::npos) return out.AddText("/");
  out.AddText(slash + 1 < name.size() ? name.substr(slash + 1) : name);
}

void Protocol(const FieldUse&, const Event& event, Values& out) {
  const Descriptor* const one = OpenDescriptor(event);
  if (one != nullptr) out.AddText(one->protocol.empty() ? std::string_view("<NA>") : std::string_view(one->protocol));
}

void SocketFamily(const FieldUse&, const Event& event, Values& out) {
  const Descriptor* const one = OpenDescriptor(event);
  if (one == nullptr) return;
  if (one->kind == DescriptorKind::kUnix) out.AddText("unix");
  if (IsConnection(one->kind) || IsListener(one->kind)) out.AddText("ip");
}

template <bool Descriptor::*flag>
void Flag(const FieldUse&, const Event& event, Values& out) {
  const Descriptor* const one = OpenDescriptor(event);
  if (one != nullptr) out.AddNumber(one->*flag ? 1 : 0);
}

void IsServerSide(const FieldUse&, const Event& event, Values& out) {
  const Descriptor* const one = OpenDescriptor(event);
  if (one == nullptr) return;
  out.AddNumber(IsListener(one->kind) || (IsConnection(one->kind) && one->ends && one->ends->local_is_server) ? 1 : 0);
}

void Renamed(const FieldUse&, const Event& event, Values& out) {
  if (OpenDescriptor(event) != nullptr) out.AddNumber(event.descriptor_renamed ? 1 : 0);
}

void Inode(const FieldUse&, const Event& event, Values& out) {
  const Descriptor* const one = OpenDescriptor(event);
  if (one != nullptr && one->inode) out.AddNumber(*one->inode);
}

using enum ValueType;
constexpr FieldFlags kFilterOnly = {.filter_only = true, .no_operand = true, .no_transform = true};
constexpr FieldFlags kNoOperand = {.no_operand = true, .no_transform = true};
constexpr ArgumentForm kPlain = ArgumentForm::kNone;

constexpr FieldInfo kDescriptorFields[] = {
    {"fd.cip", kAddress, Many::kOne, kPlain, AddressOf<End::kClient>, "the client's address"},
    {"fd.cip.name", kText, Many::kEnds, kPlain, HostNamesOf<End::kClient>, "the names of the client's address",
     kNoOperand},
    {"fd.cnet", kNetwork, Many::kOne, kPlain, AddressOf<End::kClient>, "the network of the client's address",
     kFilterOnly},
    {"fd.connected", kBool, Many::kOne, kPlain, Flag<&Descriptor::connected>, "the socket is connected"},
    {"fd.cport", kPort, Many::kOne, kPlain, PortOf<End::kClient>, "the client's port"},
    {"fd.directory", kText, Many::kOne, kPlain, Directory, "the directory of the file"},
    {"fd.filename", kText, Many::kOne, kPlain, FileName, "the file's name without its directory"},
    {"fd.ino", kSigned, Many::kOne, kPlain, Inode, "the file's inode"},
    {"fd.ip", kAddress, Many::kEnds, kPlain, BothAddresses, "the client's or the server's address", kFilterOnly},
    {"fd.is_lower_layer", kBool, Many::kOne, kPlain, Flag<&Descriptor::lower_layer>,
     "the file is of the container's image"},
    {"fd.is_server", kBool, Many::kOne, kPlain, IsServerSide, "the process is the server"},
    {"fd.is_upper_layer", kBool, Many::kOne, kPlain, Flag<&Descriptor::upper_layer>,
     "the file was made in the container"},
    {"fd.l4proto", kText, Many::kOne, kPlain, Protocol, "tcp, udp, icmp, raw, or <NA>"},
    {"fd.lip", kAddress, Many::kOne, kPlain, AddressOf<End::kLocal>, "the local address"},
    {"fd.lip.name", kText, Many::kEnds, kPlain, HostNamesOf<End::kLocal>, "the names of the local address", kNoOperand},
    {"fd.lnet", kNetwork, Many::kOne, kPlain, AddressOf<End::kLocal>, "the network of the local address", kFilterOnly},
    {"fd.lport", kPort, Many::kOne, kPlain, PortOf<End::kLocal>, "the local port"},
    {"fd.name", kText, Many::kOne, kPlain, DescriptorName, "the path, or the ends of the connection"},
    {"fd.name_changed", kBool, Many::kOne, kPlain, Renamed, "the call gave the descriptor another name"},
    {"fd.nameraw", kText, Many::kOne, kPlain, RawName, "the path as the process wrote it"},
    {"fd.net", kNetwork, Many::kEnds, kPlain, BothAddresses, "the network of the client's or the server's address",
     kFilterOnly},
    {"fd.num", kSigned, Many::kOne, kPlain, DescriptorNumber, "the descriptor's number; -1: the call failed"},
    {"fd.port", kPort, Many::kEnds, kPlain, BothPorts, "the client's or the server's port", kFilterOnly},
    {"fd.rip", kAddress, Many::kOne, kPlain, AddressOf<End::kRemote>, "the remote address"},
    {"fd.rip.name", kText, Many::kEnds, kPlain, HostNamesOf<End::kRemote>, "the names of the remote address",
     kNoOperand},
    {"fd.rnet", kNetwork, Many::kOne, kPlain, AddressOf<End::kRemote>, "the network of the remote address",
     kFilterOnly},
    {"fd.rport", kPort, Many::kOne, kPlain, PortOf<End::kRemote>, "the remote port"},
    {"fd.sip", kAddress, Many::kOne, kPlain, AddressOf<End::kServer>, "the server's address"},
    {"fd.sip.name", kText, Many::kEnds, kPlain, HostNamesOf<End::kServer>, "the names of the server's address",
     kNoOperand},
    {"fd.snet", kNetwork, Many::kOne, kPlain, AddressOf<End::kServer>, "the network of the server's address",
     kFilterOnly},
    {"fd.sockfamily", kText, Many::kOne, kPlain, SocketFamily, "ip or unix"},
    {"fd.sport", kPort, Many::kOne, kPlain, PortOf<End::kServer>, "the server's port"},
    {"fd.type", kText, Many::kOne, kPlain, TypeName, "file, directory, ipv4, ipv6, unix, pipe, event, ..."},
    {"fd.typechar", kText, Many::kOne, kPlain, TypeLetter, "the same as a letter: f, d, 4, 6, u, p, e, ..."},
};

}  // namespace

std::span<const FieldInfo> DescriptorFields() { return kDescriptorFields; }

}  // namespace sluice::policy::rules
