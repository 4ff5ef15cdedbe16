/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Sockets, packets and socket addresses as struct sl_hook_socket. */
#ifndef SLUICE_SOCKET_VALUE_BPF_H
#define SLUICE_SOCKET_VALUE_BPF_H

#include <bpf/bpf_endian.h>

#include "bpf/hooks/value.bpf.h"

#define SL_AF_INET 2
#define SL_AF_INET6 10
#define SL_ETH_P_IP 0x0800
#define SL_ETH_P_IPV6 0x86dd
#define SL_PROTO_HOP_BY_HOP 0
#define SL_PROTO_TCP 6
#define SL_PROTO_UDP 17
#define SL_PROTO_ROUTING 43
#define SL_PROTO_FRAGMENT 44
#define SL_PROTO_DESTINATION 60
#define SL_PROTO_SCTP 132
#define SL_EXTENSIONS_MAX 8

static __always_inline void set_ipv4(struct sl_addr* to, __u32 address) {
  __u32* words = (__u32*)to;
  words[0] = words[1] = 0;
  words[2] = bpf_htonl(0xffff);
  words[3] = address;
}

static __always_inline struct sl_hook_socket* new_socket(struct hook_scratch* scratch) {
  struct sl_hook_socket* to = (struct sl_hook_socket*)room(scratch);
  if (to) __builtin_memset(to, 0, sizeof(*to));
  return to;
}

static __always_inline void keep_socket(struct hook_scratch* scratch, struct sl_hook_value* value) {
  keep(scratch, value, sizeof(struct sl_hook_socket), 0);
}

__noinline int read_sock(__u32 index, __u32 argument, __u64 address) {
  struct hook_scratch* scratch = scratch_at(index);
  const struct sock* sk = (void*)address;
  if (!scratch || !sk) return 0;
  struct sl_hook_value* value = value_at(scratch, argument);
  struct sl_hook_socket* to = new_socket(scratch);
  if (!value || !to) return 0;
  to->family = BPF_CORE_READ(sk, __sk_common.skc_family);
  to->protocol = BPF_CORE_READ(sk, sk_protocol);
  to->type = BPF_CORE_READ(sk, sk_type);
  to->state = BPF_CORE_READ(sk, __sk_common.skc_state);
  to->mark = BPF_CORE_READ(sk, sk_mark);
  to->priority = BPF_CORE_READ(sk, sk_priority);
  to->cookie = BPF_CORE_READ(sk, __sk_common.skc_cookie.counter);
  if (to->family == SL_AF_INET) {
    set_ipv4(&to->source, BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr));
    set_ipv4(&to->destination, BPF_CORE_READ(sk, __sk_common.skc_daddr));
  } else if (to->family == SL_AF_INET6) {
    BPF_CORE_READ_INTO(&to->source, sk, __sk_common.skc_v6_rcv_saddr);
    BPF_CORE_READ_INTO(&to->destination, sk, __sk_common.skc_v6_daddr);
  }
  if (to->family == SL_AF_INET || to->family == SL_AF_INET6) {
    to->source_port = BPF_CORE_READ(sk, __sk_common.skc_num);
    to->destination_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
  }
  keep_socket(scratch, value);
  return 0;
}

struct ports_at {
  const void* at; /* the transport header */
  __u32 protocol;
};

/* Past the extension headers of IPv6 (RFC 8200). */
static __always_inline void skip_extensions(struct ports_at* ports) {
  for (int i = 0; i < SL_EXTENSIONS_MAX; i++) {
    const __u32 protocol = ports->protocol;
    __u8 header[4] = {};
    if (protocol != SL_PROTO_HOP_BY_HOP && protocol != SL_PROTO_ROUTING && protocol != SL_PROTO_DESTINATION &&
        protocol != SL_PROTO_FRAGMENT)
      return;
    if (bpf_probe_read_kernel(header, sizeof(header), ports->at)) return;
    ports->protocol = header[0];
    ports->at += protocol == SL_PROTO_FRAGMENT ? 8 : (header[1] + 1) * 8;
  }
}

__noinline int read_packet(__u32 index, __u32 argument, __u64 address) {
  struct hook_scratch* scratch = scratch_at(index);
  const struct sk_buff* skb = (void*)address;
  if (!scratch || !skb) return 0;
  struct sl_hook_value* value = value_at(scratch, argument);
  struct sl_hook_socket* to = new_socket(scratch);
  if (!value || !to) return 0;
  to->length = BPF_CORE_READ(skb, len);
  to->mark = BPF_CORE_READ(skb, mark);
  to->priority = BPF_CORE_READ(skb, priority);
  to->cookie = BPF_CORE_READ(skb, sk, __sk_common.skc_cookie.counter);
  const __u8* network = BPF_CORE_READ(skb, head) + BPF_CORE_READ(skb, network_header);
  __u8 version = 0;
  bpf_probe_read_kernel(&version, sizeof(version), network);
  struct ports_at ports = {.at = NULL};
  __u8 protocol = 0;
  if (version >> 4 == 4) {
    __u32 pair[2] = {};
    to->family = SL_AF_INET;
    bpf_probe_read_kernel(&protocol, sizeof(protocol), network + 9);
    bpf_probe_read_kernel(pair, sizeof(pair), network + 12);
    set_ipv4(&to->source, pair[0]);
    set_ipv4(&to->destination, pair[1]);
    ports.protocol = protocol;
    ports.at = network + (version & 15) * 4;
  } else if (version >> 4 == 6) {
    to->family = SL_AF_INET6;
    bpf_probe_read_kernel(&protocol, sizeof(protocol), network + 6);
    bpf_probe_read_kernel(&to->source, sizeof(to->source), network + 8);
    bpf_probe_read_kernel(&to->destination, sizeof(to->destination), network + 24);
    ports.protocol = protocol;
    ports.at = network + 40;
    skip_extensions(&ports);
  } else {
    return 0;
  }
  to->protocol = ports.protocol;
  if (ports.protocol == SL_PROTO_TCP || ports.protocol == SL_PROTO_UDP || ports.protocol == SL_PROTO_SCTP) {
    __be16 pair[2] = {};
    bpf_probe_read_kernel(pair, sizeof(pair), ports.at);
    to->source_port = bpf_ntohs(pair[0]);
    to->destination_port = bpf_ntohs(pair[1]);
  }
  keep_socket(scratch, value);
  return 0;
}

/* sockaddr_in and sockaddr_in6, as in linux/in.h and linux/in6.h. */
__noinline int read_address(__u32 index, __u32 argument, __u64 address, bool user) {
  struct hook_scratch* scratch = scratch_at(index);
  if (!scratch || !address) return 0;
  struct sl_hook_value* value = value_at(scratch, argument);
  struct sl_hook_socket* to = new_socket(scratch);
  struct {
    __u16 family;
    __be16 port;
    __u32 ipv4_or_flow;
    struct sl_addr ipv6;
  } name = {};
  if (!value || !to) return 0;
  const void* from = (void*)address;
  if (user ? bpf_probe_read_user(&name.family, sizeof(name.family), from)
           : bpf_probe_read_kernel(&name.family, sizeof(name.family), from))
    return 0;
  const __u32 size = name.family == SL_AF_INET6 ? sizeof(name) : 8;
  to->family = name.family;
  if (name.family == SL_AF_INET || name.family == SL_AF_INET6) {
    if (user ? bpf_probe_read_user(&name, size, from) : bpf_probe_read_kernel(&name, size, from)) return 0;
    to->source_port = bpf_ntohs(name.port);
    if (name.family == SL_AF_INET)
      set_ipv4(&to->source, name.ipv4_or_flow);
    else
      to->source = name.ipv6;
  }
  keep_socket(scratch, value);
  return 0;
}

#endif
