/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Which protocols of network.matchProtocols a socket is of. policy/lsm/protocols.cc is the specification; tests compare
 * the two. Helper-free. */
#ifndef SLUICE_LSM_PROTOCOLS_H
#define SLUICE_LSM_PROTOCOLS_H

#include "bpf/abi/lsm.h"

/* linux/socket.h, net.h and in.h. */
enum {
  SL_FAMILY_UNIX = 1,
  SL_FAMILY_INET = 2,
  SL_FAMILY_INET6 = 10,
  SL_FAMILY_NETLINK = 16,
  SL_FAMILY_PACKET = 17,
  SL_FAMILY_ALG = 38,
  SL_SOCKET_STREAM = 1,
  SL_SOCKET_DGRAM = 2,
  SL_SOCKET_RAW = 3,
  SL_SOCKET_RDM = 4,
  SL_SOCKET_SEQPACKET = 5,
  SL_SOCKET_DCCP = 6,
  SL_SOCKET_PACKET = 10,
  SL_IP_ICMP = 1,
  SL_IP_TCP = 6,
  SL_IP_UDP = 17,
  SL_IP_ICMPV6 = 58,
  SL_IP_SCTP = 132,
  SL_IP_UDPLITE = 136,
  SL_IP_MPTCP = 262,
};

/* A bit for each of enum sl_lsm_protocol; 0: the socket stays inside the machine, and no rule is about it. */
static inline __u32 sl_lsm_protocols_of(int family, int type, int protocol) {
  if (family == SL_FAMILY_UNIX || family == SL_FAMILY_NETLINK || family == SL_FAMILY_ALG) return 0;
  const int is_ip = family == SL_FAMILY_INET || family == SL_FAMILY_INET6;
  __u32 bits = 1u << SL_LSM_PROTOCOL_ALL;
  if (is_ip && type == SL_SOCKET_STREAM && (!protocol || protocol == SL_IP_TCP || protocol == SL_IP_MPTCP))
    bits |= 1u << SL_LSM_PROTOCOL_TCP;
  if (is_ip && type == SL_SOCKET_DGRAM && (!protocol || protocol == SL_IP_UDP || protocol == SL_IP_UDPLITE))
    bits |= 1u << SL_LSM_PROTOCOL_UDP;
  if (family == SL_FAMILY_INET && protocol == SL_IP_ICMP) bits |= 1u << SL_LSM_PROTOCOL_ICMP;
  if (family == SL_FAMILY_INET6 && protocol == SL_IP_ICMPV6) bits |= 1u << SL_LSM_PROTOCOL_ICMPV6;
  if (is_ip && protocol == SL_IP_SCTP) bits |= 1u << SL_LSM_PROTOCOL_SCTP;
  if (is_ip && type == SL_SOCKET_DCCP) bits |= 1u << SL_LSM_PROTOCOL_DCCP;
  if (type == SL_SOCKET_RAW) bits |= 1u << SL_LSM_PROTOCOL_RAW;
  if (family == SL_FAMILY_PACKET || type == SL_SOCKET_PACKET) bits |= 1u << SL_LSM_PROTOCOL_PACKET;
  if (type == SL_SOCKET_STREAM) bits |= 1u << SL_LSM_PROTOCOL_STREAM;
  if (type == SL_SOCKET_DGRAM) bits |= 1u << SL_LSM_PROTOCOL_DGRAM;
  if (type == SL_SOCKET_SEQPACKET) bits |= 1u << SL_LSM_PROTOCOL_SEQPACKET;
  if (type == SL_SOCKET_RDM) bits |= 1u << SL_LSM_PROTOCOL_RDM;
  return bits;
}

#endif
