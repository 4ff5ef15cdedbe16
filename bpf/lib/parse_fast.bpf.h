/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The flow of a plain packet: whole TCP or UDP, without tags, IP options, extension headers or fragments. For plain
 * packets, sl_parse and sl_flow_key_of give the same result. Helper-free, as parse.bpf.h.
 */
#ifndef SLUICE_PARSE_FAST_BPF_H
#define SLUICE_PARSE_FAST_BPF_H

#include "bpf/lib/flow_key.bpf.h"

/* Kept in registers; the flow's key is in the evaluation. */
struct sl_fast_packet {
  __u32 from_hi; /* the sender is the key's `hi` end */
  __u32 header;  /* bytes up to the end of the transport header */
  __u8 protocol;
  __u8 tcp_flags;
  __u8 ip_version;
};

/* Returns 1 when the sender is the key's `hi` end. */
SL_INLINE int sl_plain_key_ipv4(const __u8* ip, const __u8* l4, struct sl_flow_key* key) {
  const __be32 src = sl_load_be32(ip + 12), dst = sl_load_be32(ip + 16);
  const __be32 ports = sl_load_be32(l4);
  const __u64 from = (__u64)bpf_ntohl(src) << 16 | sl_read16(l4);
  const __u64 to = (__u64)bpf_ntohl(dst) << 16 | sl_read16(l4 + 2);
  const __u64 swap = (__s64)(to - from) >> 63; /* all ones if the sender is above: no branch to mispredict */
  const __be32 other = (src ^ dst) & (__u32)swap;
  sl_set_ipv4(&key->lo, src ^ other);
  sl_set_ipv4(&key->hi, dst ^ other);
  const __u32 turned = ports << 16 | ports >> 16;
  sl_store_be32(&key->lo_port, ports ^ ((ports ^ turned) & (__u32)swap));
  return swap & 1;
}

SL_INLINE int sl_plain_key_ipv6(const __u8* ip, const __u8* l4, struct sl_flow_key* key) {
  const __u8 *src = ip + 8, *dst = ip + 24;
  int order = sl_compare(src, dst);
  int from_hi = order > 0 || (!order && sl_read16(l4) > sl_read16(l4 + 2));
  if (from_hi) {
    sl_copy_addr(&key->lo, dst);
    sl_copy_addr(&key->hi, src);
    key->lo_port = sl_load_be16(l4 + 2);
    key->hi_port = sl_load_be16(l4);
  } else {
    sl_copy_addr(&key->lo, src);
    sl_copy_addr(&key->hi, dst);
    sl_store_be32(&key->lo_port, sl_load_be32(l4));
  }
  return from_hi;
}

/* 0: not plain, or not whole. */
SL_INLINE int sl_parse_fast(const __u8* data, const __u8* end, struct sl_flow_key* key, struct sl_fast_packet* p) {
  const __u8 *ip = data + SL_ETH_LEN, *l4;
  __u8 protocol;
  if (ip + SL_IPV4_LEN + 8 > end) return 0;
  if (sl_load_be16(data + 12) == SL_HTONS(0x0800)) {
    l4 = ip + SL_IPV4_LEN;
    if (ip[0] != 0x45 || (sl_load_be16(ip + 6) & SL_HTONS(0x3fff)) || sl_read16(ip + 2) < SL_IPV4_LEN) return 0;
    protocol = ip[9];
    p->ip_version = 4;
    p->header = SL_ETH_LEN + SL_IPV4_LEN;
    p->from_hi = sl_plain_key_ipv4(ip, l4, key);
  } else if (sl_load_be16(data + 12) == SL_HTONS(0x86dd)) {
    l4 = ip + SL_IPV6_LEN;
    if (l4 + 8 > end || ip[0] >> 4 != 6) return 0;
    protocol = ip[6];
    p->ip_version = 6;
    p->header = SL_ETH_LEN + SL_IPV6_LEN;
    p->from_hi = sl_plain_key_ipv6(ip, l4, key);
  } else {
    return 0;
  }
  if (protocol == SL_IPPROTO_UDP) {
    p->header += 8;
    p->tcp_flags = 0;
  } else if (protocol == SL_IPPROTO_TCP) {
    if (l4 + 20 > end || l4[12] < 5 << 4) return 0;
    p->header += (l4[12] >> 4) * 4;
    p->tcp_flags = l4[13];
  } else {
    return 0;
  }
  p->protocol = protocol;
  sl_store_be32(&key->protocol, bpf_htonl((__u32)protocol << 24)); /* sets the fields after it to 0 */
  return 1;
}

#endif
