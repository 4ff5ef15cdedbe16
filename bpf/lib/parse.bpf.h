/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Frame -> struct sl_packet. Helper-free: the same code is compiled natively for replay, unit tests and fuzzing.
 * Up to two VLAN tags, IPv4 with options, IPv6 with up to eight extension headers, TCP, UDP, SCTP, ICMP, ICMPv6,
 * fragments, and ICMP errors with the tuple they carry. Every length is checked; what does not fit has a drop reason.
 */
#ifndef SLUICE_PARSE_BPF_H
#define SLUICE_PARSE_BPF_H

#include "bpf/abi/drop_reasons.h"
#include "bpf/abi/types.h"

#ifdef __bpf__
#define SL_INLINE static __attribute__((always_inline)) inline
#else
#define SL_INLINE static inline
#endif

enum sl_packet_kind {
  SL_PACKET_IP = 0,      /* to be judged */
  SL_PACKET_CONTROL = 1, /* ARP, neighbour discovery, multicast listener reports: link plumbing, passes */
};

enum sl_fragment { SL_FRAGMENT_NONE = 0, SL_FRAGMENT_FIRST = 1, SL_FRAGMENT_LATER = 2 };

/* One direction's addresses and ports as they stand in a header. Network byte order. */
struct sl_tuple {
  struct sl_addr src;
  struct sl_addr dst;
  __be16 src_port;
  __be16 dst_port;
  __u8 protocol;
  __u8 pad[3];
};

/* Where a network header led. */
struct sl_l3 {
  __u16 l4_offset; /* from the start of the frame */
  __u8 next;       /* protocol at l4_offset */
  __u8 fragment;   /* enum sl_fragment */
  __u8 hop_limit;
  __u8 pad;
};

struct sl_packet {
  struct sl_tuple tuple;
  struct sl_tuple inner; /* of the packet that an ICMP error is about, as that packet had it */
  struct sl_l3 l3;
  struct sl_l3 inner_l3;
  __be32 fragment_id;
  __u16 l3_offset;
  __u8 ip_version; /* 4 or 6 */
  __u8 kind;       /* enum sl_packet_kind */
  __u8 fragment;   /* enum sl_fragment; that of l3 */
  __u8 tcp_flags;  /* the header's flags byte */
  __u8 icmp_type;
  __u8 icmp_code;
  __u8 is_icmp_error; /* inner is set */
  __u8 has_vlan;
  __u8 truncated; /* bytes were missing at the end of what could be read: hence the reason, or no inner */
  __u8 l4_length; /* of the TCP or UDP header; else 0 */
};

#define SL_TCP_FIN 0x01
#define SL_TCP_SYN 0x02
#define SL_TCP_RST 0x04
#define SL_TCP_ACK 0x10

#define SL_IPPROTO_ICMP 1
#define SL_IPPROTO_TCP 6
#define SL_IPPROTO_UDP 17
#define SL_IPPROTO_ICMPV6 58
#define SL_IPPROTO_SCTP 132

#define SL_MAX_VLAN_TAGS 2
#define SL_MAX_EXTENSION_HEADERS 8

#define SL_ETH_LEN 14
#define SL_IPV4_LEN 20
#define SL_IPV6_LEN 40

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define SL_HTONS(x) ((__be16)__builtin_bswap16((__u16)(x)))
#define SL_NTOHS(x) ((__u16)__builtin_bswap16((__u16)(x)))
#else
#define SL_HTONS(x) ((__be16)(x))
#define SL_NTOHS(x) ((__u16)(x))
#endif

/* The bytes at `offset`, or null when fewer than `size` can be read. */
SL_INLINE const __u8* sl_bytes_at(const void* data, const void* data_end, __u32 offset, __u32 size) {
  const __u8* p = (const __u8*)data + offset;
  if (p + size > (const __u8*)data_end) return 0;
  return p;
}

/* Words, wherever they begin. BPF C would move them byte by byte, did it not take them for aligned; and what is written
 * in pieces is slow to read as a whole a moment later. */
#ifdef __bpf__
#define SL_WORD_ACCESS(type, name)                                         \
  SL_INLINE type sl_load_##name(const void* p) { return *(const type*)p; } \
  SL_INLINE void sl_store_##name(void* p, type word) { *(type*)p = word; }
#else
#define SL_WORD_ACCESS(type, name)               \
  SL_INLINE type sl_load_##name(const void* p) { \
    type word;                                   \
    __builtin_memcpy(&word, p, sizeof(word));    \
    return word;                                 \
  }                                              \
  SL_INLINE void sl_store_##name(void* p, type word) { __builtin_memcpy(p, &word, sizeof(word)); }
#endif
SL_WORD_ACCESS(__be16, be16)
SL_WORD_ACCESS(__be32, be32)
SL_WORD_ACCESS(__u64, u64)

SL_INLINE __u16 sl_read16(const __u8* p) { return SL_NTOHS(sl_load_be16(p)); }

SL_INLINE void sl_copy_addr(struct sl_addr* to, const void* from) {
  sl_store_u64(to->bytes, sl_load_u64(from));
  sl_store_u64(to->bytes + 8, sl_load_u64((const __u8*)from + 8));
}

SL_INLINE int sl_is_same_addr(const struct sl_addr* a, const struct sl_addr* b) {
  return sl_load_u64(a->bytes + 8) == sl_load_u64(b->bytes + 8) && sl_load_u64(a->bytes) == sl_load_u64(b->bytes);
}

/* An IPv4 address, as IPv6 maps it (RFC 4291, 2.5.5.2). */
SL_INLINE void sl_set_ipv4(struct sl_addr* addr, __be32 ipv4) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  const __u64 last = (__u64)ipv4 << 32 | 0xffff0000;
#else
  const __u64 last = 0xffffULL << 32 | ipv4;
#endif
  sl_store_u64(addr->bytes, 0);
  sl_store_u64(addr->bytes + 8, last);
}

SL_INLINE int sl_parse_ipv4(const void* data, const void* data_end, __u32 offset, struct sl_tuple* tuple,
                            struct sl_l3* l3, struct sl_packet* packet) {
  const __u8* ip = sl_bytes_at(data, data_end, offset, SL_IPV4_LEN);
  if (!ip) {
    packet->truncated = 1;
    return SL_DROP_MALFORMED_IPV4;
  }
  __u32 header = (ip[0] & 0x0f) * 4;
  if ((ip[0] >> 4) != 4 || header < SL_IPV4_LEN || sl_read16(ip + 2) < header) return SL_DROP_MALFORMED_IPV4;
  sl_set_ipv4(&tuple->src, sl_load_be32(ip + 12));
  sl_set_ipv4(&tuple->dst, sl_load_be32(ip + 16));
  tuple->protocol = ip[9];
  __u16 fragment_field = sl_read16(ip + 6);
  __u16 fragment_offset = fragment_field & 0x1fff;
  l3->fragment = fragment_offset ? SL_FRAGMENT_LATER : (fragment_field & 0x2000) ? SL_FRAGMENT_FIRST : SL_FRAGMENT_NONE;
  l3->hop_limit = ip[8];
  l3->next = ip[9];
  packet->fragment_id = (__be32)sl_load_be16(ip + 4);
  l3->l4_offset = offset + header;
  return SL_DROP_NONE;
}

/* Hop-by-hop, routing, fragment, AH and destination options. */
SL_INLINE int sl_is_extension(__u8 next) {
  const __u64 extensions = 1ULL << 0 | 1ULL << 43 | 1ULL << 44 | 1ULL << 51 | 1ULL << 60;
  return next < 64 && (extensions >> next & 1);
}

/* Farthest that a transport header may be from the start of the frame. */
#define SL_MAX_L4_OFFSET 0x3fff

/*
 * Steps over one extension header. What is known of the position is read from and written to memory, so that the
 * verifier sees the same state at each step and does not follow every combination of headers.
 */
SL_INLINE int sl_step_extension(const void* data, const void* data_end, volatile struct sl_l3* l3,
                                struct sl_packet* packet) {
  __u32 offset = l3->l4_offset & SL_MAX_L4_OFFSET;
  const __u8* header = sl_bytes_at(data, data_end, offset, 8);
  if (!header) {
    packet->truncated = 1;
    return SL_DROP_MALFORMED_IPV6;
  }
  __u32 length = (header[1] + 1) * 8;
  if (l3->next == 51) length = (header[1] + 2) * 4; /* AH: RFC 4302, 2.2 */
  if (l3->next == 44) {                             /* RFC 8200, 4.5 */
    __u16 field = sl_read16(header + 2);
    length = 8;
    packet->fragment_id = sl_load_be32(header + 4);
    if (field & 0xfff8)
      l3->fragment = SL_FRAGMENT_LATER;
    else if (field & 1)
      l3->fragment = SL_FRAGMENT_FIRST;
  }
  if (offset + length > SL_MAX_L4_OFFSET) return SL_DROP_TOO_MANY_HEADERS;
  l3->l4_offset = offset + length;
  l3->next = header[0];
  return SL_DROP_NONE;
}

SL_INLINE int sl_parse_ipv6(const void* data, const void* data_end, __u32 offset, struct sl_tuple* tuple,
                            struct sl_l3* where, struct sl_packet* packet) {
  volatile struct sl_l3* l3 = where;
  const __u8* ip = sl_bytes_at(data, data_end, offset, SL_IPV6_LEN);
  if (!ip) {
    packet->truncated = 1;
    return SL_DROP_MALFORMED_IPV6;
  }
  if ((ip[0] >> 4) != 6) return SL_DROP_MALFORMED_IPV6;
  sl_copy_addr(&tuple->src, ip + 8);
  sl_copy_addr(&tuple->dst, ip + 24);
  l3->hop_limit = ip[7];
  l3->next = ip[6];
  l3->l4_offset = offset + SL_IPV6_LEN;
  for (int i = 0; i < SL_MAX_EXTENSION_HEADERS; i++) {
    if (l3->fragment == SL_FRAGMENT_LATER || !sl_is_extension(l3->next)) break;
    int reason = sl_step_extension(data, data_end, l3, packet);
    if (reason) return reason;
  }
  if (l3->fragment != SL_FRAGMENT_LATER && sl_is_extension(l3->next)) return SL_DROP_TOO_MANY_HEADERS;
  tuple->protocol = l3->next;
  return SL_DROP_NONE;
}

/* RFC 792 and RFC 4443: errors quote the packet they are about. */
SL_INLINE int sl_is_icmp_error(__u8 protocol, __u8 type) {
  if (protocol == SL_IPPROTO_ICMP) return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
  return type < 128;
}

SL_INLINE int sl_is_icmp_echo(__u8 protocol, __u8 type) {
  if (protocol == SL_IPPROTO_ICMP) return type == 8 || type == 0;
  return type == 128 || type == 129;
}

/* Neighbour discovery (RFC 4861: hop limit 255) and multicast listener discovery (RFC 2710, 3810: hop limit 1). */
SL_INLINE int sl_is_link_control(__u8 type, __u8 hop_limit) {
  if (type >= 133 && type <= 137) return hop_limit == 255;
  return (type == 130 || type == 131 || type == 132 || type == 143) && hop_limit == 1;
}

/* The quoted packet: its addresses and, where 8 bytes of its transport header came along, its ports. */
SL_INLINE void sl_parse_inner(const void* data, const void* data_end, __u32 offset, struct sl_packet* packet) {
  struct sl_tuple* inner = &packet->inner;
  struct sl_l3* l3 = &packet->inner_l3;
  __be32 outer_id = packet->fragment_id;
  int reason = packet->tuple.protocol == SL_IPPROTO_ICMP ? sl_parse_ipv4(data, data_end, offset, inner, l3, packet)
                                                         : sl_parse_ipv6(data, data_end, offset, inner, l3, packet);
  packet->fragment_id = outer_id;
  inner->src_port = inner->dst_port = 0;
  if (reason || l3->fragment == SL_FRAGMENT_LATER) return;
  const __u8* l4 = sl_bytes_at(data, data_end, l3->l4_offset & SL_MAX_L4_OFFSET, 8);
  if (!l4) {
    packet->truncated = 1;
    return;
  }
  if (inner->protocol == SL_IPPROTO_TCP || inner->protocol == SL_IPPROTO_UDP || inner->protocol == SL_IPPROTO_SCTP) {
    inner->src_port = sl_load_be16(l4);
    inner->dst_port = sl_load_be16(l4 + 2);
  } else if ((inner->protocol == SL_IPPROTO_ICMP || inner->protocol == SL_IPPROTO_ICMPV6) &&
             sl_is_icmp_echo(inner->protocol, l4[0])) {
    inner->src_port = inner->dst_port = sl_load_be16(l4 + 4);
  }
  packet->is_icmp_error = 1;
}

SL_INLINE int sl_parse_l4(const void* data, const void* data_end, __u32 offset, struct sl_packet* packet) {
  struct sl_tuple* tuple = &packet->tuple;
  const struct sl_l3* l3 = &packet->l3;
  if (tuple->protocol == SL_IPPROTO_TCP || tuple->protocol == SL_IPPROTO_UDP || tuple->protocol == SL_IPPROTO_SCTP) {
    __u32 need = tuple->protocol == SL_IPPROTO_TCP ? 20 : tuple->protocol == SL_IPPROTO_UDP ? 8 : 12;
    const __u8* l4 = sl_bytes_at(data, data_end, offset, 8);
    if (!l4 || !sl_bytes_at(data, data_end, offset, need)) {
      packet->truncated = 1;
      return SL_DROP_MALFORMED_L4;
    }
    tuple->src_port = sl_load_be16(l4);
    tuple->dst_port = sl_load_be16(l4 + 2);
    if (tuple->protocol == SL_IPPROTO_TCP) {
      const __u8* tcp = sl_bytes_at(data, data_end, offset, 20);
      if (!tcp || (tcp[12] >> 4) < 5) return SL_DROP_MALFORMED_L4;
      packet->tcp_flags = tcp[13];
      packet->l4_length = (tcp[12] >> 4) * 4;
    } else if (tuple->protocol == SL_IPPROTO_UDP) {
      packet->l4_length = 8;
    }
    return SL_DROP_NONE;
  }
  if (tuple->protocol == SL_IPPROTO_ICMP || tuple->protocol == SL_IPPROTO_ICMPV6) {
    const __u8* icmp = sl_bytes_at(data, data_end, offset, 8);
    if (!icmp) {
      /* Some ICMPv6 messages have 4 bytes only; none of those that matter here has. */
      packet->truncated = 1;
      return SL_DROP_MALFORMED_L4;
    }
    packet->icmp_type = icmp[0];
    packet->icmp_code = icmp[1];
    if (tuple->protocol == SL_IPPROTO_ICMPV6 && packet->ip_version == 6 && sl_is_link_control(icmp[0], l3->hop_limit)) {
      packet->kind = SL_PACKET_CONTROL;
    } else if (sl_is_icmp_echo(tuple->protocol, icmp[0])) {
      tuple->src_port = tuple->dst_port = sl_load_be16(icmp + 4);
    } else if (sl_is_icmp_error(tuple->protocol, icmp[0])) {
      sl_parse_inner(data, data_end, offset + 8, packet);
    }
  }
  return SL_DROP_NONE;
}

/* Before each parse: what it sets only where the packet has it. The rest it sets before anybody reads it. */
SL_INLINE void sl_reset_packet(struct sl_packet* packet) {
  packet->tuple.src_port = packet->tuple.dst_port = 0;
  __builtin_memset(&packet->l3, 0, sizeof(packet->l3));
  __builtin_memset(&packet->inner_l3, 0, sizeof(packet->inner_l3));
  __builtin_memset(&packet->fragment_id, 0, sizeof(*packet) - __builtin_offsetof(struct sl_packet, fragment_id));
}

/* From the Ethernet header on. `packet` must be reset. Returns SL_DROP_NONE or why the frame cannot be judged. */
SL_INLINE int sl_parse(const void* data, const void* data_end, struct sl_packet* packet) {
  const __u8* eth = sl_bytes_at(data, data_end, 0, SL_ETH_LEN);
  if (!eth) {
    packet->truncated = 1;
    return SL_DROP_MALFORMED_ETHERNET;
  }
  __u16 ethertype = sl_read16(eth + 12);
  __u32 offset = SL_ETH_LEN;
  for (int i = 0; i < SL_MAX_VLAN_TAGS; i++) {
    if (ethertype != 0x8100 && ethertype != 0x88a8) break;
    const __u8* tag = sl_bytes_at(data, data_end, offset, 4);
    if (!tag) {
      packet->truncated = 1;
      return SL_DROP_MALFORMED_ETHERNET;
    }
    ethertype = sl_read16(tag + 2);
    offset += 4;
    packet->has_vlan = 1;
  }
  packet->l3_offset = offset;
  int reason;
  if (ethertype == 0x0800) {
    packet->ip_version = 4;
    reason = sl_parse_ipv4(data, data_end, offset, &packet->tuple, &packet->l3, packet);
  } else if (ethertype == 0x86dd) {
    packet->ip_version = 6;
    reason = sl_parse_ipv6(data, data_end, offset, &packet->tuple, &packet->l3, packet);
  } else if (ethertype == 0x0806) {
    packet->kind = SL_PACKET_CONTROL;
    return SL_DROP_NONE;
  } else if (ethertype == 0x8100 || ethertype == 0x88a8) {
    return SL_DROP_TOO_MANY_HEADERS;
  } else {
    return SL_DROP_UNSUPPORTED_L3;
  }
  if (reason) return reason;
  packet->fragment = packet->l3.fragment;
  if (packet->fragment == SL_FRAGMENT_LATER) return SL_DROP_NONE;
  return sl_parse_l4(data, data_end, packet->l3.l4_offset & SL_MAX_L4_OFFSET, packet);
}

#endif
