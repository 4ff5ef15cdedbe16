#include "policy/lsm/protocols.h"

#include <netinet/in.h>

namespace sluice::policy::lsm {
namespace {

bool IsIp(const SocketFacts& socket) { return socket.family == AF_INET || socket.family == AF_INET6; }

// 0: the type's own protocol.
bool IsIp(const SocketFacts& socket, int type, int protocol, int variant) {
  const bool named = socket.protocol == 0 || socket.protocol == protocol || socket.protocol == variant;
  return IsIp(socket) && socket.type == type && named;
}

}  // namespace

bool IsNetworkSocket(const SocketFacts& socket) {
  return socket.family != AF_UNIX && socket.family != AF_NETLINK && socket.family != AF_ALG;
}

bool Matches(Protocol protocol, const SocketFacts& socket) {
  if (!IsNetworkSocket(socket)) return false;
  switch (protocol) {
    case Protocol::kTcp:
      return IsIp(socket, SOCK_STREAM, IPPROTO_TCP, IPPROTO_MPTCP);
    case Protocol::kUdp:
      return IsIp(socket, SOCK_DGRAM, IPPROTO_UDP, IPPROTO_UDPLITE);
    case Protocol::kIcmp:
      return socket.family == AF_INET && socket.protocol == IPPROTO_ICMP;
    case Protocol::kIcmpv6:
      return socket.family == AF_INET6 && socket.protocol == IPPROTO_ICMPV6;
    case Protocol::kSctp:
      return IsIp(socket) && socket.protocol == IPPROTO_SCTP;
    case Protocol::kDccp:
      return IsIp(socket) && socket.type == SOCK_DCCP;
    case Protocol::kRaw:
      return socket.type == SOCK_RAW;
    case Protocol::kPacket:
      return socket.family == AF_PACKET || socket.type == SOCK_PACKET;
    case Protocol::kStream:
      return socket.type == SOCK_STREAM;
    case Protocol::kDgram:
      return socket.type == SOCK_DGRAM;
    case Protocol::kSeqpacket:
      return socket.type == SOCK_SEQPACKET;
    case Protocol::kRdm:
      return socket.type == SOCK_RDM;
    case Protocol::kAll:
      return true;
  }
  return false;
}

}  // namespace sluice::policy::lsm
