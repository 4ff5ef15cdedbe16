/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Which end opened the flow of a packet without a known flow: its sender, or the other end, which it answers. A flow
 * that is older than the agent, or than its entry, may well begin with an answer. Helper-free, as parse.bpf.h.
 */
#ifndef SLUICE_ORIENTATION_BPF_H
#define SLUICE_ORIENTATION_BPF_H

#include "bpf/lib/parse.bpf.h"

enum sl_orientation {
  SL_OPENS = 0,   /* its sender opens the flow */
  SL_ANSWERS = 1, /* it answers the other end's flow */
  SL_UNSURE = 2,  /* TCP in midstream, and the ports are no evidence: policy must allow both */
};

/* The lowest port that Linux gives to a client by default (ip_local_port_range). */
#define SL_FIRST_CLIENT_PORT 32768

SL_INLINE int sl_is_client_port(__be16 port) { return SL_NTOHS(port) >= SL_FIRST_CLIENT_PORT; }

/* From a server's port to a client's. */
SL_INLINE int sl_is_to_client(__be16 src_port, __be16 dst_port) {
  return !sl_is_client_port(src_port) && sl_is_client_port(dst_port);
}

/* A SYN opens, and a SYN-ACK answers; in midstream, the end with the client's port opened the flow. This is safe: no
 * socket takes the packet without a handshake, whose SYN is evaluated. */
SL_INLINE enum sl_orientation sl_tcp_orientation(__u8 tcp_flags, __be16 src_port, __be16 dst_port) {
  if (tcp_flags & SL_TCP_SYN) return tcp_flags & SL_TCP_ACK ? SL_ANSWERS : SL_OPENS;
  if (sl_is_to_client(src_port, dst_port)) return SL_ANSWERS;
  return sl_is_to_client(dst_port, src_port) ? SL_OPENS : SL_UNSURE;
}

/* By the packet alone. */
SL_INLINE enum sl_orientation sl_orientation_of(const struct sl_packet* packet) {
  const struct sl_tuple* tuple = &packet->tuple;
  const __u8 tcp_flags = packet->fragment == SL_FRAGMENT_LATER ? 0 : packet->tcp_flags;
  if (tuple->protocol == SL_IPPROTO_TCP) return sl_tcp_orientation(tcp_flags, tuple->src_port, tuple->dst_port);
  return tuple->icmp_answer ? SL_ANSWERS : SL_OPENS;
}

/* A datagram may be the answer to a request that was not seen. */
SL_INLINE int sl_may_be_answer(const struct sl_packet* packet) {
  return packet->tuple.protocol == SL_IPPROTO_UDP && sl_is_to_client(packet->tuple.src_port, packet->tuple.dst_port);
}

/* A SYN of a new connection. */
SL_INLINE int sl_is_syn(const struct sl_packet* packet) {
  return packet->tuple.protocol == SL_IPPROTO_TCP && packet->fragment != SL_FRAGMENT_LATER &&
         (packet->tcp_flags & (SL_TCP_SYN | SL_TCP_ACK)) == SL_TCP_SYN;
}

#endif
