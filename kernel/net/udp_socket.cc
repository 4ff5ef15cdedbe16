#include "kernel/net/udp_socket.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace sluice::net {
namespace {

void PutAddress(const policy::Address& address, __be32* words) {
  const auto& bytes = address.bytes();
  if (address.is_v4()) {
    std::memcpy(words, bytes.data() + 12, 4);
  } else {
    std::memcpy(words, bytes.data(), bytes.size());
  }
}

}  // namespace

Status EndUdpSocket(int diagnosis, const UdpSocket& socket) {
  struct {
    nlmsghdr header{};
    inet_diag_req_v2 request{};
  } message;
  message.header.nlmsg_len = sizeof(message);
  message.header.nlmsg_type = SOCK_DESTROY;
  message.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  inet_diag_req_v2& request = message.request;
  request.sdiag_family = socket.remote.is_v4() ? AF_INET : AF_INET6;
  request.sdiag_protocol = IPPROTO_UDP;
  request.idiag_states = ~0U;
  request.id.idiag_sport = htons(socket.local_port);
  request.id.idiag_dport = htons(socket.remote_port);
  PutAddress(socket.local, request.id.idiag_src);
  PutAddress(socket.remote, request.id.idiag_dst);
  request.id.idiag_if = socket.interface;
  request.id.idiag_cookie[0] = static_cast<__u32>(socket.cookie);
  request.id.idiag_cookie[1] = static_cast<__u32>(socket.cookie >> 32);
  if (send(diagnosis, &message, sizeof(message), 0) != sizeof(message))
    return ErrnoError(errno, "ask the kernel to end a socket");
  struct {
    nlmsghdr header{};
    nlmsgerr error{};
    char rest[256];  // the request, which comes back
  } answer;
  // The kernel answers during the call of send.
  if (recv(diagnosis, &answer, sizeof(answer), MSG_DONTWAIT) < static_cast<ssize_t>(NLMSG_LENGTH(sizeof(nlmsgerr))))
    return ErrnoError(errno, "read the kernel's answer about a socket to end");
  if (answer.header.nlmsg_type != NLMSG_ERROR)
    return MakeError(absl::StatusCode::kInternal, "the kernel's answer about a socket to end has type {}",
                     answer.header.nlmsg_type);
  const int error = -answer.error.error;
  if (error == 0 || error == ENOENT || error == ESTALE) return OkStatus();
  if (error == EOPNOTSUPP)
    return MakeError(absl::StatusCode::kUnimplemented,
                     "this kernel cannot end sockets (it needs CONFIG_INET_UDP_DIAG and CONFIG_INET_DIAG_DESTROY)");
  return ErrnoError(error, "end a UDP socket");
}

}  // namespace sluice::net
