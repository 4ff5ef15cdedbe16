// The protocols of network.matchProtocols: which sockets each name means. Pure.
#pragma once

#include <array>
#include <string_view>

namespace sluice::policy::lsm {

enum class Protocol {
  kTcp,
  kUdp,
  kIcmp,
  kIcmpv6,
  kSctp,
  kDccp,
  kRaw,
  kPacket,
  kStream,
  kDgram,
  kSeqpacket,
  kRdm,
  kAll,
};

// From the narrowest to the widest: the first one that a rule names decides about a socket.
enum class ProtocolWidth { kProtocol, kSocketType, kAll };

struct ProtocolInfo {
  Protocol protocol;
  std::string_view name;  // in lower case; policies may write it in any
  ProtocolWidth width;
  std::string_view meaning;  // for people
};

// In the order of Protocol.
inline constexpr std::array kProtocols = {
    ProtocolInfo{Protocol::kTcp, "tcp", ProtocolWidth::kProtocol, "TCP and MPTCP, over IPv4 and IPv6"},
    ProtocolInfo{Protocol::kUdp, "udp", ProtocolWidth::kProtocol, "UDP and UDP-Lite, over IPv4 and IPv6"},
    ProtocolInfo{Protocol::kIcmp, "icmp", ProtocolWidth::kProtocol, "ICMP over IPv4, raw or as ping sockets"},
    ProtocolInfo{Protocol::kIcmpv6, "icmpv6", ProtocolWidth::kProtocol, "ICMPv6, raw or as ping sockets"},
    ProtocolInfo{Protocol::kSctp, "sctp", ProtocolWidth::kProtocol, "SCTP, over IPv4 and IPv6"},
    ProtocolInfo{Protocol::kDccp, "dccp", ProtocolWidth::kProtocol, "DCCP, over IPv4 and IPv6"},
    ProtocolInfo{Protocol::kRaw, "raw", ProtocolWidth::kSocketType, "every socket of type SOCK_RAW"},
    ProtocolInfo{Protocol::kPacket, "packet", ProtocolWidth::kSocketType, "packet sockets (AF_PACKET, SOCK_PACKET)"},
    ProtocolInfo{Protocol::kStream, "stream", ProtocolWidth::kSocketType, "every socket of type SOCK_STREAM"},
    ProtocolInfo{Protocol::kDgram, "dgram", ProtocolWidth::kSocketType, "every socket of type SOCK_DGRAM"},
    ProtocolInfo{Protocol::kSeqpacket, "seqpacket", ProtocolWidth::kSocketType, "every socket of type SOCK_SEQPACKET"},
    ProtocolInfo{Protocol::kRdm, "rdm", ProtocolWidth::kSocketType, "every socket of type SOCK_RDM"},
    ProtocolInfo{Protocol::kAll, "all", ProtocolWidth::kAll, "every socket"},
};

constexpr const ProtocolInfo& InfoOf(Protocol protocol) { return kProtocols[static_cast<std::size_t>(protocol)]; }

// A socket that a program creates: the three arguments of socket(2), with the type without its flags.
struct SocketFacts {
  int family = 0;
  int type = 0;
  int protocol = 0;
};

// False for sockets that stay inside the machine (AF_UNIX, AF_NETLINK, AF_ALG): no network rule is about them.
bool IsNetworkSocket(const SocketFacts& socket);

bool Matches(Protocol protocol, const SocketFacts& socket);

}  // namespace sluice::policy::lsm
