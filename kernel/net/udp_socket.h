// Ending a UDP socket of another program, by the kernel's socket diagnosis.
#pragma once

#include <cstdint>

#include "base/status.h"
#include "policy/resource/address.h"

namespace sluice::net {

// A connected one.
struct UdpSocket {
  std::uint64_t cookie = 0;
  policy::Address local, remote;
  std::uint16_t local_port = 0, remote_port = 0;
  std::uint32_t interface = 0;  // that it is bound to; 0: none
};

// The program's next call fails (ECONNABORTED), and the socket is not connected any more. `diagnosis`: a socket of
// NETLINK_SOCK_DIAG in the namespace of the UDP socket. OK if that is gone already. Unimplemented: the kernel cannot
// (CONFIG_INET_UDP_DIAG, CONFIG_INET_DIAG_DESTROY).
Status EndUdpSocket(int diagnosis, const UdpSocket& socket);

}  // namespace sluice::net
