/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* A packet's flow. Helper-free, as parse.bpf.h. */
#ifndef SLUICE_FLOW_KEY_BPF_H
#define SLUICE_FLOW_KEY_BPF_H

#include <bpf/bpf_endian.h>

#include "bpf/abi/conntrack.h"
#include "bpf/lib/parse.bpf.h"

/* -1, 0, 1 as memcmp over 16 bytes. */
SL_INLINE int sl_compare(const void* a, const void* b) {
  for (int i = 0; i < 16; i += 8) {
    __u64 p = bpf_be64_to_cpu(sl_load_u64((const __u8*)a + i)), q = bpf_be64_to_cpu(sl_load_u64((const __u8*)b + i));
    if (p != q) return p < q ? -1 : 1;
  }
  return 0;
}

/* The end that sends the requests; `from_hi`: the packet's sender is the `hi` end. Requests of the two ends are two
 * flows. */
SL_INLINE __u8 sl_icmp_asker(const struct sl_tuple* tuple, int from_hi) {
  if (tuple->protocol != SL_IPPROTO_ICMP && tuple->protocol != SL_IPPROTO_ICMPV6) return SL_ICMP_ASKER_NONE;
  return from_hi != tuple->icmp_answer ? SL_ICMP_ASKER_HI : SL_ICMP_ASKER_LO;
}

/* Fills `key`; returns 1 when the tuple's source is the key's `hi` end. */
SL_INLINE int sl_flow_key_of(const struct sl_tuple* tuple, struct sl_flow_key* key) {
  int order = sl_compare(&tuple->src, &tuple->dst);
  if (!order) order = bpf_ntohs(tuple->src_port) > bpf_ntohs(tuple->dst_port) ? 1 : -1;
  key->protocol = tuple->protocol;
  key->icmp_asker = sl_icmp_asker(tuple, order > 0);
  key->receiver = 0;
  if (order > 0) {
    sl_copy_addr(&key->lo, &tuple->dst);
    sl_copy_addr(&key->hi, &tuple->src);
    key->lo_port = tuple->dst_port;
    key->hi_port = tuple->src_port;
    return 1;
  }
  sl_copy_addr(&key->lo, &tuple->src);
  sl_copy_addr(&key->hi, &tuple->dst);
  key->lo_port = tuple->src_port;
  key->hi_port = tuple->dst_port;
  return 0;
}

#endif
