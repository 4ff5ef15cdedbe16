/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Finds the UDP sockets that are connected to a backend that their Service no longer has: the agent ends them, so that
 * their programs connect again. It visits the UDP sockets of a network namespace, because some kernels refuse an
 * iterator over the map of translations: it could write to the map's values.
 */
#ifndef SLUICE_STALE_SOCKETS_BPF_H
#define SLUICE_STALE_SOCKETS_BPF_H

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/lib/service.bpf.h"
#include "cgroup/rewrite.bpf.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct in6_addr {
  union {
    __u8 u6_addr8[16];
  } in6_u;
};
struct sock_common {
  __be32 skc_daddr;
  __be32 skc_rcv_saddr;
  __be16 skc_dport;
  __u16 skc_num;
  int skc_bound_dev_if;
  struct in6_addr skc_v6_daddr;
  struct in6_addr skc_v6_rcv_saddr;
};
struct sock {
  struct sock_common __sk_common;
};
struct udp_sock;
struct seq_file;
struct bpf_iter_meta {
  struct seq_file* seq;
};
struct bpf_iter__udp {
  struct bpf_iter_meta* meta;
  struct udp_sock* udp_sk;
};
#pragma clang attribute pop

/* No map or function uses this type: this puts it into the BTF that tests compare with C++. */
const struct sl_stale_socket* stale_socket_for_btf __attribute__((unused));

static __always_inline void map_v4(struct sl_addr* addr, __be32 ip4) {
  __u32* words = (__u32*)addr->bytes;
  words[0] = words[1] = 0;
  words[2] = bpf_htonl(0xffff);
  words[3] = ip4;
}

SEC("iter/udp")
int sv_stale_sockets(struct bpf_iter__udp* ctx) {
  struct udp_sock* udp = ctx->udp_sk;
  const struct sl_service_socket* translated = udp ? bpf_sk_storage_get(&service_sockets, udp, 0, 0) : 0;
  if (!translated || !translated->connected) return 0;
  const struct sl_translation* used = &translated->last[0];
  if (!used->number || used->service.protocol != SL_IPPROTO_UDP) return 0;
  const struct sock* sk = (const struct sock*)udp;
  if (BPF_CORE_READ(sk, __sk_common.skc_dport) != used->backend.port) return 0; /* disconnected since */
  struct sl_service_key key = used->service;
  struct sl_service_backend backend = used->backend;
  struct sl_service service;
  if (sl_read_service(&key, &service) && service.number == used->number &&
      sl_has_backend(service.first, service.count, &backend))
    return 0;
  struct sl_stale_socket stale = {};
  stale.cookie = bpf_get_socket_cookie(udp);
  stale.backend = backend;
  stale.local_port = bpf_htons(BPF_CORE_READ(sk, __sk_common.skc_num));
  stale.interface = BPF_CORE_READ(sk, __sk_common.skc_bound_dev_if);
  if (sl_is_mapped_ipv4(&backend.addr)) {
    map_v4(&stale.local, BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr));
  } else {
    BPF_CORE_READ_INTO(&stale.local.bytes, sk, __sk_common.skc_v6_rcv_saddr.in6_u.u6_addr8);
  }
  bpf_seq_write(ctx->meta->seq, &stale, sizeof(stale));
  return 0;
}

#endif
