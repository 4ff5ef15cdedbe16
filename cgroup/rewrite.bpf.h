/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The address and port in a program's call. */
#ifndef SLUICE_REWRITE_BPF_H
#define SLUICE_REWRITE_BPF_H

#include <linux/bpf.h>

#include <bpf/bpf_endian.h>

#include "bpf/abi/service.h"
#include "bpf/lib/parse.bpf.h"

/* Address and port, which sl_service_key and sl_service_backend begin with. */
static __always_inline int sl_same_end(const void* a, const void* b) {
  const __u32 *p = a, *q = b;
  const __u16 *p_port = a + sizeof(struct sl_addr), *q_port = b + sizeof(struct sl_addr);
  return p[0] == q[0] && p[1] == q[1] && p[2] == q[2] && p[3] == q[3] && *p_port == *q_port;
}

static __always_inline void read_end4(const struct bpf_sock_addr* ctx, struct sl_service_key* end) {
  __u32* words = (__u32*)end->addr.bytes;
  words[0] = words[1] = 0;
  words[2] = bpf_htonl(0xffff);
  words[3] = ctx->user_ip4;
  end->port = (__be16)ctx->user_port;
  end->protocol = (__u8)ctx->protocol;
  end->pad = 0;
}

static __always_inline void read_end6(const struct bpf_sock_addr* ctx, struct sl_service_key* end) {
  __u32* words = (__u32*)end->addr.bytes;
  words[0] = ctx->user_ip6[0];
  words[1] = ctx->user_ip6[1];
  words[2] = ctx->user_ip6[2];
  words[3] = ctx->user_ip6[3];
  end->port = (__be16)ctx->user_port;
  end->protocol = (__u8)ctx->protocol;
  end->pad = 0;
}

static __always_inline void write_end4(struct bpf_sock_addr* ctx, const struct sl_addr* addr, __be16 port) {
  ctx->user_ip4 = ((const __u32*)addr->bytes)[3];
  ctx->user_port = port;
}

static __always_inline void write_end6(struct bpf_sock_addr* ctx, const struct sl_addr* addr, __be16 port) {
  const __u32* words = (const __u32*)addr->bytes;
  ctx->user_ip6[0] = words[0];
  ctx->user_ip6[1] = words[1];
  ctx->user_ip6[2] = words[2];
  ctx->user_ip6[3] = words[3];
  ctx->user_port = port;
}

#endif
